#include "aggregator/reports/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "aggregator/labels/label_json.h"
#include "aggregator/query/promql.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxRows = 15;
constexpr size_t kMaxEvents = 20;
constexpr int64_t kEventWindowNs = 3600 * kNsPerSecond;
constexpr int64_t kFaultWindowNs = int64_t{86400} * kNsPerSecond;

std::string ClockText(int64_t unix_ns) {
  return unix_ns == 0 ? "-" : FormatTime(unix_ns).substr(11, 12);
}

std::string SubjectText(const v1::Subject& subject) {
  if (!subject.pod().empty())
    return fmt::format("{}/{}/{}", subject.namespace_(), subject.pod(), subject.container());
  if (!subject.container().empty()) return subject.container();
  if (!subject.cgroup().empty()) return subject.cgroup();
  if (subject.pid() != 0) return fmt::format("pid {} {}", subject.pid(), subject.comm());
  return "the node";
}

std::string ContainerName(const Labels& labels) {
  const std::string_view pod = LabelValue(labels, "pod");
  if (!pod.empty())
    return fmt::format("{}/{}/{}", LabelValue(labels, "namespace"), pod,
                       LabelValue(labels, "container"));
  return std::string(LabelValue(labels, "id"));
}

std::vector<ResultSeries> Query(const ReportSources& sources, const std::string& expression) {
  if (sources.store == nullptr) return {};
  const auto result = QueryAt(*sources.store, expression, sources.clock->UnixNs() / kNsPerMs);
  return result ? result->series : std::vector<ResultSeries>();
}

std::string Residue(const FaultLabel& label) {
  return label.residue.empty() ? "clean" : fmt::format("{}", fmt::join(label.residue, ", "));
}

}  // namespace

std::string UrlText(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_';
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

std::string DurationText(int64_t ns) {
  const int64_t s = ns / kNsPerSecond;
  if (s < 10) return fmt::format("{:.1f} s", static_cast<double>(ns) / 1e9);
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min", s / 60);
  return s < 172800 ? fmt::format("{} h", s / 3600) : fmt::format("{} d", s / 86400);
}

std::string BytesText(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit < 4) bytes /= 1024, ++unit;
  return fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string PromString(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n')
      quoted += "\\n";
    else
      quoted += c;
  }
  return quoted + "\"";
}

