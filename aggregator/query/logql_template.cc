#include "aggregator/query/logql_template.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::logql {
namespace {

using Arguments = std::vector<TemplateValue>;
using LineFunction = Result<TemplateValue> (*)(const LogLine& line, Arguments& arguments);

template <typename... Args>
std::unexpected<Error> Bad(fmt::format_string<Args...> format, Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, format, std::forward<Args>(args)...);
}

Result<void> Count(const Arguments& arguments, size_t wanted) {
  if (arguments.size() == wanted) return {};
  return Bad("wrong number of args: want {} got {}", wanted, arguments.size());
}

std::string Changed(std::string text, int (*change)(int)) {
  std::ranges::transform(text, text.begin(), [&](unsigned char c) { return static_cast<char>(change(c)); });
  return text;
}
std::string Upper(const std::string& text) { return Changed(text, std::toupper); }
std::string Lower(const std::string& text) { return Changed(text, std::tolower); }
std::string Title(const std::string& text) {
  std::string out = text;
  bool begins = true;
  for (char& c : out) {
    if (begins) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    begins = c == ' ' || c == '\t';
  }
  return out;
}
std::string Trimmed(const std::string& text) { return std::string(Trim(text)); }

template <std::string (*change)(const std::string&)>
Result<TemplateValue> Text1(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 1));
  return TemplateValue(change(a[0].Text()));
}

std::string ReplaceText(std::string text, const std::string& from, const std::string& to, int64_t most) {
  if (from.empty()) return text;
  for (size_t at = 0; most != 0 && (at = text.find(from, at)) != std::string::npos; at += to.size(), --most)
    text.replace(at, from.size(), to);
  return text;
}
std::string TrimLeftOf(std::string_view text, std::string_view set) {
  const size_t at = text.find_first_not_of(set);
  return at == std::string_view::npos ? "" : std::string(text.substr(at));
}
std::string TrimRightOf(std::string_view text, std::string_view set) {
  const size_t at = text.find_last_not_of(set);
  return at == std::string_view::npos ? "" : std::string(text.substr(0, at + 1));
}

template <typename Change>
Result<TemplateValue> OfTwo(const Arguments& arguments, const Change& change) {
  FAULTLINE_TRY(Count(arguments, 2));
  return TemplateValue(change(arguments[0].Text(), arguments[1].Text()));
}
// The older functions have the text first, the newer ones (of Sprig) last, as a pipeline gives it.
#define FAULTLINE_TWO(expression)                                                            \
  [](const LogLine&, Arguments& arguments) -> Result<TemplateValue> {                        \
    return OfTwo(arguments, [](const std::string& a, const std::string& b) { return expression; }); \
  }

Result<TemplateValue> OldReplace(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 4));
  FAULTLINE_ASSIGN(const double most, TemplateNumber(a[3]));
  return TemplateValue(ReplaceText(a[0].Text(), a[1].Text(), a[2].Text(), static_cast<int64_t>(std::clamp(most, -1.0, 1e9))));
}
Result<TemplateValue> NewReplace(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 3));
  return TemplateValue(ReplaceText(a[2].Text(), a[0].Text(), a[1].Text(), -1));
}

Result<TemplateValue> RegexReplace(Arguments& a, bool literal) {
  FAULTLINE_TRY(Count(a, 3));
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(4 << 20);
  const RE2 pattern(a[0].Text(), options);
  if (!pattern.ok()) return Bad("{}", pattern.error());
  std::string replacement = ReplaceText(a[2].Text(), "\\", "\\\\", -1);
  if (!literal) {
    for (int group = 0; group <= std::min(pattern.NumberOfCapturingGroups(), 9); ++group) {
      replacement = ReplaceText(replacement, fmt::format("${{{}}}", group), fmt::format("\\{}", group), -1);
      replacement = ReplaceText(replacement, fmt::format("${}", group), fmt::format("\\{}", group), -1);
    }
  }
  std::string text = a[1].Text();
  RE2::GlobalReplace(&text, pattern, replacement);
  return TemplateValue(text);
}
Result<TemplateValue> RegexReplaceAll(const LogLine&, Arguments& a) { return RegexReplace(a, false); }
Result<TemplateValue> RegexReplaceLiteral(const LogLine&, Arguments& a) { return RegexReplace(a, true); }

