#include "aggregator/store/label_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

#include "aggregator/store/value_test.h"
#include "common/assert.h"
#include "common/clock.h"

namespace faultline::store {
namespace {

constexpr size_t kTextBlockBytes = 1 << 18;
constexpr size_t kLabelBlockWords = 1 << 14;
constexpr size_t kMaxLabels = kLabelBlockWords / 2;

uint64_t HashText(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }
uint64_t HashPair(uint32_t name, uint32_t value) {
  const uint64_t both = static_cast<uint64_t>(name) << 32 | value;
  return XXH3_64bits(&both, sizeof(both));
}
uint64_t HashPairs(std::span<const uint32_t> pairs) {
  return XXH3_64bits(pairs.data(), pairs.size_bytes());
}

// CPU time that one expression may take: what a DFA needs is far below; where RE2 has to fall back, it ends here.
constexpr int64_t kMatchFloorNs = 50 * kNsPerMs;
constexpr int64_t kMatchNsPerValue = 2'000;
constexpr size_t kValuesBetweenLooks = 8;

int64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace

void LabelIndex::Postings::Add(uint32_t id) {
  if (count_ < 2) {
    inside_[count_++] = id;
    return;
  }
  if (!outside_) outside_ = std::make_unique<std::vector<uint32_t>>(inside_, inside_ + 2);
  outside_->push_back(id);
  ++count_;
}

std::span<const uint32_t> LabelIndex::Postings::ids() const {
  return outside_ ? std::span<const uint32_t>(*outside_)
                  : std::span<const uint32_t>(inside_, count_);
}

template <typename Keep>
void LabelIndex::Postings::Filter(const Keep& keep) {
  std::vector<uint32_t> kept;
  for (const uint32_t id : ids()) {
    if (keep(id)) kept.push_back(id);
  }
  *this = Postings();
  for (const uint32_t id : kept) Add(id);
}

uint32_t LabelIndex::FindSymbol(std::string_view text) const {
  return symbol_table_.Find(HashText(text), [&](uint32_t id) { return symbols_[id] == text; });
}

uint32_t LabelIndex::MakeSymbol(std::string_view text) {
  if (const uint32_t known = FindSymbol(text)) return known;
  if (text_used_ + text.size() > text_size_) {
    text_size_ = std::max(kTextBlockBytes, text.size());
    text_blocks_.push_back(std::make_unique_for_overwrite<char[]>(text_size_));
    text_used_ = 0;
  }
  char* place = text_blocks_.back().get() + text_used_;
  std::memcpy(place, text.data(), text.size());
  text_used_ += text.size();
  symbols_.emplace_back(place, text.size());
  const auto id = static_cast<uint32_t>(symbols_.size() - 1);
  symbol_table_.Insert(id, HashText(text),
                       [&](uint32_t other) { return HashText(symbols_[other]); });
  return id;
}

uint32_t LabelIndex::FindPair(uint32_t name, uint32_t value) const {
  return pair_table_.Find(HashPair(name, value), [&](uint32_t id) {
    return pairs_[id].name == name && pairs_[id].value == value;
  });
}

uint32_t LabelIndex::MakePair(std::string_view name, std::string_view value) {
  const uint32_t name_symbol = MakeSymbol(name);
  const uint32_t value_symbol = MakeSymbol(value);
  if (const uint32_t known = FindPair(name_symbol, value_symbol)) return known;
  pairs_.push_back({name_symbol, value_symbol});
  postings_.emplace_back();
  const auto id = static_cast<uint32_t>(pairs_.size() - 1);
  pair_table_.Insert(id, HashPair(name_symbol, value_symbol), [&](uint32_t other) {
    return HashPair(pairs_[other].name, pairs_[other].value);
  });
  pairs_of_name_[name_symbol].push_back(id);
  return id;
}

std::span<const uint32_t> LabelIndex::PairsOf(uint32_t id) const {
  if (id >= where_.size() || where_[id] == 0) return {};
  const uint32_t place = where_[id] - 1;
  const uint32_t* list = label_blocks_[place / kLabelBlockWords].get() + place % kLabelBlockWords;
  return {list + 1, list[0]};
}

bool LabelIndex::PairsOfLabels(const Labels& labels, std::vector<uint32_t>& pairs) const {
  for (const auto& [name, value] : labels) {
    const uint32_t name_symbol = FindSymbol(name);
    const uint32_t value_symbol = name_symbol == 0 ? 0 : FindSymbol(value);
    const uint32_t pair = value_symbol == 0 ? 0 : FindPair(name_symbol, value_symbol);
    if (pair == 0) return false;
    pairs.push_back(pair);
  }
  return true;
}

uint32_t LabelIndex::Find(const Labels& labels) const {
  std::vector<uint32_t> pairs;
  pairs.reserve(labels.size());
  std::shared_lock lock(mutex_);
  if (!PairsOfLabels(labels, pairs)) return 0;
  return table_.Find(HashPairs(pairs), [&](uint32_t id) {
    const auto other = PairsOf(id);
    return std::equal(pairs.begin(), pairs.end(), other.begin(), other.end());
  });
}

bool LabelIndex::Add(uint32_t id, const Labels& labels) {
  FAULTLINE_ASSERT(labels.size() <= kMaxLabels, "the store limits labels per series");
  std::unique_lock lock(mutex_);
  std::vector<uint32_t> pairs;
  for (const auto& [name, value] : labels) pairs.push_back(MakePair(name, value));
  const uint64_t hash = HashPairs(pairs);
  if (table_.Find(hash, [&](uint32_t known) {
        const auto other = PairsOf(known);
        return std::equal(pairs.begin(), pairs.end(), other.begin(), other.end());
      }) != 0) {
    return false;
  }
  if (label_blocks_.empty() || label_used_ + pairs.size() + 1 > kLabelBlockWords) {
    label_blocks_.push_back(std::make_unique_for_overwrite<uint32_t[]>(kLabelBlockWords));
    label_used_ = 0;
  }
  uint32_t* list = label_blocks_.back().get() + label_used_;
  list[0] = static_cast<uint32_t>(pairs.size());
  std::copy(pairs.begin(), pairs.end(), list + 1);
  if (where_.size() <= id) where_.resize(id + 1);
  where_[id] =
      static_cast<uint32_t>((label_blocks_.size() - 1) * kLabelBlockWords + label_used_ + 1);
  label_used_ += pairs.size() + 1;
  table_.Insert(id, hash, [&](uint32_t other) { return HashPairs(PairsOf(other)); });
  for (const uint32_t pair : pairs) postings_[pair].Add(id);
  ++count_;
  return true;
}

void LabelIndex::Remove(std::span<const uint32_t> ids) {
  std::unique_lock lock(mutex_);
  const std::set<uint32_t> gone(ids.begin(), ids.end());
  const auto keep = [&](uint32_t id) { return !gone.contains(id); };
  std::set<uint32_t> touched;
  for (const uint32_t id : gone) touched.insert(PairsOf(id).begin(), PairsOf(id).end());
  for (const uint32_t pair : touched) postings_[pair].Filter(keep);
  table_.Rebuild([&](uint32_t id) { return HashPairs(PairsOf(id)); }, keep);
  for (const uint32_t id : gone) {
    if (id < where_.size() && where_[id] != 0) {
      where_[id] = 0;
      --count_;
    }
  }
}

Labels LabelIndex::LabelsOf(uint32_t id) const {
  std::shared_lock lock(mutex_);
  Labels labels;
  for (const uint32_t pair : PairsOf(id)) {
    labels.emplace_back(symbols_[pairs_[pair].name], symbols_[pairs_[pair].value]);
  }
  return labels;
}

std::string LabelIndex::NameLabelOf(uint32_t id, std::string_view name) const {
  std::shared_lock lock(mutex_);
  for (const uint32_t pair : PairsOf(id)) {
    if (symbols_[pairs_[pair].name] == name) return std::string(symbols_[pairs_[pair].value]);
  }
  return {};
}

struct LabelIndex::Choice {
  bool drops = false;  // the pairs below are to be left out, everything else stays
  std::vector<uint32_t> pairs;
};

Result<LabelIndex::Choice> LabelIndex::Choose(const LabelMatcher& matcher) const {
  FAULTLINE_ASSIGN(const ValueTest test, ValueTest::Of(matcher));
  Choice choice;
  // One that the empty value satisfies also keeps series without the label.
  choice.drops = test.Keeps("");
  std::vector<std::pair<uint32_t, std::string_view>> candidates;
  {
    std::shared_lock lock(mutex_);
    const uint32_t name = FindSymbol(matcher.name);
    if (name == 0) return choice;
    if (const auto* texts = test.texts(); texts != nullptr && test.Keeps("") == test.negated()) {
      for (const std::string& text : *texts) {
        const uint32_t value = FindSymbol(text);
        if (const uint32_t pair = value == 0 ? 0 : FindPair(name, value)) choice.pairs.push_back(pair);
      }
      return choice;
    }
    if (const auto found = pairs_of_name_.find(name); found != pairs_of_name_.end()) {
      for (const uint32_t pair : found->second) {
        candidates.emplace_back(pair, symbols_[pairs_[pair].value]);
      }
    }
  }
  // Texts never move and never go, so they can be looked at without the lock.
  const int64_t begin_ns = ThreadCpuNs();
  const int64_t allowed_ns = kMatchFloorNs + kMatchNsPerValue * static_cast<int64_t>(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto& [pair, value] = candidates[i];
    if (test.Keeps(value) != choice.drops) choice.pairs.push_back(pair);
    if (i % kValuesBetweenLooks == 0 && ThreadCpuNs() - begin_ns > allowed_ns) {
      return Fail(ErrorCode::kResourceExhausted,
                  "label {}: the regular expression took more than {} ms for {} of {} values; a simpler one is needed",
                  matcher.name, allowed_ns / kNsPerMs, i + 1, candidates.size());
    }
  }
  return choice;
}

std::vector<uint32_t> LabelIndex::UnionOf(const std::vector<uint32_t>& pairs) const {
  std::vector<uint32_t> ids;
  for (const uint32_t pair : pairs) {
    const auto more = postings_[pair].ids();
    ids.insert(ids.end(), more.begin(), more.end());
  }
  // A series has a name once, so its pairs' postings do not overlap.
  if (pairs.size() > 1) std::sort(ids.begin(), ids.end());
  return ids;
}

Result<std::vector<uint32_t>> LabelIndex::Select(std::span<const LabelMatcher> matchers) const {
  std::vector<Choice> choices;
  for (const LabelMatcher& matcher : matchers) {
    FAULTLINE_ASSIGN(Choice choice, Choose(matcher));
    if (!choice.drops && choice.pairs.empty()) return std::vector<uint32_t>();
    choices.push_back(std::move(choice));
  }
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
    return std::pair(a.drops, a.pairs.size()) < std::pair(b.drops, b.pairs.size());
  });
  std::shared_lock lock(mutex_);
  std::vector<uint32_t> ids;
  if (choices.empty() || choices.front().drops) {
    for (uint32_t id = 1; id < where_.size(); ++id) {
      if (where_[id] != 0) ids.push_back(id);
    }
  }
  std::vector<uint32_t> both;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].pairs.empty()) continue;
    const std::vector<uint32_t> other = UnionOf(choices[i].pairs);
    if (i == 0 && !choices[i].drops) {
      ids = other;
      continue;
    }
    both.clear();
    if (choices[i].drops) {
      std::set_difference(ids.begin(), ids.end(), other.begin(), other.end(),
                          std::back_inserter(both));
    } else {
      std::set_intersection(ids.begin(), ids.end(), other.begin(), other.end(),
                            std::back_inserter(both));
    }
    ids.swap(both);
  }
  return ids;
}

