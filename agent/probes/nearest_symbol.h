// For each of some addresses, the symbol that begins nearest below it, in one pass over symbols in
// any order: nothing is kept of those that no address asks for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace faultline {

class NearestSymbol {
 public:
  struct Symbol {
    uint64_t begin = 0;
    uint64_t bytes = 0;
    uint64_t name = 0;  // where whoever offers it finds its name
    bool is_known = false;
  };

  // Sorted, without repetitions.
  explicit NearestSymbol(std::vector<uint64_t> addresses)
      : addresses_(std::move(addresses)), nearest_(addresses_.size()) {}

  void Offer(uint64_t begin, uint64_t bytes, uint64_t name) {
    const auto above = std::lower_bound(addresses_.begin(), addresses_.end(), begin);
    if (above == addresses_.end()) return;
    Symbol& nearest = nearest_[static_cast<size_t>(above - addresses_.begin())];
    const bool is_nearer = !nearest.is_known || begin > nearest.begin;
    // Of two names of one place, the one that says how long it is.
    const bool says_more = nearest.is_known && begin == nearest.begin && nearest.bytes == 0;
    if (is_nearer || says_more) nearest = {begin, bytes, name, true};
  }
  // One for each address, in their order; call it once, after all were offered.
  const std::vector<Symbol>& Find() {
    for (size_t i = 1; i < nearest_.size(); ++i) {
      const Symbol& before = nearest_[i - 1];
      if (before.is_known && (!nearest_[i].is_known || before.begin > nearest_[i].begin))
        nearest_[i] = before;
    }
    return nearest_;
  }
  const std::vector<uint64_t>& addresses() const { return addresses_; }

 private:
  const std::vector<uint64_t> addresses_;
  std::vector<Symbol> nearest_;
};

}  // namespace faultline