Result<TemplateValue> Trunc(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 2));
  FAULTLINE_ASSIGN(const double count, TemplateNumber(a[0]));
  const std::string text = a[1].Text();
  const auto size = static_cast<double>(text.size());
  if (std::abs(count) >= size) return TemplateValue(text);
  return TemplateValue(count >= 0 ? text.substr(0, static_cast<size_t>(count)) : text.substr(static_cast<size_t>(size + count)));
}
Result<TemplateValue> Substr(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 3));
  FAULTLINE_ASSIGN(const double begin, TemplateNumber(a[0]));
  FAULTLINE_ASSIGN(const double end, TemplateNumber(a[1]));
  const std::string text = a[2].Text();
  const auto from = static_cast<size_t>(std::clamp(begin, 0.0, static_cast<double>(text.size())));
  const auto to = end < 0 ? text.size() : static_cast<size_t>(std::clamp(end, 0.0, static_cast<double>(text.size())));
  return TemplateValue(to > from ? text.substr(from, to - from) : std::string());
}
Result<TemplateValue> Repeat(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 2));
  FAULTLINE_ASSIGN(const double count, TemplateNumber(a[0]));
  const std::string text = a[1].Text();
  if (!(count >= 0 && count * static_cast<double>(text.size()) < 65536)) return Bad("repeat: too much");
  std::string out;
  for (int i = 0; i < static_cast<int>(count); ++i) out += text;
  return TemplateValue(out);
}
template <bool left>
Result<TemplateValue> Align(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 2));
  FAULTLINE_ASSIGN(const double wanted, TemplateNumber(a[0]));
  if (!(wanted >= 0 && wanted <= 10'000)) return Bad("align: a width of {}", wanted);
  const auto width = static_cast<size_t>(wanted);
  std::string text = a[1].Text();
  if (text.size() >= width) return TemplateValue(left ? text.substr(0, width) : text.substr(text.size() - width));
  return TemplateValue(left ? text + std::string(width - text.size(), ' ') : std::string(width - text.size(), ' ') + text);
}
Result<TemplateValue> Default(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 2));
  return a[1].Truth() ? a[1] : a[0];
}

// ---- Numbers
template <typename Fold>
Result<TemplateValue> Fold2(const Arguments& arguments, bool integers, const Fold& fold) {
  if (arguments.empty()) return Bad("wrong number of args");
  FAULTLINE_ASSIGN(double value, TemplateNumber(arguments[0]));
  if (integers) value = std::trunc(value);
  for (size_t i = 1; i < arguments.size(); ++i) {
    FAULTLINE_ASSIGN(double next, TemplateNumber(arguments[i]));
    if (integers) next = std::trunc(next);
    value = fold(value, next);
    if (integers) value = std::trunc(value);
  }
  if (!integers) return TemplateValue(value);
  if (!(std::abs(value) < 9e18)) return Bad("not an integer: {}", value);
  return TemplateValue(static_cast<int64_t>(value));
}
#define FAULTLINE_FOLD(integers, expression) \
  [](const LogLine&, Arguments& a) -> Result<TemplateValue> { return Fold2(a, integers, [](double x, double y) -> double { return expression; }); }

template <double (*change)(double)>
Result<TemplateValue> Number1(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 1));
  FAULTLINE_ASSIGN(const double value, TemplateNumber(a[0]));
  return TemplateValue(change(value));
}
double Floor(double v) { return std::floor(v); }
double Ceil(double v) { return std::ceil(v); }
double Same(double v) { return v; }
Result<TemplateValue> Round(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 2));
  FAULTLINE_ASSIGN(const double value, TemplateNumber(a[0]));
  FAULTLINE_ASSIGN(const double digits, TemplateNumber(a[1]));
  const double scale = std::pow(10.0, std::clamp(digits, 0.0, 15.0));
  return TemplateValue(std::round(value * scale) / scale);
}
Result<TemplateValue> Integer(const LogLine&, Arguments& a) { return Fold2(a, true, [](double x, double) { return x; }); }

template <Unwrap::Unit unit>
Result<TemplateValue> Quantity(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 1));
  const auto value = ParseQuantity(a[0].Text(), unit);
  if (!value) return Bad("cannot parse '{}'", a[0].Text());
  return TemplateValue(*value);
}

