#include "aggregator/query/log_patterns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kAny = "<_>";
constexpr size_t kMaxWords = 80;
constexpr size_t kMaxPatterns = 2'000;
constexpr size_t kMaxCandidates = 60;
constexpr double kSimilar = 0.5;

bool HasDigit(std::string_view word) {
  return std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

// key=12ms keeps its key.
std::string Masked(std::string_view word) {
  if (!HasDigit(word)) return std::string(word);
  const size_t equals = word.find('=');
  if (equals != std::string_view::npos && equals > 0 && !HasDigit(word.substr(0, equals)))
    return std::string(word.substr(0, equals + 1)) + std::string(kAny);
  return std::string(kAny);
}

double Similarity(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  size_t same = 0;
  for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  return static_cast<double>(same) / static_cast<double>(a.size());
}

}  // namespace

std::string LogPattern::Text() const { return fmt::format("{}", fmt::join(words, " ")); }

void LogPatterns::Add(int64_t time, std::string_view line) {
  std::vector<std::string> words;
  for (std::string_view word = NextWord(line); !word.empty() && words.size() < kMaxWords; word = NextWord(line))
    words.push_back(Masked(word));
  if (words.empty()) return;
  if (!Trim(line).empty()) words.emplace_back(kAny);
  std::vector<size_t>& candidates = groups_[{words.size(), words.front()}];
  const auto best = std::ranges::max_element(candidates, {}, [&](size_t at) { return Similarity(patterns_[at].words, words); });
  size_t at = 0;
  if (best != candidates.end() && (Similarity(patterns_[*best].words, words) >= kSimilar || candidates.size() >= kMaxCandidates)) {
    at = *best;
    for (size_t i = 0; i < words.size(); ++i) {
      if (patterns_[at].words[i] != words[i]) patterns_[at].words[i] = kAny;
    }
  } else if (patterns_.size() >= kMaxPatterns) {
    ++left_out_;
    return;
  } else {
    at = patterns_.size();
    candidates.push_back(at);
    patterns_.push_back({std::move(words), {}, 0});
  }
  ++patterns_[at].counts[time / bucket_ * bucket_];
  ++patterns_[at].total;
}

std::vector<LogPattern> LogPatterns::Sorted() const {
  std::vector<LogPattern> sorted = patterns_;
  std::ranges::stable_sort(sorted, std::ranges::greater(), &LogPattern::total);
  return sorted;
}

}  // namespace faultline
