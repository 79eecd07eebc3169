// What several text parsers know: the names programs give to level, time and trace, and how they
// write them.
#pragma once

#include <optional>
#include <string_view>

#include "common/emitter.h"

namespace faultline {

// A member of a structured line: level, severity, ts, time, trace_id, span_id, logger and their
// spellings are taken into the record; others are left in the text.
void TakeTextField(std::string_view name, std::string_view value, LogChunk::Record& record);
void AddAttribute(LogChunk::Record& record, std::string_view name, std::string_view value);

// RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970, told by size.
std::optional<int64_t> TimeOfText(std::string_view text);
// `Nov`, 20, `12:00:00` and perhaps a fraction, of the year that is nearest to now.
std::optional<int64_t> TimeWithoutYear(int month, int day, std::string_view clock,
                                       int64_t now_unix_ns);
// 1 … 12; 0: none.
int MonthOf(std::string_view three_letters);

}  // namespace faultline