// ---- Time: nanoseconds since 1970 as a number; layouts are Go's reference time.
std::string Layout(std::string_view layout, int64_t unix_ns) {
  static constexpr std::pair<std::string_view, std::string_view> kParts[] = {
      {"2006", "%Y"}, {"January", "%B"}, {"Jan", "%b"}, {"Monday", "%A"}, {"Mon", "%a"}, {"01", "%m"}, {"02", "%d"},
      {"15", "%H"},   {"03", "%I"},      {"04", "%M"},  {"05", "%S"},     {"06", "%y"},  {"PM", "%p"}, {"MST", "UTC"},
      {"Z07:00", "Z"}, {"-0700", "+0000"}};
  const std::time_t second = unix_ns / kNsPerSecond - (unix_ns % kNsPerSecond < 0 ? 1 : 0);
  std::tm tm{};
  gmtime_r(&second, &tm);
  std::string out;
  while (!layout.empty()) {
    if (layout.size() > 1 && layout[0] == '.' && (layout[1] == '0' || layout[1] == '9')) {
      size_t digits = 1;
      while (digits < layout.size() && layout[digits] == layout[1]) ++digits;
      out += fmt::format(".{:09}", unix_ns - second * kNsPerSecond).substr(0, std::min<size_t>(digits, 10));
      layout.remove_prefix(digits);
      continue;
    }
    const auto part = std::ranges::find_if(kParts, [&](const auto& p) { return layout.starts_with(p.first); });
    if (part == std::end(kParts)) {
      out += layout[0];
      layout.remove_prefix(1);
      continue;
    }
    char text[32];
    out.append(text, std::strftime(text, sizeof text, std::string(part->second).c_str(), &tm));
    layout.remove_prefix(part->first.size());
  }
  return out;
}
Result<TemplateValue> Date(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 2));
  FAULTLINE_ASSIGN(const double at, TemplateNumber(a[1]));
  const auto* exact = std::get_if<int64_t>(&a[1].is);
  return TemplateValue(Layout(a[0].Text(), exact != nullptr ? *exact : static_cast<int64_t>(at)));
}
template <int64_t divisor>
Result<TemplateValue> Epoch(const LogLine&, Arguments& a) {
  FAULTLINE_TRY(Count(a, 1));
  const auto* exact = std::get_if<int64_t>(&a[0].is);
  if (exact == nullptr) return Bad("not a time: {}", a[0].Text());
  return TemplateValue(std::to_string(*exact / divisor));
}
Result<TemplateValue> Line(const LogLine& line, Arguments&) { return TemplateValue(std::string(line.text)); }
Result<TemplateValue> Timestamp(const LogLine& line, Arguments&) { return TemplateValue(line.time_unix_ns); }
Result<TemplateValue> Now(const LogLine&, Arguments&) { return TemplateValue(SystemClock().UnixNs()); }

