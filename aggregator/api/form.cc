#include "aggregator/api/form.h"

#include "common/base_n.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxPathParts = 32;

}  // namespace

Result<std::string> DecodePercent(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t at = i;
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return Fail(ErrorCode::kInvalidArgument, "broken percent escape at byte {}", at);
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return Fail(ErrorCode::kInvalidArgument, "NUL byte at byte {}", at);
    decoded += c;
  }
  return decoded;
}

Result<void> DecodeForm(std::string_view text,
                        std::vector<std::pair<std::string, std::string>>& pairs) {
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    if (pairs.size() >= kMaxFormPairs) {
      return Fail(ErrorCode::kInvalidArgument, "more than {} parameters", kMaxFormPairs);
    }
    const size_t equals = pair.find('=');
    FAULTLINE_ASSIGN(std::string name, DecodePercent(pair.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) {
      auto decoded = DecodePercent(pair.substr(equals + 1), true);
      if (!decoded) return Within("parameter " + name, decoded.error());
      value = std::move(*decoded);
    }
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

Result<std::vector<std::string>> DecodePath(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return Fail(ErrorCode::kInvalidArgument, "path does not start with a slash");
  }
  path.remove_prefix(1);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  std::vector<std::string> parts;
  if (path.empty()) return parts;
  for (const std::string_view raw : Split(path, '/')) {
    if (parts.size() >= kMaxPathParts) {
      return Fail(ErrorCode::kInvalidArgument, "path has more than {} parts", kMaxPathParts);
    }
    FAULTLINE_ASSIGN(std::string part, DecodePercent(raw, false));
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace faultline
