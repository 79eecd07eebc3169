#include "agent/probes/http_head.h"

#include <algorithm>
#include <cctype>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxPathBytes = 256;
constexpr size_t kMaxParts = 8;

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](unsigned char x, char y) {
           return std::tolower(x) == static_cast<unsigned char>(y);
         });
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;  // the standard wants lower case
}

// Empty if it is not hexadecimal, or all zero.
std::string FromHex(std::string_view text) {
  std::string bytes;
  bool has_one = false;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    const int high = HexDigit(text[i]), low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return "";
    bytes += static_cast<char>(high * 16 + low);
    has_one |= bytes.back() != 0;
  }
  return has_one ? bytes : "";
}

// 00-<32 hex>-<16 hex>-<2 hex>
void ReadTraceParent(std::string_view value, HttpHead& head) {
  if (value.size() < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-') return;
  if (value.substr(0, 2) == "ff" || (value.substr(0, 2) == "00" && value.size() != 55)) return;
  const std::string trace_id = FromHex(value.substr(3, 32));
  const std::string parent = FromHex(value.substr(36, 16));
  const int high = HexDigit(value[53]), low = HexDigit(value[54]);
  if (trace_id.empty() || parent.empty() || high < 0 || low < 0) return;
  head.trace_id = trace_id;
  head.parent_span_id = parent;
  head.is_sampled = low & 1;
}

bool IsIdentifier(std::string_view part) {
  if (part.empty()) return false;
  size_t digits = 0, hex = 0;
  for (const char c : part) {
    if (c >= '0' && c <= '9') ++digits;
    if (std::isxdigit(static_cast<unsigned char>(c)) || c == '-') ++hex;
  }
  if (digits == part.size()) return true;
  if (hex == part.size() && part.size() >= 8 && digits > 0) return true;
  return part.size() > 40 || (part.size() >= 16 && digits * 3 >= part.size());
}

}  // namespace

std::optional<HttpHead> ParseHttpHead(std::string_view bytes) {
  HttpHead head;
  std::string_view rest = bytes, line;
  if (!NextLine(rest, line)) return std::nullopt;
  const size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos || method_end == 0 || method_end > 16)
    return std::nullopt;
  head.method = line.substr(0, method_end);
  if (!std::all_of(head.method.begin(), head.method.end(),
                   [](char c) { return c >= 'A' && c <= 'Z'; }))
    return std::nullopt;
  std::string_view target = line.substr(method_end + 1);
  target = target.substr(0, target.find(' '));
  // An absolute target names the host too.
  if (const size_t scheme = target.find("://"); scheme != std::string_view::npos && scheme < 8) {
    const size_t slash = target.find('/', scheme + 3);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  head.path = target.substr(0, std::min(target.find_first_of("?#"), kMaxPathBytes));
  while (NextLine(rest, line)) {
    line = Trim(line);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon), value = Trim(line.substr(colon + 1));
    if (EqualsIgnoringCase(name, "host")) head.host = value;
    if (EqualsIgnoringCase(name, "user-agent")) head.user_agent = value;
    // A line that the end of the bytes cut is no proof.
    if (EqualsIgnoringCase(name, "traceparent")) ReadTraceParent(value, head);
  }
  return head;
}

std::string RouteOf(std::string_view path) {
  std::string route;
  size_t parts = 0;
  while (!path.empty()) {
    if (path.front() == '/') path.remove_prefix(1);
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(end);
    route += '/';
    if (++parts > kMaxParts) return route + "…";
    route += IsIdentifier(part) ? "{id}" : part;
  }
  return route.empty() ? "/" : route;
}

}  // namespace faultline
