// Templates of alerts: Go's, with the functions that Prometheus adds.
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numeric>

#include "aggregator/alerts/template.h"
#include "aggregator/query/number_text.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::alerts {
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
  if (map == nullptr) return Bad("expected a sample or map, got \"{}\"", value.Text());
  return map->get();
}
Result<const TemplateList*> ListIn(const TemplateValue& value) {
  const auto* list = std::get_if<std::shared_ptr<const TemplateList>>(&value.is);
  if (list == nullptr) return Bad("expected a list, got \"{}\"", value.Text());
  return list->get();
}

// %.4g
std::string Short(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{:.4g}", value);
}

using TextChange = std::string (*)(std::string_view);
template <TextChange change>
Result<TemplateValue> OfText(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  return TemplateValue(change(arguments[0].Text()));
}
using NumberChange = std::string (*)(double);
template <NumberChange change>
Result<TemplateValue> OfNumber(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  FAULTLINE_ASSIGN(const double number, TemplateNumber(arguments[0]));
  return TemplateValue(change(number));
}

// ---- Numbers
std::string Humanize(double v) {
  if (v == 0 || !std::isfinite(v)) return Short(v);
  std::string_view prefix;
  if (std::abs(v) >= 1) {
    for (const std::string_view next : {"k", "M", "G", "T", "P", "E", "Z", "Y"}) {
      if (std::abs(v) < 1000) break;
      prefix = next;
      v /= 1000;
    }
  } else {
    for (const std::string_view next : {"m", "u", "n", "p", "f", "a", "z", "y"}) {
      if (std::abs(v) >= 1) break;
      prefix = next;
      v *= 1000;
    }
  }
  return Short(v) + std::string(prefix);
}

std::string Humanize1024(double v) {
  if (std::abs(v) <= 1 || !std::isfinite(v)) return Short(v);
  std::string_view prefix;
  for (const std::string_view next : {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"}) {
    if (std::abs(v) < 1024) break;
    prefix = next;
    v /= 1024;
  }
  return Short(v) + std::string(prefix);
}

std::string HumanizeDuration(double v) {
  if (!std::isfinite(v)) return Short(v);
  if (v == 0) return "0s";
  if (std::abs(v) < 1) {
    std::string_view prefix;
    for (const std::string_view next : {"m", "u", "n", "p", "f", "a", "z", "y"}) {
      if (std::abs(v) >= 1) break;
      prefix = next;
      v *= 1000;
    }
    return Short(v) + std::string(prefix) + "s";
  }
  const char* sign = v < 0 ? "-" : "";
  v = std::abs(v);
  const int64_t whole = v < 9e18 ? static_cast<int64_t>(v) : INT64_MAX;
  const int64_t seconds = whole % 60, minutes = whole / 60 % 60, hours = whole / 3600 % 24, days = whole / 86400;
  if (days != 0) return fmt::format("{}{}d {}h {}m {}s", sign, days, hours, minutes, seconds);
  if (hours != 0) return fmt::format("{}{}h {}m {}s", sign, hours, minutes, seconds);
  if (minutes != 0) return fmt::format("{}{}m {}s", sign, minutes, seconds);
  return sign + Short(v) + "s";
}

std::string HumanizePercentage(double v) { return Short(v * 100) + "%"; }

std::string HumanizeTimestamp(double v) {
  if (!std::isfinite(v) || std::abs(v) > 9e9) return Short(v);
  const int64_t ms = static_cast<int64_t>(v * 1e9) / kNsPerMs;
  const int64_t second = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
  const std::time_t time = second;
  std::tm tm{};
  gmtime_r(&time, &tm);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
  std::string fraction = fmt::format(".{:03}", ms - second * 1000);
  while (fraction.ends_with('0')) fraction.pop_back();
  if (fraction == ".") fraction.clear();
  return text + fraction + " +0000 UTC";
}

// ---- Texts
std::string Upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}
std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}
std::string Title(std::string_view text) {
  std::string out(text);
  bool begins = true;
  for (char& c : out) {
    if (begins) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    begins = !(std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '\'' || (c & 0x80) != 0);
  }
  return out;
}
std::string Same(std::string_view text) { return std::string(text); }

std::string StripPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::string(text);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) return std::string(host.substr(1, host.size() - 2));
  return std::string(host.find(':') == std::string_view::npos ? host : text);
}
bool IsAddress(std::string_view host) {
  return host.find(':') != std::string_view::npos ||
         std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}
