#include "common/name_filter.h"

#include <re2/re2.h>

#include <map>
#include <string>

namespace faultline {

struct NameFilter::Impl {
  std::unique_ptr<RE2> pattern;
  std::map<std::string, bool, std::less<>> answers;
};

// More names than this are not remembered, only asked about.
constexpr size_t kMaxRemembered = 4096;

NameFilter::NameFilter() : impl_(std::make_unique<Impl>()) {}
NameFilter::NameFilter(NameFilter&&) noexcept = default;
NameFilter& NameFilter::operator=(NameFilter&&) noexcept = default;
NameFilter::~NameFilter() = default;

Result<NameFilter> NameFilter::Create(std::string_view pattern) {
  NameFilter filter;
  if (pattern.empty()) return filter;
  filter.impl_->pattern =
      std::make_unique<RE2>(re2::StringPiece(pattern.data(), pattern.size()), RE2::Quiet);
  if (!filter.impl_->pattern->ok()) {
    return Fail(ErrorCode::kInvalidArgument, "bad expression '{}': {}", pattern,
                filter.impl_->pattern->error());
  }
  return filter;
}

bool NameFilter::Matches(std::string_view name) {
  if (!impl_->pattern) return false;
  const auto known = impl_->answers.find(name);
  if (known != impl_->answers.end()) return known->second;
  const bool answer =
      RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *impl_->pattern);
  if (impl_->answers.size() < kMaxRemembered) impl_->answers.emplace(name, answer);
  return answer;
}

}  // namespace faultline
