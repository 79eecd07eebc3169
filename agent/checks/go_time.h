// Times of log lines, in the way node-problem-detector's files describe them: by how Go writes its
// reference time (Jan _2 15:04:05, 2006-01-02T15:04:05.999999999-07:00).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace faultline {

// Unix nanoseconds. A layout without a zone means local time, without a year the year of
// `now_unix_ns` (or the one before, where that would lie ahead). Nothing: the text is not of that
// layout.
std::optional<int64_t> ParseGoTime(std::string_view layout, std::string_view text,
                                   int64_t now_unix_ns);

}  // namespace faultline