std::string StripDomain(std::string_view text) {
  const size_t colon = text.rfind(':');
  const std::string host = StripPort(text);
  const std::string port = host.size() < text.size() && colon != std::string_view::npos && !text.starts_with('[')
                               ? std::string(text.substr(colon)) : "";
  if (IsAddress(host)) return std::string(text);
  return host.substr(0, host.find('.')) + port;
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
std::string GraphLink(std::string_view text) { return "/graph?g0.expr=" + UrlQuery(text) + "&g0.tab=0"; }

Result<TemplateValue> ReplaceAll(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 3));
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(4 << 20);
  const RE2 pattern(arguments[0].Text(), options);
  if (!pattern.ok()) return Bad("{}", pattern.error());
  // $1 and ${1} of Go are \1 of RE2.
  std::string replacement;
  const std::string given = arguments[1].Text();
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] == '\\') {
      replacement += "\\\\";
    } else if (given[i] == '$' && i + 1 < given.size()) {
      const bool braced = given[i + 1] == '{';
      const size_t begin = i + (braced ? 2 : 1);
      size_t end = begin;
      while (end < given.size() && (std::isalnum(static_cast<unsigned char>(given[end])) != 0 || given[end] == '_')) ++end;
      const std::string name = given.substr(begin, end - begin);
      if (given[i + 1] == '$') {
        replacement += '$';
        ++i;
        continue;
      }
      int group = -1;
      if (const auto number = ParseUint(name); number && *number <= 9) group = static_cast<int>(*number);
      const auto& names = pattern.NamedCapturingGroups();
      if (const auto known = names.find(name); known != names.end()) group = known->second;
      if (group >= 0 && group <= pattern.NumberOfCapturingGroups()) replacement += fmt::format("\\{}", group);
      i = end - (braced && end < given.size() ? 0 : 1);
    } else {
      replacement += given[i];
    }
  }
  std::string text = arguments[2].Text();
  RE2::GlobalReplace(&text, pattern, replacement);
  return TemplateValue(text);
}

Result<TemplateValue> Match(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 2));
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(4 << 20);
  const RE2 pattern(arguments[0].Text(), options);
  if (!pattern.ok()) return Bad("{}", pattern.error());
  return TemplateValue(RE2::PartialMatch(arguments[1].Text(), pattern));
}

Result<TemplateValue> ParseDurationValue(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  const auto duration = promql::ParsePrometheusDuration(arguments[0].Text());
  if (!duration) return std::unexpected(duration.error());
  return TemplateValue(static_cast<double>(*duration) / 1000);
}
Result<TemplateValue> ExternalUrl(const TemplateContext& context, Arguments&) { return TemplateValue(context.external_url); }
Result<TemplateValue> PathPrefix(const TemplateContext& context, Arguments&) {
  const size_t host = context.external_url.find("://");
  const size_t path = host == std::string::npos ? std::string::npos : context.external_url.find('/', host + 3);
  return TemplateValue(path == std::string::npos ? std::string() : context.external_url.substr(path));
}

// ---- Samples
Result<TemplateValue> Query(const TemplateContext& context, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  if (!context.query) return TemplateValue(std::make_shared<const TemplateList>());
  FAULTLINE_ASSIGN(const QueryResult result, context.query(arguments[0].Text()));
  TemplateList list;
  const auto add = [&](const Labels& labels, double value) {
    list.emplace_back(std::make_shared<const TemplateMap>(TemplateMap{{"Labels", MapOf(labels)}, {"Value", value}}));
  };
  if (result.type == promql::ValueType::kScalar) add({}, result.scalar);
  for (const ResultSeries& series : result.series) {
    if (!series.samples.empty()) add(series.labels, series.samples.front().value);
  }
  return TemplateValue(std::make_shared<const TemplateList>(std::move(list)));
}

Result<TemplateValue> First(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  FAULTLINE_ASSIGN(const TemplateList* list, ListIn(arguments[0]));
  if (list->empty()) return Bad("first() called on vector with no elements");
  return list->front();
}

Result<TemplateValue> LabelOf(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 2));
  FAULTLINE_ASSIGN(const TemplateMap* sample, MapIn(arguments[1]));
  const auto labels = sample->find("Labels");
  if (labels == sample->end()) return TemplateValue(std::string());
  FAULTLINE_ASSIGN(const TemplateMap* map, MapIn(labels->second));
  const auto found = map->find(arguments[0].Text());
  return found == map->end() ? TemplateValue(std::string()) : found->second;
}

