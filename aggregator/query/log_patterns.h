// Log lines grouped by what they have in common: words that vary become <_>. A tree of fixed depth (number of words, first
// word) leads to a few candidates, of which the most similar takes the line, in the manner of Drain. Bounded; pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct LogPattern {
  std::vector<std::string> words;  // <_> where lines differ
  std::map<int64_t, uint64_t> counts;  // bucket of time -> lines
  uint64_t total = 0;
  std::string Text() const;
};

class LogPatterns {
 public:
  explicit LogPatterns(int64_t bucket) : bucket_(bucket > 0 ? bucket : 1) {}
  // `time` in the bucket's unit.
  void Add(int64_t time, std::string_view line);
  // The most frequent first; rare ones (a single line) last.
  std::vector<LogPattern> Sorted() const;
  uint64_t left_out() const { return left_out_; }  // lines beyond the limit of patterns

 private:
  const int64_t bucket_;
  std::map<std::pair<size_t, std::string>, std::vector<size_t>> groups_;
  std::vector<LogPattern> patterns_;
  uint64_t left_out_ = 0;
};

}  // namespace faultline
