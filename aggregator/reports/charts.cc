// The day of a node in a few curves, faults shaded. A node that is known for minutes only is shown
// in minutes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "aggregator/query/promql.h"
#include "aggregator/query/series_source.h"
#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kPoints = 120;
constexpr std::array<int64_t, 4> kWindowsMs = {1'800'000, 7'200'000, 21'600'000, 86'400'000};

enum class Unit { kPercent, kNumber, kBytes, kBytesPerSecond };

struct Curve {
  std::string_view title;
  Unit unit;
  std::string_view expression;  // NODE is the matcher of the node, SPAN the span of a rate
};

constexpr Curve kCurves[] = {
    {"CPU busy", Unit::kPercent, "1 - avg(rate(node_cpu_seconds_total{mode=\"idle\",NODE}[SPAN]))"},
    {"Load over 1 min", Unit::kNumber, "node_load1{NODE}"},
    {"Memory used", Unit::kPercent,
     "1 - node_memory_MemAvailable_bytes{NODE} / node_memory_MemTotal_bytes{NODE}"},
    {"CPU pressure", Unit::kPercent, "rate(node_pressure_cpu_waiting_seconds_total{NODE}[SPAN])"},
    {"I/O pressure", Unit::kPercent, "rate(node_pressure_io_waiting_seconds_total{NODE}[SPAN])"},
    {"Memory pressure", Unit::kPercent,
     "rate(node_pressure_memory_waiting_seconds_total{NODE}[SPAN])"},
    {"Disk written", Unit::kBytesPerSecond, "sum(rate(node_disk_written_bytes_total{NODE}[SPAN]))"},
    {"Network received", Unit::kBytesPerSecond,
     "sum(rate(node_network_receive_bytes_total{device!=\"lo\",NODE}[SPAN]))"},
    {"Fullest file system", Unit::kPercent,
     "max(1 - node_filesystem_avail_bytes{fstype!=\"tmpfs\",NODE} / "
     "node_filesystem_size_bytes{fstype!=\"tmpfs\",NODE})"},
};

void ReplaceAll(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

std::string ValueText(double value, Unit unit) {
  switch (unit) {
    case Unit::kPercent:
      return fmt::format("{:.1f} %", value * 100);
    case Unit::kBytes:
      return BytesText(value);
    case Unit::kBytesPerSecond:
      return BytesText(value) + "/s";
    case Unit::kNumber:
      return fmt::format("{:.2f}", value);
  }
  return {};
}

// The upper edge: a round number above the greatest value, and not so small that noise looks like
// news.
double TopOf(double greatest, Unit unit) {
  if (unit == Unit::kPercent) return greatest > 0.5 ? 1 : greatest > 0.1 ? 0.5 : 0.1;
  double top = unit == Unit::kNumber ? 1 : 1024;
  while (top < greatest) top *= 2;
  return top;
}

std::vector<std::pair<int64_t, double>> Read(const ReportSources& sources,
                                             const std::string& expression, int64_t begin_ms,
                                             int64_t end_ms) {
  const auto query = PromQuery::Parse(expression);
  if (!query) return {};
  QueryOptions options;
  options.max_samples = 20'000'000;
  const auto source = promql::MakeSeriesSource(sources.store, {});
  const auto result =
      query->Over(begin_ms, end_ms, (end_ms - begin_ms) / kPoints, *source, options);
  std::vector<std::pair<int64_t, double>> points;
  if (!result || result->series.empty()) return points;
  for (const Sample& sample : result->series.front().samples)
    points.emplace_back(sample.time_ms, sample.value);
  return points;
}

std::vector<StripSpan> FaultBands(const std::string& node, const ReportSources& sources,
                                  int64_t begin_ms, int64_t end_ms) {
  std::vector<StripSpan> bands;
  if (sources.ground_truth == nullptr) return bands;
  const auto part = [&](int64_t unix_ns) {
    return static_cast<double>(unix_ns / kNsPerMs - begin_ms) /
           static_cast<double>(end_ms - begin_ms);
  };
  for (const FaultLabel& label :
       sources.ground_truth->Between(begin_ms * kNsPerMs, end_ms * kNsPerMs)) {
    if (label.node != node || label.begin_unix_ns == 0 || bands.size() >= 50) continue;
    bands.push_back({part(label.begin_unix_ns),
                     label.end_unix_ns == 0 ? 1.0 : part(label.end_unix_ns), Mood::kBad,
                     label.fault});
  }
  return bands;
}

}  // namespace

