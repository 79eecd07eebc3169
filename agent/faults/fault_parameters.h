// The parameters of a fault, declared once in its catalogue row: name (Chaos Mesh's or chaosd's),
// kind, default, bounds. The frame checks them before Plan, fills the defaults in, and names what
// it refuses; `--list`, documentation and the conformance suite read the same rows.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace faultline {

enum class ParameterKind {
  kText,      // anything without a NUL
  kInteger,   // 42, -1
  kNumber,    // 0.5
  kPercent,   // 25, 12.5, 25%: 0 to 100
  kDuration,  // Go's: 100ms, 1h30m, -10m
  kBytes,     // 512, 64MiB, 1GB
  kSize,      // bytes, or a share: 50%
  kRate,      // tc's: 1mbit, 10mbps (bytes!), 512 (bits per second)
  kBool,      // true, false
  kChoice,    // one word of `choices`
  kList,      // a,b,c or ["a","b"]
};

struct ParameterRow {
  std::string_view name;
  ParameterKind kind = ParameterKind::kText;
  std::string_view fallback = {};  // the default as text; empty: absent unless given
  std::string_view doc = {};
  bool required = false;
  // In the unit of the getter below (nanoseconds, bytes, bytes per second …).
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::string_view choices = {};  // kChoice: "to from both"
};

using ParameterTexts = std::map<std::string, std::string>;

// `given` with the defaults filled in. kInvalidArgument names the parameter as "parameters.NAME":
// unknown, missing, or not of its kind.
Result<ParameterTexts> AcceptParameters(std::span<const ParameterRow> rows,
                                       const ParameterTexts& given, std::string_view fault);
// Texts that AcceptParameters must refuse for this row.
std::vector<std::string> BadValues(const ParameterRow& row);
// "percent: loss (percent, 0 to 100, default 100)" for --list, without the name.
std::string DescribeParameter(const ParameterRow& row);

struct ParsedSize {
  uint64_t bytes = 0;
  std::optional<double> percent;  // set: a share instead
};

std::optional<double> ParsePercent(std::string_view text);
std::optional<ParsedSize> ParseSize(std::string_view text);
// Signed Go duration, in nanoseconds.
std::optional<int64_t> ParseSignedDurationNs(std::string_view text);
// Bytes per second. As tc: bit, kbit (1000), kibit (1024) … and bps, kbps, mbps … which are BYTES
// per second; a bare number is bits per second.
std::optional<double> ParseRateBytesPerS(std::string_view text);
// "a,b", or a JSON array of strings.
std::optional<std::vector<std::string>> ParseList(std::string_view text);

}  // namespace faultline