std::vector<std::string> LabelIndex::Names() const {
  std::vector<std::string> names;
  std::shared_lock lock(mutex_);
  for (const auto& [name, pairs] : pairs_of_name_) {
    const bool used = std::any_of(pairs.begin(), pairs.end(),
                                  [&](uint32_t pair) { return !postings_[pair].ids().empty(); });
    if (used) names.emplace_back(symbols_[name]);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> LabelIndex::NamesOf(std::span<const uint32_t> ids) const {
  std::set<uint32_t> seen;
  std::shared_lock lock(mutex_);
  for (const uint32_t id : ids) {
    for (const uint32_t pair : PairsOf(id)) seen.insert(pairs_[pair].name);
  }
  std::vector<std::string> names;
  for (const uint32_t name : seen) names.emplace_back(symbols_[name]);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> LabelIndex::Values(std::string_view name) const {
  std::vector<std::string> values;
  std::shared_lock lock(mutex_);
  if (const auto found = pairs_of_name_.find(FindSymbol(name)); found != pairs_of_name_.end()) {
    for (const uint32_t pair : found->second) {
      if (!postings_[pair].ids().empty()) values.emplace_back(symbols_[pairs_[pair].value]);
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<std::string> LabelIndex::ValuesOf(std::string_view name,
                                              std::span<const uint32_t> ids) const {
  std::set<uint32_t> seen;
  std::vector<std::string> values;
  std::shared_lock lock(mutex_);
  const uint32_t symbol = FindSymbol(name);
  for (const uint32_t id : ids) {
    for (const uint32_t pair : PairsOf(id)) {
      if (pairs_[pair].name == symbol && seen.insert(pair).second) {
        values.emplace_back(symbols_[pairs_[pair].value]);
      }
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

uint64_t LabelIndex::size() const {
  std::shared_lock lock(mutex_);
  return count_;
}

}  // namespace faultline::store
