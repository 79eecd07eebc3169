// One number of /proc/net/snmp or netstat: a line of names and a line of numbers behind the same
// prefix.
#pragma once

#include <optional>
#include <string_view>

#include "common/host_view.h"
#include "common/text.h"

namespace faultline {

inline std::optional<double> SnmpValue(const HostView& host, std::string_view path,
                                       std::string_view prefix, std::string_view name) {
  const auto text = host.fs.Read(path);
  if (!text) return std::nullopt;
  std::string_view rest = *text, line, names;
  while (NextLine(rest, line)) {
    if (!line.starts_with(prefix)) continue;
    if (names.empty()) {
      names = line;
      continue;
    }
    for (std::string_view key = NextWord(names), value = NextWord(line);
         !key.empty() && !value.empty(); key = NextWord(names), value = NextWord(line)) {
      if (key == name) return ParseDouble(value);
    }
    names = {};
  }
  return std::nullopt;
}

}  // namespace faultline
