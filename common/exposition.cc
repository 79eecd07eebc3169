#include "common/exposition.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "common/text.h"

namespace faultline {
namespace {

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsBlank(char c) { return c == ' ' || c == '\t'; }

void SkipBlanks(std::string_view& text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
}

// A metric name may hold colons, a label name may not. Empty: none here.
std::string_view TakeName(std::string_view& text, bool colons) {
  size_t end = 0;
  while (end < text.size() && (IsNameStart(text[end]) || (colons && text[end] == ':') ||
                               (end > 0 && IsDigit(text[end])))) {
    ++end;
  }
  const std::string_view name = text.substr(0, end);
  text.remove_prefix(end);
  return name;
}

// Numbers as Go's ParseFloat takes them, as far as anybody writes them: 1, -2.5e3, 0x1p-2, NaN,
// +Inf, Infinity.
std::optional<double> ParseValue(std::string_view word) {
  bool negative = false;
  if (!word.empty() && (word.front() == '+' || word.front() == '-')) {
    negative = word.front() == '-';
    word.remove_prefix(1);
  }
  double value = 0;
  auto format = std::chars_format::general;
  if (word.starts_with("0x") || word.starts_with("0X")) {
    word.remove_prefix(2);
    format = std::chars_format::hex;
  }
  // from_chars takes a sign of its own, inf and nan in any case; only the sign must not come twice.
  if (word.empty() || word.front() == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, format);
  if (end != word.data() + word.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too large or too small: from_chars does not say which.
    const size_t exponent = word.find_first_of("eEpP");
    const bool tiny =
        exponent != std::string_view::npos && word.substr(exponent + 1).starts_with('-');
    value = tiny ? 0 : std::numeric_limits<double>::infinity();
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::string_view TypeSuffixFree(std::string_view name, v1::MetricType type) {
  const auto without = [&](std::string_view suffix) {
    return name.substr(0, name.size() - suffix.size());
  };
  if (name.ends_with("_sum")) return without("_sum");
  if (name.ends_with("_count")) return without("_count");
  if (type == v1::METRIC_TYPE_HISTOGRAM && name.ends_with("_bucket")) return without("_bucket");
  return name;
}

class Parser {
 public:
  Parser(std::string_view text, size_t max_samples) : rest_(text), max_samples_(max_samples) {}

  Result<Exposition> Run() {
    std::string_view line;
    while (NextLine(rest_, line)) {
      ++line_number_;
      if (!line.empty() && line.back() == '\r')
        return Wrong("carriage return at the end of the line");
      SkipBlanks(line);
      if (line.empty()) continue;
      FAULTLINE_TRY(line.front() == '#' ? Comment(line) : Sample(line));
    }
    return std::move(parsed_);
  }

 private:
  std::unexpected<Error> Wrong(std::string_view what) const {
    return Fail(ErrorCode::kCorruption, "line {}: {}", line_number_, what);
  }

  size_t FamilyIndex(std::string_view name) {
    const auto known = by_name_.find(name);
    if (known != by_name_.end()) return known->second;
    const size_t index = parsed_.families.size();
    parsed_.families.push_back({std::string(name), v1::METRIC_TYPE_UNTYPED, ""});
    states_.push_back({});
    by_name_.emplace(name, index);
    return index;
  }

  // "# HELP name text" and "# TYPE name type" mean something; other comments do not.
  Result<void> Comment(std::string_view line) {
    line.remove_prefix(1);
    SkipBlanks(line);
    const std::string_view keyword = NextWord(line);
    if (keyword != "HELP" && keyword != "TYPE") return {};
    SkipBlanks(line);
    const std::string_view name = TakeName(line, true);
    if (name.empty() || (!line.empty() && !IsBlank(line.front()))) return Wrong("bad metric name");
    const size_t index = FamilyIndex(name);
    SkipBlanks(line);
    return keyword == "HELP" ? Help(index, line) : Type(index, line);
  }

  Result<void> Help(size_t index, std::string_view text) {
    if (states_[index].has_help) return Wrong("second HELP of this metric");
    states_[index].has_help = true;
    FAULTLINE_ASSIGN(parsed_.families[index].help, Unescape(text, false));
    return {};
  }

  Result<void> Type(size_t index, std::string_view text) {
    static constexpr std::pair<std::string_view, v1::MetricType> kTypes[] = {
        {"counter", v1::METRIC_TYPE_COUNTER},
        {"gauge", v1::METRIC_TYPE_GAUGE},
        {"histogram", v1::METRIC_TYPE_HISTOGRAM},
        {"summary", v1::METRIC_TYPE_SUMMARY},
        {"untyped", v1::METRIC_TYPE_UNTYPED}};
    if (states_[index].has_type) return Wrong("second TYPE of this metric");
    if (states_[index].has_samples) return Wrong("TYPE behind samples of this metric");
    for (const auto& [name, type] : kTypes) {
      if (name != Trim(text)) continue;
      states_[index].has_type = true;
      parsed_.families[index].type = type;
      return {};
    }
    return Wrong("unknown metric type");
  }

  Result<void> Sample(std::string_view line) {
    if (parsed_.samples.size() >= max_samples_) {
      return Fail(ErrorCode::kResourceExhausted, "more than {} samples", max_samples_);
    }
    ExpositionSample sample;
    const std::string_view name = TakeName(line, true);
    if (name.empty()) return Wrong("no metric name");
    sample.name = name;
    sample.family = FamilyOfSeries(name);
    states_[sample.family].has_samples = true;
    SkipBlanks(line);
    if (!line.empty() && line.front() == '{') FAULTLINE_TRY(Labels(line, sample));
    const std::string_view number = NextWord(line);
    const auto value = ParseValue(number);
    if (!value) return Wrong("no number");
    sample.value = *value;
    const std::string_view time = NextWord(line);
    if (!time.empty()) {
      const auto time_ms = ParseInt(time);
      if (!time_ms) return Wrong("bad time stamp");
      sample.has_time = true;
      sample.time_unix_ms = *time_ms;
    }
    if (!Trim(line).empty()) return Wrong("something behind the sample");
    parsed_.samples.push_back(std::move(sample));
    return {};
  }

  // x_bucket belongs to x if x was declared as a histogram (x_sum, x_count also of a summary).
  size_t FamilyOfSeries(std::string_view name) {
    for (const auto type : {v1::METRIC_TYPE_HISTOGRAM, v1::METRIC_TYPE_SUMMARY}) {
      const std::string_view stem = TypeSuffixFree(name, type);
      const auto known = by_name_.find(stem);
      if (known != by_name_.end() && parsed_.families[known->second].type == type)
        return known->second;
    }
    return FamilyIndex(name);
  }

  Result<void> Labels(std::string_view& line, ExpositionSample& sample) {
    line.remove_prefix(1);
    while (true) {
      SkipBlanks(line);
      if (!line.empty() && line.front() == '}') break;
      const std::string_view name = TakeName(line, false);
      if (name.empty()) return Wrong("bad label name");
      if (name == "__name__") return Wrong("label name __name__ is reserved");
      for (const auto& [known, value] : sample.labels) {
        if (known == name) return Wrong("label name twice");
      }
      SkipBlanks(line);
      if (line.empty() || line.front() != '=') return Wrong("no = behind the label name");
      line.remove_prefix(1);
      SkipBlanks(line);
      FAULTLINE_ASSIGN(std::string value, Quoted(line));
      if (!IsValidUtf8(value)) return Wrong("label value is not UTF-8");
      sample.labels.emplace_back(name, std::move(value));
      SkipBlanks(line);
      if (!line.empty() && line.front() == ',') {
        line.remove_prefix(1);
      } else if (line.empty() || line.front() != '}') {
        return Wrong("neither , nor } behind a label");
      }
    }
    line.remove_prefix(1);
    return {};
  }

  Result<std::string> Quoted(std::string_view& line) {
    if (line.empty() || line.front() != '"') return Wrong("label value without quotes");
    size_t end = 1;
    while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
    if (end >= line.size()) return Wrong("label value does not end");
    FAULTLINE_ASSIGN(std::string value, Unescape(line.substr(1, end - 1), true));
    line.remove_prefix(end + 1);
    return value;
  }

  Result<std::string> Unescape(std::string_view text, bool in_quotes) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        result += text[i];
        continue;
      }
      const char next = ++i < text.size() ? text[i] : '\0';
      if (next == '\\') {
        result += '\\';
      } else if (next == 'n') {
        result += '\n';
      } else if (next == '"' && in_quotes) {
        result += '"';
      } else {
        return Wrong("unknown escape sequence");
      }
    }
    return result;
  }

  struct FamilyState {
    bool has_help = false, has_type = false, has_samples = false;
  };
  std::string_view rest_;
  size_t max_samples_;
  size_t line_number_ = 0;
  Exposition parsed_;
  std::vector<FamilyState> states_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

}  // namespace

Result<Exposition> ParseExposition(std::string_view text, size_t max_samples) {
  return Parser(text, max_samples).Run();
}

}  // namespace faultline
