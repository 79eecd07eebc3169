#include "agent/logs/log_rule_set.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

namespace faultline {
namespace {

constexpr size_t kMaxPatternBytes = 16 << 10;

RE2::Options PatternOptions(size_t max_bytes) {
  RE2::Options options;
  options.set_log_errors(false);
  // Logs are bytes: what is not UTF-8 must still match around it.
  options.set_encoding(RE2::Options::EncodingLatin1);
  options.set_max_mem(static_cast<int64_t>(max_bytes));
  return options;
}

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct LogRuleSet::Impl {
  Impl(const RE2::Options& options, RE2::Anchor anchor) : set(options, anchor) {}

  RE2::Set set;
  bool has_set = true;
  std::vector<std::unique_ptr<RE2>> patterns;
};

LogRuleSet::LogRuleSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogRuleSet::LogRuleSet(LogRuleSet&&) noexcept = default;
LogRuleSet& LogRuleSet::operator=(LogRuleSet&&) noexcept = default;
LogRuleSet::~LogRuleSet() = default;

size_t LogRuleSet::size() const { return impl_->patterns.size(); }

Result<LogRuleSet> LogRuleSet::Compile(std::span<const std::string> patterns, Options options) {
  const RE2::Options settings = PatternOptions(options.max_bytes);
  auto impl = std::make_unique<Impl>(settings, RE2::UNANCHORED);
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].size() > kMaxPatternBytes) {
      return Fail(ErrorCode::kInvalidArgument, "pattern {}: {} bytes, the limit is {}", i,
                  patterns[i].size(), kMaxPatternBytes);
    }
    const std::string text = options.at_end ? "(?:" + patterns[i] + ")\\z" : patterns[i];
    auto pattern = std::make_unique<RE2>(text, settings);
    if (!pattern->ok()) {
      return Fail(ErrorCode::kInvalidArgument, "pattern {}, `{}`: {}", i, patterns[i],
                  pattern->error());
    }
    std::string error;
    if (impl->has_set && impl->set.Add(text, &error) < 0) impl->has_set = false;
    impl->patterns.push_back(std::move(pattern));
  }
  impl->has_set = impl->has_set && !patterns.empty() && impl->set.Compile();
  return LogRuleSet(std::move(impl));
}

bool LogRuleSet::Match(std::string_view text, std::vector<int>& hits) const {
  hits.clear();
  if (impl_->has_set) {
    RE2::Set::ErrorInfo error{};
    if (impl_->set.Match(Piece(text), &hits, &error)) {
      std::ranges::sort(hits);
      return true;
    }
    if (error.kind == RE2::Set::kNoError) return false;
    hits.clear();  // the automaton ran out of memory
  }
  for (size_t i = 0; i < impl_->patterns.size(); ++i) {
    if (RE2::PartialMatch(Piece(text), *impl_->patterns[i])) hits.push_back(static_cast<int>(i));
  }
  return !hits.empty();
}

std::vector<std::string_view> LogRuleSet::Groups(size_t rule, std::string_view text) const {
  const RE2& pattern = *impl_->patterns.at(rule);
  std::vector<re2::StringPiece> found(static_cast<size_t>(pattern.NumberOfCapturingGroups()) + 1);
  if (!pattern.Match(Piece(text), 0, text.size(), RE2::UNANCHORED, found.data(),
                     static_cast<int>(found.size()))) {
    return {};
  }
  std::vector<std::string_view> groups;
  for (const re2::StringPiece& piece : found) groups.emplace_back(piece.data(), piece.size());
  return groups;
}

}  // namespace faultline
