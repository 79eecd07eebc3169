// Which series (or log streams) carry which labels. A label pair is stored once; a series is a
// short list of pair ids; a pair has its postings, the rising ids of the series that carry it.
// About 8 bytes per label and series beside the unique texts. Thread-safe: interning a known series
// and selecting take the lock shared; regular expressions run without it.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aggregator/store/id_table.h"
#include "aggregator/store/store.h"

namespace faultline::store {

class LabelIndex {
 public:
  // The id of these labels (sorted, no duplicates, no empty values); 0 if unknown.
  uint32_t Find(const Labels& labels) const;
  // Adds them under `id`, larger than all ids before. False if they are known already.
  bool Add(uint32_t id, const Labels& labels);
  void Remove(std::span<const uint32_t> ids);

  // Empty for an id that nobody has.
  Labels LabelsOf(uint32_t id) const;
  std::string NameLabelOf(uint32_t id, std::string_view name) const;
  // Ids of those that match all, rising.
  Result<std::vector<uint32_t>> Select(std::span<const LabelMatcher> matchers) const;
  // Names and values of all, or of the given ids only; sorted.
  std::vector<std::string> Names() const;
  std::vector<std::string> NamesOf(std::span<const uint32_t> ids) const;
  std::vector<std::string> Values(std::string_view name) const;
  std::vector<std::string> ValuesOf(std::string_view name, std::span<const uint32_t> ids) const;
  uint64_t size() const;

 private:
  // Rising ids; the first two inside.
  class Postings {
   public:
    void Add(uint32_t id);
    std::span<const uint32_t> ids() const;
    template <typename Keep>
    void Filter(const Keep& keep);

   private:
    uint32_t count_ = 0;
    uint32_t inside_[2] = {0, 0};
    std::unique_ptr<std::vector<uint32_t>> outside_;
  };
  struct Pair {
    uint32_t name = 0;  // symbol
    uint32_t value = 0;
  };
  struct Choice;  // what one matcher keeps or drops

  uint32_t FindSymbol(std::string_view text) const;
  uint32_t MakeSymbol(std::string_view text);
  uint32_t FindPair(uint32_t name, uint32_t value) const;
  uint32_t MakePair(std::string_view name, std::string_view value);
  std::span<const uint32_t> PairsOf(uint32_t id) const;
  bool PairsOfLabels(const Labels& labels, std::vector<uint32_t>& pairs) const;
  Result<Choice> Choose(const LabelMatcher& matcher) const;
  std::vector<uint32_t> UnionOf(const std::vector<uint32_t>& pairs) const;

  mutable std::shared_mutex mutex_;
  std::vector<std::unique_ptr<char[]>> text_blocks_;
  size_t text_used_ = 0;
  size_t text_size_ = 0;
  std::vector<std::string_view> symbols_ = {{}};  // [symbol], into text_blocks_
  IdTable symbol_table_;
  std::vector<Pair> pairs_ = {{}};  // [pair]
  IdTable pair_table_;
  std::vector<Postings> postings_{1};                                  // [pair]
  std::unordered_map<uint32_t, std::vector<uint32_t>> pairs_of_name_;  // [name symbol]
  std::vector<std::unique_ptr<uint32_t[]>>
      label_blocks_;  // count, pairs…; a list never crosses a block
  size_t label_used_ = 0;
  std::vector<uint32_t> where_ = {0};  // [id]: block and place, + 1; 0: nobody
  IdTable table_;
  uint64_t count_ = 0;
};

}  // namespace faultline::store