ReportSection ChartSection(const std::string& node, const ReportSources& sources) {
  ReportSection section;
  section.title = "Usage";
  if (sources.store == nullptr) return section;
  const std::string matcher = "node=" + PromString(node);
  const int64_t now_ms = sources.clock->UnixNs() / kNsPerMs;
  int64_t window_ms = kWindowsMs.back();
  const auto load =
      Read(sources, fmt::format("node_load1{{{}}}", matcher), now_ms - window_ms, now_ms);
  const int64_t known_ms = load.empty() ? 0 : now_ms - load.front().first;
  const int64_t slack_ms = window_ms / kPoints;
  window_ms = *std::ranges::find_if(kWindowsMs, [&](int64_t window) {
    return window + slack_ms >= known_ms || window == kWindowsMs.back();
  });
  const int64_t begin_ms = now_ms - window_ms, step_ms = window_ms / kPoints;
  const std::string span = fmt::format("{}s", std::max<int64_t>(60, 2 * step_ms / 1000));
  const std::vector<StripSpan> bands = FaultBands(node, sources, begin_ms, now_ms);
  for (const Curve& curve : kCurves) {
    ReportChart chart;
    chart.title = curve.title;
    chart.expression = curve.expression;
    ReplaceAll(chart.expression, "NODE", matcher);
    ReplaceAll(chart.expression, "SPAN", span);
    chart.points = Read(sources, chart.expression, begin_ms, now_ms);
    double greatest = 0;
    for (const auto& [ms, value] : chart.points)
      greatest = std::isfinite(value) ? std::max(greatest, value) : greatest;
    if (chart.points.empty()) continue;
    chart.latest = ValueText(chart.points.back().second, curve.unit);
    chart.top_value = TopOf(greatest, curve.unit);
    chart.top = ValueText(chart.top_value, curve.unit);
    chart.begin_ms = begin_ms;
    chart.end_ms = now_ms;
    chart.step_ms = step_ms;
    chart.bands = bands;
    chart.link = fmt::format("/api/v1/query_range?query={}&start={}&end={}&step={}",
                             UrlText(chart.expression), begin_ms / 1000, now_ms / 1000,
                             std::max<int64_t>(step_ms / 1000, 1));
    section.charts.push_back(std::move(chart));
  }
  section.summary = section.charts.empty()
                        ? "Nothing has been measured in the last day."
                        : fmt::format("The last {}{}.", DurationText(window_ms * kNsPerMs),
                                      bands.empty() ? "" : "; faults in force are shaded");
  return section;
}

ReportSection LossSection(const std::string& node, const ReportSources& sources) {
  ReportSection section;
  section.title = "Lost on the way";
  section.table.header = {"what", "where", "lost"};
  struct Loss {
    std::string_view what, metric;
    bool serious;
  };
  static constexpr Loss kLosses[] = {
      {"records dropped by a leaf", "faultline_dropped_total", true},
      {"bytes of logs lost", "faultline_log_lost_bytes_total", true},
      {"kernel messages lost", "faultline_log_kmsg_lost_records_total", true},
      {"events of probes dropped", "faultline_probe_dropped_total", true},
      {"counts of probes lost", "faultline_probe_counts_lost_total", true},
      {"log lines that do not parse", "faultline_log_malformed_lines_total", false},
  };
  const std::string matcher = node.empty() ? "" : "node=" + PromString(node);
  bool read = false;
  for (const Loss& loss : kLosses) {
    if (sources.store == nullptr) break;
    const std::string expression = fmt::format("increase({}{{{}}}[1d]) > 0", loss.metric, matcher);
    const auto result = QueryAt(*sources.store, expression, sources.clock->UnixNs() / kNsPerMs);
    read |= result.has_value();
    for (const ResultSeries& series : result ? result->series : std::vector<ResultSeries>()) {
      if (series.samples.empty() || series.samples.back().value < 0.5) continue;
      std::string where;
      for (const auto& [name, value] : series.labels) {
        if (name != "node" || node.empty())
          where += (where.empty() ? "" : ", ") + name + " " + value;
      }
      ReportCell what{std::string(loss.what)};
      what.link = "/api/v1/query?query=" + UrlText(expression);
      section.table.rows.push_back(
          {what, where, fmt::format("{:.0f}", series.samples.back().value)});
      section.mood = loss.serious ? Mood::kWarning : section.mood;
    }
  }
  section.summary =
      !read ? "Not measured here."
      : section.table.rows.empty()
          ? "Nothing was lost in the last day: all that was produced has arrived or is waiting."
          : "In the last day, by what counted it.";
  if (read && section.table.rows.empty()) section.mood = Mood::kGood;
  return section;
}

}  // namespace faultline