std::optional<double> Measure(const ReportSources& sources, const std::string& expression) {
  const std::vector<ResultSeries> series = Query(sources, expression);
  if (series.empty() || series.front().samples.empty()) return std::nullopt;
  const double value = series.front().samples.back().value;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

ReportSection FaultSection(const std::string& node, const ReportSources& sources) {
  ReportSection section;
  section.title = "Faults";
  section.table.header = {"fault",  "node",   "target",  "begin",
                          "lasted", "effect", "residue", "experiment"};
  if (sources.ground_truth == nullptr) {
    section.summary = "Ground truth is not available here.";
    return section;
  }
  const int64_t now = sources.clock->UnixNs();
  size_t in_force = 0, with_residue = 0, total = 0;
  std::vector<FaultLabel> labels = sources.ground_truth->Between(now - kFaultWindowNs, now);
  std::erase_if(labels,
                [&](const FaultLabel& label) { return !node.empty() && label.node != node; });
  std::ranges::stable_sort(labels, [](const FaultLabel& a, const FaultLabel& b) {
    const bool a_on = a.end_unix_ns == 0, b_on = b.end_unix_ns == 0;
    return a_on != b_on ? a_on : a.begin_unix_ns > b.begin_unix_ns;
  });
  for (const FaultLabel& label : labels) {
    const bool on =
        label.end_unix_ns == 0 && label.begin_unix_ns != 0 && label.phase != v1::FAULT_PHASE_FAILED;
    ++total;
    in_force += on;
    with_residue += !label.residue.empty();
    if (section.table.rows.size() >= kMaxRows) continue;
    section.table.rows.push_back(
        {label.fault, label.node, SubjectText(label.target), ClockText(label.begin_unix_ns),
         on ? "in force" : DurationText(label.end_unix_ns - label.begin_unix_ns),
         std::string(VerdictName(label.effect.verdict())), Residue(label), label.experiment});
  }
  section.summary = total == 0
                        ? "None in the last day."
                        : fmt::format("{} in the last day, {} in force, {} left something behind.",
                                      total, in_force, with_residue);
  section.mood = with_residue > 0 ? Mood::kBad : in_force > 0 ? Mood::kWarning : Mood::kGood;
  return section;
}

ReportSection EventSection(const std::string& node, const ReportSources& sources) {
  ReportSection section;
  section.title = "Recent events";
  section.table.header = {"time", "node", "event", "about", "message"};
  if (sources.store == nullptr) return section;
  const int64_t now = sources.clock->UnixNs();
  const auto events = sources.store->Events(now - kEventWindowNs, now + 1, 10'000);
  if (!events) {
    section.summary = "Events cannot be read: " + events.error().message;
    section.mood = Mood::kBad;
    return section;
  }
  std::map<std::string, size_t> counts;
  std::vector<const StoredEvent*> mine;
  for (const StoredEvent& stored : *events) {
    if (!node.empty() && stored.node != node) continue;
    ++counts[stored.event.type()];
    // Starts and ends of processes are many and rarely the point.
    if (stored.event.type() != "exec" && stored.event.type() != "exit") mine.push_back(&stored);
  }
  for (const auto& [type, count] : counts) section.facts.emplace_back(type, std::to_string(count));
  for (size_t i = mine.size(); i > 0 && section.table.rows.size() < kMaxEvents; --i) {
    const StoredEvent& stored = *mine[i - 1];
    section.table.rows.push_back({ClockText(stored.event.time_unix_ns()), stored.node,
                                  stored.event.type(), SubjectText(stored.event.subject()),
                                  stored.event.message().substr(0, 160)});
  }
  section.summary = counts.empty()
                        ? "None in the last hour."
                        : "Of the last hour, by type; the newest that are not exec or exit.";
  if (counts.contains("oom_kill")) section.mood = Mood::kWarning;
  return section;
}

ReportSection ContainerSection(const std::string& node, const ReportSources& sources) {
  ReportSection section;
  section.title = "Containers by CPU and memory";
  section.table.header = {"container", "node", "CPU cores", "memory"};
  struct Use {
    std::string container, node;
    double cores = -1, bytes = -1;  // below zero: not measured
  };
  const std::string matcher = node.empty() ? "" : fmt::format("node={}", PromString(node));
  const std::string by = "sum by (node, namespace, pod, container, id)";
  std::map<std::string, Use> uses;
  const auto read = [&](const std::string& expression, double Use::* figure) {
    for (const ResultSeries& series : Query(sources, expression)) {
      if (series.samples.empty()) continue;
      const std::string name = ContainerName(series.labels),
                        where(LabelValue(series.labels, "node"));
      Use& use = uses[where + "\n" + name];
      use.container = name;
      use.node = where;
      use.*figure = series.samples.back().value;
    }
  };
  read(fmt::format("{} (rate(container_cpu_usage_seconds_total{{{}}}[1m]))", by, matcher),
       &Use::cores);
  read(fmt::format("{} (container_memory_working_set_bytes{{{}}})", by, matcher), &Use::bytes);
  std::vector<Use> sorted;
  for (auto& [key, use] : uses) sorted.push_back(std::move(use));
  std::ranges::stable_sort(sorted, [](const Use& a, const Use& b) {
    return a.cores != b.cores ? a.cores > b.cores : a.bytes > b.bytes;
  });
  section.summary = sorted.empty() ? "No container has been measured in the last minutes."
                                   : fmt::format("The first {} of {}.",
                                                 std::min(kMaxRows, sorted.size()), sorted.size());
  if (sorted.size() > kMaxRows) sorted.resize(kMaxRows);
  for (const Use& use : sorted) {
    section.table.rows.push_back({use.container, use.node,
                                  use.cores < 0 ? "-" : fmt::format("{:.3f}", use.cores),
                                  use.bytes < 0 ? "-" : BytesText(use.bytes)});
  }
  return section;
}

}  // namespace faultline
