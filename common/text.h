// Small views over text: what parsing /proc, flags and headers needs. Nothing here allocates unless its
// result type says so.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

std::string_view Trim(std::string_view text);
std::vector<std::string_view> Split(std::string_view text, char separator);
// Takes the next word off `text` (blanks and tabs separate); empty at the end.
std::string_view NextWord(std::string_view& text);
// Takes the next line off `text`, without its newline. False at the end.
bool NextLine(std::string_view& text, std::string_view& line);

// The whole of `text` must be the number.
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<uint64_t> ParseUint(std::string_view text, int base = 10);
std::optional<double> ParseDouble(std::string_view text);

// `1h30m`, `250ms`, `15d` (Prometheus' units ms s m h d w y, and Go's us, ns); to nanoseconds.
std::optional<int64_t> ParseDurationNs(std::string_view text);
// `64MiB`, `10k`, `512`: B, k/K/KB, KiB, M…, G…, T…
std::optional<uint64_t> ParseBytes(std::string_view text);
// The shortest form that reads back as the same double; NaN, +Inf, -Inf as Prometheus writes them.
std::string FormatDouble(double value);
// 2026-11-20T12:00:00.123456789Z
std::string FormatTime(int64_t unix_ns);
// RFC 3339 with any fraction and offset; to UTC nanoseconds.
std::optional<int64_t> ParseTime(std::string_view text);
// Shell-style * ? [a-z] against the whole of `text`.
bool GlobMatch(std::string_view pattern, std::string_view text);
// `text` itself, or a copy with each invalid sequence replaced by U+FFFD.
bool IsValidUtf8(std::string_view text);
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace faultline
