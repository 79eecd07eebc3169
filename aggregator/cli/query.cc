// query: instant, or over a range with a plot per series where people would rather look.
#include <cmath>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/table.h"
#include "aggregator/cli/time_option.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

constexpr size_t kPlotWidth = 60;

struct Options {
  std::string expression, time, start, end = "now", step;
};

std::string SeriesName(const json::value& series) {
  std::string name, labels;
  const json::value& metric = At(series, "metric");
  if (!metric.is_object()) return "";
  for (const auto& [key, value] : metric.get_object()) {
    if (key == "__name__") {
      name = value.as_string();
    } else {
      labels += fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", std::string_view(key),
                            std::string_view(value.as_string()));
    }
  }
  return labels.empty() && !name.empty() ? name : name + "{" + labels + "}";
}

Result<void> Instant(const Session& session, const Options& options) {
  Parameters parameters = {{"query", options.expression}};
  if (!options.time.empty()) {
    FAULTLINE_ASSIGN(const int64_t time, ParseMoment("--time", options.time));
    parameters.emplace_back("time", ApiSeconds(time));
  }
  FAULTLINE_ASSIGN(const json::value reply, session.Client().Json("GET", "/api/v1/query", parameters));
  if (session.structured()) return session.Print(reply), Result<void>();
  const json::value& result = At(reply, "data.result");
  if (TextAt(reply, "data.resultType") == "scalar" || TextAt(reply, "data.resultType") == "string") {
    return std::puts(std::string(result.as_array().at(1).as_string()).c_str()), Result<void>();
  }
  Table table({"SERIES", "VALUE"});
  for (const json::value& series : ArrayAt(reply, "data.result")) {
    const json::array& value = ArrayAt(series, "value");
    if (value.size() == 2) table.Add({SeriesName(series), std::string(value[1].as_string())});
    for (const json::value& point : ArrayAt(series, "values")) {
      table.Add({SeriesName(series), fmt::format("{} @{}", std::string_view(point.as_array().at(1).as_string()),
                                                 json::serialize(point.as_array().at(0)))});
    }
  }
  if (table.empty()) return std::fprintf(stderr, "no series\n"), Result<void>();
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

Result<void> Range(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const int64_t start, ParseMoment("--start", options.start));
  FAULTLINE_ASSIGN(const int64_t end, ParseMoment("--end", options.end));
  const double span_s = static_cast<double>(end - start) / 1e9;
  const std::string step = options.step.empty() ? fmt::format("{:.0f}", std::max(1.0, std::ceil(span_s / 240))) : options.step;
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("GET", "/api/v1/query_range", {{"query", options.expression},
                                                                       {"start", ApiSeconds(start)},
                                                                       {"end", ApiSeconds(end)},
                                                                       {"step", step}}));
  if (session.structured()) return session.Print(reply), Result<void>();
  Table table({"SERIES", "MIN", "LAST", "MAX", "PLOT"});
  for (const json::value& series : ArrayAt(reply, "data.result")) {
    std::vector<double> values;
    double low = INFINITY, high = -INFINITY;
    for (const json::value& point : ArrayAt(series, "values")) {
      values.push_back(ParseDouble(point.as_array().at(1).as_string()).value_or(NAN));
      low = std::min(low, values.back());
      high = std::max(high, values.back());
    }
    if (values.empty()) continue;
    table.Add({SeriesName(series), HumanNumber(low), HumanNumber(values.back()), HumanNumber(high),
               Sparkline(values, kPlotWidth)});
  }
  if (table.empty()) return std::fprintf(stderr, "no series\n"), Result<void>();
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

}  // namespace

void SetUpQuery(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("expression", options->expression, "PromQL")->required();
  app.add_option("--time", options->time, "evaluate at this time (default now)");
  app.add_option("--start", options->start, "begin of a range: 15m, or a time");
  app.add_option("--end", options->end, "end of the range (default now)");
  app.add_option("--step", options->step, "seconds between points (default: about 240 points)");
  Run(app, [options, &session] { return options->start.empty() ? Instant(session, *options) : Range(session, *options); });
}

}  // namespace faultline::cli
