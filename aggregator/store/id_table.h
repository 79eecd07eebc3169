// An open-addressing set of 32-bit ids whose keys live elsewhere: the owner gives hash and
// equality. Four bytes a slot, at most three quarters full. Id 0 means empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace faultline::store {

class IdTable {
 public:
  // The id for which `equals(id)` holds among those with this hash; 0 if none.
  template <typename Equals>
  uint32_t Find(uint64_t hash, const Equals& equals) const {
    if (slots_.empty()) return 0;
    for (size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == 0) return 0;
      if (equals(slots_[at])) return slots_[at];
    }
  }

  // `id` is not in the table. `hash_of(id)` gives the hash of any id in the table.
  template <typename HashOf>
  void Insert(uint32_t id, uint64_t hash, const HashOf& hash_of) {
    if ((used_ + 1) * 4 > slots_.size() * 3) Grow(hash_of);
    Place(id, hash);
    ++used_;
  }

  template <typename HashOf, typename Keep>
  void Rebuild(const HashOf& hash_of, const Keep& keep) {
    std::vector<uint32_t> old(slots_.size());
    old.swap(slots_);
    used_ = 0;
    for (const uint32_t id : old) {
      if (id == 0 || !keep(id)) continue;
      Place(id, hash_of(id));
      ++used_;
    }
  }

 private:
  template <typename HashOf>
  void Grow(const HashOf& hash_of) {
    std::vector<uint32_t> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    for (const uint32_t id : old) {
      if (id != 0) Place(id, hash_of(id));
    }
  }
  void Place(uint32_t id, uint64_t hash) {
    size_t at = hash & (slots_.size() - 1);
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = id;
  }

  std::vector<uint32_t> slots_;
  size_t used_ = 0;
};

}  // namespace faultline::store