Result<TemplateValue> SampleValue(const TemplateContext&, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  FAULTLINE_ASSIGN(const TemplateMap* sample, MapIn(arguments[0]));
  const auto found = sample->find("Value");
  return found == sample->end() ? TemplateValue() : found->second;
}

Result<TemplateValue> StringValue(const TemplateContext& context, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 1));
  Arguments inner{std::string("__value__"), arguments[0]};
  return LabelOf(context, inner);
}

Result<TemplateValue> SortByLabel(const TemplateContext& context, Arguments& arguments) {
  FAULTLINE_TRY(Count(arguments, 2));
  FAULTLINE_ASSIGN(const TemplateList* list, ListIn(arguments[1]));
  TemplateList sorted = *list;
  std::stable_sort(sorted.begin(), sorted.end(), [&](const TemplateValue& a, const TemplateValue& b) {
    Arguments left{arguments[0], a}, right{arguments[0], b};
    return LabelOf(context, left).value_or(TemplateValue()).Text() < LabelOf(context, right).value_or(TemplateValue()).Text();
  });
  return TemplateValue(std::make_shared<const TemplateList>(std::move(sorted)));
}

Result<TemplateValue> Args(const TemplateContext&, Arguments& arguments) {
  TemplateMap map;
  for (size_t i = 0; i < arguments.size(); ++i) map["arg" + std::to_string(i)] = arguments[i];
  return TemplateValue(std::make_shared<const TemplateMap>(std::move(map)));
}

using TemplateFunction = Result<TemplateValue> (*)(const TemplateContext& context, Arguments& arguments);

const std::map<std::string_view, TemplateFunction>& Table() {
  static const std::map<std::string_view, TemplateFunction> table = {
      {"args", Args},
      {"externalURL", ExternalUrl},
      {"first", First},
      {"graphLink", OfText<GraphLink>},
      {"humanize", OfNumber<Humanize>},
      {"humanize1024", OfNumber<Humanize1024>},
      {"humanizeDuration", OfNumber<HumanizeDuration>},
      {"humanizePercentage", OfNumber<HumanizePercentage>},
      {"humanizeTimestamp", OfNumber<HumanizeTimestamp>},
      {"label", LabelOf},
      {"match", Match},
      {"parseDuration", ParseDurationValue},
      {"pathPrefix", PathPrefix},
      {"query", Query},
      {"reReplaceAll", ReplaceAll},
      {"safeHtml", OfText<Same>},
      {"sortByLabel", SortByLabel},
      {"stripDomain", OfText<StripDomain>},
      {"stripPort", OfText<StripPort>},
      {"strvalue", StringValue},
      {"tableLink", OfText<TableLink>},
      {"title", OfText<Title>},
      {"toLower", OfText<Lower>},
      {"toTime", OfNumber<HumanizeTimestamp>},
      {"toUpper", OfText<Upper>},
      {"value", SampleValue},
  };
  return table;
}

}  // namespace

bool PrometheusTemplateFunctions::Has(std::string_view name) const { return Table().contains(name); }

Result<TemplateValue> PrometheusTemplateFunctions::Call(std::string_view name, std::vector<TemplateValue>& arguments) const {
  const auto found = Table().find(name);
  if (found == Table().end()) return Bad("function \"{}\" not defined", name);
  return found->second(context_, arguments);
}

Result<void> CheckTemplate(std::string_view text) {
  const TemplateContext context;
  FAULTLINE_TRY(TextTemplate::Parse(text, PrometheusTemplateFunctions(context)));
  return {};
}

Result<std::string> ExpandTemplate(std::string_view text, const TemplateContext& context) {
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  const PrometheusTemplateFunctions functions(context);
  FAULTLINE_ASSIGN(const TextTemplate parsed, TextTemplate::Parse(text, functions));
  TemplateMap root{{"Labels", MapOf(context.labels)},
                   {"ExternalLabels", MapOf(context.external_labels)},
                   {"ExternalURL", context.external_url},
                   {"Value", context.value}};
  TextTemplate::Variables variables{{"labels", root["Labels"]},
                                    {"externalLabels", root["ExternalLabels"]},
                                    {"externalURL", root["ExternalURL"]},
                                    {"value", root["Value"]}};
  return parsed.Expand(std::make_shared<const TemplateMap>(std::move(root)), std::move(variables), functions);
}

std::string TableLink(std::string_view expression) { return "/graph?g0.expr=" + UrlQuery(expression) + "&g0.tab=1"; }

}  // namespace faultline::alerts