const std::map<std::string_view, LineFunction>& Table() {
  static const std::map<std::string_view, LineFunction> table = {
      {"ToLower", Text1<Lower>}, {"ToUpper", Text1<Upper>}, {"lower", Text1<Lower>}, {"upper", Text1<Upper>},
      {"title", Text1<Title>}, {"Title", Text1<Title>}, {"trim", Text1<Trimmed>}, {"TrimSpace", Text1<Trimmed>},
      {"Replace", OldReplace}, {"replace", NewReplace},
      {"Trim", FAULTLINE_TWO(TrimLeftOf(TrimRightOf(a, b), b))},
      {"TrimLeft", FAULTLINE_TWO(TrimLeftOf(a, b))}, {"TrimRight", FAULTLINE_TWO(TrimRightOf(a, b))},
      {"TrimPrefix", FAULTLINE_TWO(a.starts_with(b) ? a.substr(b.size()) : a)},
      {"TrimSuffix", FAULTLINE_TWO(a.ends_with(b) ? a.substr(0, a.size() - b.size()) : a)},
      {"trimAll", FAULTLINE_TWO(TrimLeftOf(TrimRightOf(b, a), a))},
      {"trimPrefix", FAULTLINE_TWO(b.starts_with(a) ? b.substr(a.size()) : b)},
      {"trimSuffix", FAULTLINE_TWO(b.ends_with(a) ? b.substr(0, b.size() - a.size()) : b)},
      {"contains", FAULTLINE_TWO(b.find(a) != std::string::npos)},
      {"hasPrefix", FAULTLINE_TWO(b.starts_with(a))}, {"hasSuffix", FAULTLINE_TWO(b.ends_with(a))},
      {"regexReplaceAll", RegexReplaceAll}, {"regexReplaceAllLiteral", RegexReplaceLiteral},
      {"trunc", Trunc}, {"substr", Substr}, {"repeat", Repeat}, {"alignLeft", Align<true>}, {"alignRight", Align<false>},
      {"default", Default},
      {"add", FAULTLINE_FOLD(true, x + y)}, {"sub", FAULTLINE_FOLD(true, x - y)}, {"mul", FAULTLINE_FOLD(true, x * y)},
      {"div", FAULTLINE_FOLD(true, x / y)}, {"mod", FAULTLINE_FOLD(true, std::fmod(x, y))},
      {"max", FAULTLINE_FOLD(true, std::max(x, y))}, {"min", FAULTLINE_FOLD(true, std::min(x, y))},
      {"addf", FAULTLINE_FOLD(false, x + y)}, {"subf", FAULTLINE_FOLD(false, x - y)}, {"mulf", FAULTLINE_FOLD(false, x * y)},
      {"divf", FAULTLINE_FOLD(false, x / y)}, {"maxf", FAULTLINE_FOLD(false, std::max(x, y))},
      {"minf", FAULTLINE_FOLD(false, std::min(x, y))},
      {"floor", Number1<Floor>}, {"ceil", Number1<Ceil>}, {"float64", Number1<Same>}, {"round", Round}, {"int", Integer},
      {"bytes", Quantity<Unwrap::Unit::kBytes>}, {"duration", Quantity<Unwrap::Unit::kDuration>},
      {"duration_seconds", Quantity<Unwrap::Unit::kDuration>},
      {"date", Date}, {"now", Now}, {"unixEpoch", Epoch<kNsPerSecond>}, {"unixEpochMillis", Epoch<kNsPerMs>},
      {"unixEpochNanos", Epoch<1>}, {"__line__", Line}, {"__timestamp__", Timestamp},
  };
  return table;
}

class LineFunctions final : public TemplateFunctions {
 public:
  explicit LineFunctions(const LogLine* line) : line_(line) {}
  bool Has(std::string_view name) const override { return Table().contains(name); }
  Result<TemplateValue> Call(std::string_view name, Arguments& arguments) const override {
    const auto found = Table().find(name);
    if (found == Table().end()) return Bad("function \"{}\" not defined", name);
    return found->second(*line_, arguments);
  }

 private:
  const LogLine* line_;
};

}  // namespace

Result<LineTemplate> LineTemplate::Parse(std::string_view text) {
  LineTemplate parsed;
  std::string_view rest = text;
  while (true) {
    const size_t open = rest.find("{{");
    Piece piece{std::string(rest.substr(0, open)), {}};
    const size_t close = open == std::string_view::npos ? open : rest.find("}}", open);
    if (open == std::string_view::npos) {
      parsed.pieces_.push_back(std::move(piece));
      return parsed;
    }
    const std::string_view field = close == std::string_view::npos ? std::string_view() : Trim(rest.substr(open + 2, close - open - 2));
    if (!field.starts_with('.') || !promql::IsLabelName(field.substr(1))) break;
    piece.label = field.substr(1);
    parsed.pieces_.push_back(std::move(piece));
    rest.remove_prefix(close + 2);
  }
  parsed.pieces_.clear();
  auto tree = TextTemplate::Parse(text, LineFunctions(nullptr));
  if (!tree) return Bad("invalid template: {}", tree.error().message);
  parsed.text_ = std::move(*tree);
  return parsed;
}

LineTemplate LineTemplate::OfField(const std::string& label) {
  LineTemplate field;
  field.pieces_.push_back({"", label});
  return field;
}

std::string LineTemplate::Render(LogLine& line) const {
  if (!text_) {
    std::string out;
    for (const Piece& piece : pieces_) {
      out += piece.literal;
      if (!piece.label.empty()) out += piece.label == "__line__" ? line.text : line.Get(piece.label);
    }
    return out;
  }
  auto expanded = text_->Expand(MapOf(line.Merged()), {}, LineFunctions(&line));
  if (expanded) return std::move(*expanded);
  line.Complain("TemplateFormatErr");
  line.Set("__error_details__", expanded.error().message);
  return {};
}

}  // namespace faultline::logql
