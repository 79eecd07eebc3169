// key=value pairs, values quoted where they hold blanks: `ts=2026-… level=warn msg="disk is full"`.
// A line whose first word is no pair is none of these.
#include "agent/logs/text_fields.h"
#include "agent/logs/text_parser.h"

namespace faultline {
namespace {

constexpr size_t kMaxPairs = 256;

class LogfmtText final : public TextParser {
 public:
  bool Parse(LogChunk::Record& record, int64_t) const override {
    std::string_view rest = record.body;
    std::string_view key, value;
    LogChunk::Record found;
    found.time_unix_ns = record.time_unix_ns;
    size_t pairs = 0;
    while (pairs < kMaxPairs && TakePair(rest, key, value)) {
      TakeTextField(key, value, found);
      ++pairs;
    }
    if (pairs == 0) return false;
    record.severity = found.severity;
    record.time_unix_ns = found.time_unix_ns;
    for (auto& attribute : found.attributes) record.attributes.push_back(std::move(attribute));
    return true;
  }

 private:
  static bool IsKey(std::string_view text) {
    for (const char c : text) {
      if (c <= ' ' || c == '"' || c == '=') return false;
    }
    return !text.empty();
  }

  // A quoted value is given with its escapes: those that matter here have none.
  static bool TakePair(std::string_view& rest, std::string_view& key, std::string_view& value) {
    const size_t begin = rest.find_first_not_of(' ');
    if (begin == std::string_view::npos) return false;
    rest.remove_prefix(begin);
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos || !IsKey(rest.substr(0, equals))) return false;
    key = rest.substr(0, equals);
    rest.remove_prefix(equals + 1);
    if (!rest.starts_with('"')) {
      const size_t end = rest.find(' ');
      value = rest.substr(0, end);
      rest.remove_prefix(value.size());
      return true;
    }
    size_t end = 1;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return false;
    value = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return true;
  }
};

}  // namespace

std::unique_ptr<TextParser> MakeLogfmtText() { return std::make_unique<LogfmtText>(); }

}  // namespace faultline
