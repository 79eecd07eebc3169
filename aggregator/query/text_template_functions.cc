// The functions that Go itself gives to templates.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "aggregator/query/number_text.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/query/text_template.h"
#include "common/text.h"

namespace faultline {
namespace {

using Arguments = std::vector<TemplateValue>;

template <typename... Args>
std::unexpected<Error> Bad(fmt::format_string<Args...> format, Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, format, std::forward<Args>(args)...);
}

Result<void> Count(const Arguments& arguments, size_t wanted) {
  if (arguments.size() == wanted) return {};
  return Bad("wrong number of args: want {} got {}", wanted, arguments.size());
}

Result<const TemplateMap*> MapIn(const TemplateValue& value) {
  const auto* map = std::get_if<std::shared_ptr<const TemplateMap>>(&value.is);
  if (map == nullptr) return Bad("expected a map, got \"{}\"", value.Text());
  return map->get();
}
Result<const TemplateList*> ListIn(const TemplateValue& value) {
  const auto* list = std::get_if<std::shared_ptr<const TemplateList>>(&value.is);
  if (list == nullptr) return Bad("expected a list, got \"{}\"", value.Text());
  return list->get();
}

std::string Html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&#34;";
    else if (c == '\'') out += "&#39;";
    else out += c;
  }
  return out;
}
std::string UrlQuery(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-_.~").find(c) != std::string_view::npos) out += c;
    else if (c == ' ') out += '+';
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}
using TextChange = std::string (*)(std::string_view);
template <TextChange change>
Result<TemplateValue> OfText(Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  return TemplateValue(change(arguments[0].Text()));
}

// ---- Go's own
// Less than, equal, greater: -1, 0, 1. Numbers of different kinds compare by value, which Go refuses.
Result<int> Order(const TemplateValue& a, const TemplateValue& b) {
  const auto is_number = [](const TemplateValue& v) {
    return std::holds_alternative<double>(v.is) || std::holds_alternative<int64_t>(v.is);
  };
  if (is_number(a) && is_number(b)) {
    FAULTLINE_ASSIGN(const double x, TemplateNumber(a));
    FAULTLINE_ASSIGN(const double y, TemplateNumber(b));
    return x < y ? -1 : x == y ? 0 : 1;
  }
  if (a.is.index() != b.is.index()) return Bad("incompatible types for comparison");
  return std::clamp(a.Text().compare(b.Text()), -1, 1);
}

template <typename Holds>
Result<TemplateValue> Compare(const Arguments& arguments, const Holds& holds) {
  FAULTLINE_TRY(Count(arguments, 2));
  FAULTLINE_ASSIGN(const int order, Order(arguments[0], arguments[1]));
  return TemplateValue(holds(order));
}
Result<TemplateValue> Eq(Arguments& arguments) {
  if (arguments.size() < 2) return Bad("missing argument for comparison");
  for (size_t i = 1; i < arguments.size(); ++i) {
    FAULTLINE_ASSIGN(const int order, Order(arguments[0], arguments[i]));
    if (order == 0) return TemplateValue(true);
  }
  return TemplateValue(false);
}
Result<TemplateValue> Ne(Arguments& a) { return Compare(a, [](int o) { return o != 0; }); }
Result<TemplateValue> Lt(Arguments& a) { return Compare(a, [](int o) { return o < 0; }); }
Result<TemplateValue> Le(Arguments& a) { return Compare(a, [](int o) { return o <= 0; }); }
Result<TemplateValue> Gt(Arguments& a) { return Compare(a, [](int o) { return o > 0; }); }
Result<TemplateValue> Ge(Arguments& a) { return Compare(a, [](int o) { return o >= 0; }); }
Result<TemplateValue> Not(Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  return TemplateValue(!arguments[0].Truth());
}
Result<TemplateValue> Len(Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  if (const auto* text = std::get_if<std::string>(&arguments[0].is)) return TemplateValue(static_cast<int64_t>(text->size()));
  if (const auto map = MapIn(arguments[0])) return TemplateValue(static_cast<int64_t>((*map)->size()));
  FAULTLINE_ASSIGN(const TemplateList* list, ListIn(arguments[0]));
  return TemplateValue(static_cast<int64_t>(list->size()));
}
Result<TemplateValue> Index(Arguments& arguments) {
  if (arguments.empty()) return Bad("wrong number of args for index");
  TemplateValue value = arguments[0];
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (const auto map = MapIn(value)) {
      const auto found = (*map)->find(arguments[i].Text());
      value = found == (*map)->end() ? TemplateValue(std::string()) : TemplateValue(found->second);
      continue;
    }
    FAULTLINE_ASSIGN(const TemplateList* list, ListIn(value));
    FAULTLINE_ASSIGN(const double at, TemplateNumber(arguments[i]));
    if (!(at >= 0 && at < static_cast<double>(list->size()))) return Bad("index out of range: {}", at);
    value = TemplateValue((*list)[static_cast<size_t>(at)]);
  }
  return value;
}
Result<TemplateValue> Print(Arguments& arguments) {
  std::string text;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool texts = i > 0 && (std::holds_alternative<std::string>(arguments[i].is) || std::holds_alternative<std::string>(arguments[i - 1].is));
    text += (i > 0 && !texts ? " " : "") + arguments[i].Text();
  }
  return TemplateValue(text);
}
Result<TemplateValue> PrintLine(Arguments& arguments) {
  std::string text;
  for (size_t i = 0; i < arguments.size(); ++i) text += (i > 0 ? " " : "") + arguments[i].Text();
  return TemplateValue(text + "\n");
}

