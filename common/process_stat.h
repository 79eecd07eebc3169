// One line of /proc/<pid>/stat, as far as anybody here needs it. See proc(5) for the fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/text.h"

namespace faultline {

struct ProcessStat {
  std::string_view comm;  // a view of the text; may hold blanks and brackets
  char state = '?';
  uint64_t parent = 0;
  uint64_t flags = 0;      // PF_… of the kernel
  uint64_t cpu_ticks = 0;  // user and system
  uint64_t threads = 0;
  uint64_t start_ticks = 0;  // since boot; with the pid, names a process for ever
  uint64_t resident_pages = 0;
};

// Nothing when the text is not such a line.
inline std::optional<ProcessStat> ParseProcessStat(std::string_view text) {
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  ProcessStat stat;
  stat.comm = text.substr(open + 1, close - open - 1);
  text.remove_prefix(close + 1);
  for (int field = 3; field <= 24; ++field) {
    const std::string_view word = NextWord(text);
    if (word.empty()) return std::nullopt;
    if (field == 3) stat.state = word.front();
    if (field == 4) stat.parent = ParseUint(word).value_or(0);
    if (field == 9) stat.flags = ParseUint(word).value_or(0);
    if (field == 14 || field == 15) stat.cpu_ticks += ParseUint(word).value_or(0);
    if (field == 20) stat.threads = ParseUint(word).value_or(0);
    if (field == 22) stat.start_ticks = ParseUint(word).value_or(0);
    if (field == 24) stat.resident_pages = ParseUint(word).value_or(0);
  }
  return stat;
}

}  // namespace faultline
