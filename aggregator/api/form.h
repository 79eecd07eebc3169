// Percent-decoding and name=value pairs of query strings and form bodies. Strict: a broken escape or a NUL is
// an error that says where.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace faultline {

constexpr size_t kMaxFormPairs = 10'000;

// `plus_is_space` in query strings and forms, not in paths.
Result<std::string> DecodePercent(std::string_view text, bool plus_is_space);
// a=b&c=d, appended to `pairs`.
Result<void> DecodeForm(std::string_view text, std::vector<std::pair<std::string, std::string>>& pairs);
// /a/b%2Fc as its decoded parts {"a", "b/c"}. A trailing slash makes no part.
Result<std::vector<std::string>> DecodePath(std::string_view path);

}  // namespace faultline