// One verb of printf: flags, width and precision go to fmt after they are checked.
Result<std::string> Formatted(std::string_view flags, char verb, const TemplateValue& value) {
  std::string spec = "{:";
  std::string_view rest = flags;
  const bool left = rest.find('-') != std::string_view::npos, plus = rest.find('+') != std::string_view::npos;
  const bool zero = rest.starts_with('0') || rest.starts_with("+0");
  while (!rest.empty() && std::string_view("-+ #0").find(rest[0]) != std::string_view::npos) rest.remove_prefix(1);
  const auto width = ParseUint(rest.substr(0, rest.find('.')));
  const size_t dot = rest.find('.');
  const auto precision = dot == std::string_view::npos ? std::nullopt : std::optional(ParseUint(rest.substr(dot + 1)).value_or(0));
  if ((width && *width > 1000) || (precision && *precision > 1000)) return Bad("printf: a width beyond 1000");
  const bool numeric = std::string_view("deEfFgGxXobc").find(verb) != std::string_view::npos;
  spec += left ? "<" : numeric ? ">" : ">";
  if (numeric && zero && !left) spec = "{:";
  if (plus && numeric) spec += '+';
  if (numeric && zero && !left) spec += '0';
  if (width) spec += std::to_string(*width);
  switch (verb) {
    case 's':
    case 'v':
      return fmt::format(fmt::runtime(spec + "}"), precision && verb == 's' ? value.Text().substr(0, *precision) : value.Text());
    case 'q':
      return fmt::format(fmt::runtime(spec + "}"), promql::Quote(value.Text()));
    case 't':
      return std::string(value.Truth() ? "true" : "false");
    case 'd':
    case 'x':
    case 'X':
    case 'o':
    case 'b':
      if (const auto* integer = std::get_if<int64_t>(&value.is)) return fmt::format(fmt::runtime(spec + verb + "}"), *integer);
      return fmt::format("%!{}({})", verb, (std::holds_alternative<double>(value.is) ? "float64=" : "string=") + value.Text());
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      const auto* number = std::get_if<double>(&value.is);
      if (number == nullptr) return fmt::format("%!{}({})", verb, (std::holds_alternative<int64_t>(value.is) ? "int=" : "string=") + value.Text());
      if (!std::isfinite(*number)) {  // never filled with zeros
        const std::string_view name = std::isnan(*number) ? "NaN" : *number > 0 ? "+Inf" : "-Inf";
        const size_t size = width.value_or(0);
        return left ? fmt::format("{:<{}}", name, size) : fmt::format("{:>{}}", name, size);
      }
      if (verb == 'g' && !precision) return GoNumberText(*number);
      return fmt::format(fmt::runtime(spec + "." + std::to_string(precision.value_or(6)) + verb + "}"), *number);
    }
    default:
      return fmt::format("%!{}({})", verb, value.Text());
  }
}

Result<TemplateValue> Printf(Arguments& arguments) {
  if (arguments.empty()) return Bad("wrong number of args for printf");
  const std::string format = arguments[0].Text();
  std::string out;
  size_t next = 1;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const size_t begin = ++i;
    while (i < format.size() && std::string_view("0123456789.-+ #").find(format[i]) != std::string_view::npos) ++i;
    if (i == format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    if (format[i] == '%') {
      out += '%';
    } else if (next >= arguments.size()) {
      out += fmt::format("%!{}(MISSING)", format[i]);
    } else {
      FAULTLINE_ASSIGN(const std::string text, Formatted(std::string_view(format).substr(begin, i - begin), format[i], arguments[next++]));
      out += text;
    }
    if (out.size() > (1 << 20)) return Bad("printf: the text is too long");
  }
  return TemplateValue(out);
}

const std::map<std::string_view, GoTemplateFunction>& Table() {
  static const std::map<std::string_view, GoTemplateFunction> table = {
      {"eq", Eq},       {"ge", Ge},           {"gt", Gt},           {"html", OfText<Html>},
      {"index", Index}, {"le", Le},           {"len", Len},         {"lt", Lt},
      {"ne", Ne},       {"not", Not},         {"print", Print},     {"printf", Printf},
      {"println", PrintLine}, {"urlquery", OfText<UrlQuery>},
  };
  return table;
}

}  // namespace

GoTemplateFunction FindGoTemplateFunction(std::string_view name) {
  const auto found = Table().find(name);
  return found == Table().end() ? nullptr : found->second;
}

Result<double> TemplateNumber(const TemplateValue& value) {
  if (const auto* number = std::get_if<double>(&value.is)) return *number;
  if (const auto* integer = std::get_if<int64_t>(&value.is)) return static_cast<double>(*integer);
  const std::string text = value.Text();
  if (const auto number = ParseDouble(text)) return *number;
  return Bad("can't convert \"{}\" to float", text);
}

std::string GoNumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  char text[40];
  // The shortest digits; the exponent of their scientific form decides, as strconv's 'g' does.
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string_view scientific(text, static_cast<size_t>(end - text));
  std::string_view exponent = scientific.substr(scientific.find('e') + 1);
  if (exponent.starts_with('+')) exponent.remove_prefix(1);
  const int64_t power = ParseInt(exponent).value_or(0);
  if (power < -4 || power >= 6) return std::string(scientific);
  return promql::GoFloatText(value);
}

}  // namespace faultline
