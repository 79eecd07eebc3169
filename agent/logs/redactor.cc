#include "agent/logs/redactor.h"

#include <re2/re2.h>

#include <utility>

namespace faultline {

Redactor::Redactor(LogRuleSet set) : set_(std::move(set)) {}
Redactor::~Redactor() = default;

Result<std::unique_ptr<Redactor>> Redactor::Make(const std::vector<Rule>& rules) {
  std::vector<std::string> patterns;
  for (const Rule& rule : rules) patterns.push_back(rule.pattern);
  FAULTLINE_ASSIGN(LogRuleSet set, LogRuleSet::Compile(patterns));
  auto redactor = std::unique_ptr<Redactor>(new Redactor(std::move(set)));
  for (const Rule& rule : rules) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_encoding(RE2::Options::EncodingLatin1);
    auto pattern = std::make_unique<RE2>(rule.pattern, options);
    if (std::string error; !pattern->CheckRewriteString(rule.replacement, &error)) {
      return Fail(ErrorCode::kInvalidArgument, "redact: replacement `{}`: {}", rule.replacement,
                  error);
    }
    // It would be found between any two letters.
    if (RE2::FullMatch("", *pattern)) {
      return Fail(ErrorCode::kInvalidArgument, "redact: pattern `{}` matches nothing at all",
                  rule.pattern);
    }
    redactor->patterns_.push_back(std::move(pattern));
    redactor->replacements_.push_back(rule.replacement);
  }
  return redactor;
}

uint64_t Redactor::ApplyTo(std::string& text) const {
  if (!set_.Match(text, hits_)) return 0;
  uint64_t count = 0;
  for (const int hit : hits_) {
    const auto at = static_cast<size_t>(hit);
    count += static_cast<uint64_t>(RE2::GlobalReplace(&text, *patterns_[at], replacements_[at]));
  }
  return count;
}

uint64_t Redactor::Apply(LogChunk::Record& record) const {
  uint64_t count = ApplyTo(record.body);
  for (auto& [name, value] : record.attributes) count += ApplyTo(value);
  return count;
}

}  // namespace faultline
