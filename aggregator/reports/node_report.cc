// One node: is it there, what is it, what runs on it and what does not and why, what was done to it, how it is used.
#include <fmt/format.h>

#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

ReportSection Liveness(const NodeState& node, int64_t now) {
  ReportSection section;
  section.title = "Liveness";
  section.mood = node.up ? Mood::kGood : Mood::kBad;
  section.facts = {
      {"state", node.up ? "up" : "DOWN"},
      {"last seen", DurationText(now - node.last_seen_unix_ns) + " ago"},
      {"known for", DurationText(now - node.first_seen_unix_ns)},
      {"clock offset", fmt::format("{:+.2f} ms", static_cast<double>(node.clock_offset_ns) / 1e6)},
      {"round trip", fmt::format("{:.2f} ms", static_cast<double>(node.round_trip_ns) / 1e6)},
      {"waiting on the node", BytesText(static_cast<double>(node.spool_bytes))},
      {"received", fmt::format("{} batches, {}", node.batches, BytesText(static_cast<double>(node.bytes)))},
      {"agent", node.version},
  };
  return section;
}

ReportSection Facts(const NodeState& node) {
  ReportSection section;
  section.title = "Facts";
  for (const auto& [name, value] : node.inventory.facts()) section.facts.emplace_back(name, value);
  std::ranges::sort(section.facts);
  if (section.facts.empty()) section.summary = "The node has not told any yet.";
  return section;
}

ReportSection Leaves(const NodeState& node) {
  ReportSection section;
  section.title = "What observes it";
  section.table.header = {"kind", "name", "state", "reason"};
  std::map<std::string, std::string> running;
  size_t on = 0, off = 0;
  for (const v1::LeafStatus& leaf : node.inventory.leaves()) {
    if (leaf.running()) {
      std::string& names = running[leaf.kind()];
      names += (names.empty() ? "" : ", ") + leaf.name();
      ++on;
    } else {
      section.table.rows.push_back({leaf.kind(), leaf.name(), "off", leaf.reason()});
      ++off;
    }
  }
  for (const auto& [kind, names] : running) section.facts.emplace_back(kind, names);
  section.summary = fmt::format("{} run, {} are off.", on, off);
  section.mood = off > 0 ? Mood::kWarning : on > 0 ? Mood::kGood : Mood::kPlain;
  return section;
}

ReportSection Usage(const std::string& node, const ReportSources& sources) {
  ReportSection section;
  section.title = "Usage";
  const std::string matcher = fmt::format("node={}", PromString(node));
  const auto add = [&](std::string name, const std::string& expression, auto format) {
    if (const auto value = Measure(sources, expression)) section.facts.emplace_back(std::move(name), format(*value));
  };
  const auto percent = [](double value) { return fmt::format("{:.1f} %", value * 100); };
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  add("CPU busy", fmt::format("1 - avg(rate(node_cpu_seconds_total{{mode=\"idle\",{}}}[1m]))", matcher), percent);
  add("load over 1 min", fmt::format("node_load1{{{}}}", matcher), number);
  add("memory used", fmt::format("1 - node_memory_MemAvailable_bytes{{{0}}} / node_memory_MemTotal_bytes{{{0}}}", matcher), percent);
  add("memory available", fmt::format("node_memory_MemAvailable_bytes{{{}}}", matcher), BytesText);
  add("fullest file system", fmt::format("max(1 - node_filesystem_avail_bytes{{{0},fstype!=\"tmpfs\"}} / node_filesystem_size_bytes{{{0},fstype!=\"tmpfs\"}})", matcher), percent);
  add("CPU pressure", fmt::format("rate(node_pressure_cpu_waiting_seconds_total{{{}}}[1m])", matcher), percent);
  add("memory pressure", fmt::format("rate(node_pressure_memory_waiting_seconds_total{{{}}}[1m])", matcher), percent);
  add("I/O pressure", fmt::format("rate(node_pressure_io_waiting_seconds_total{{{}}}[1m])", matcher), percent);
  if (section.facts.empty()) section.summary = "Nothing has been measured in the last minutes.";
  return section;
}

}  // namespace

Result<Report> MakeNodeReport(const std::string& name, const ReportSources& sources) {
  FAULTLINE_ASSIGN(const NodeState node, sources.fleet->Node(name));
  const int64_t now = sources.clock->UnixNs();
  Report report;
  report.title = "Node " + name;
  report.time_unix_ns = now;
  report.sections.push_back(Liveness(node, now));
  report.sections.push_back(FaultSection(name, sources));
  report.sections.push_back(Usage(name, sources));
  report.sections.push_back(ContainerSection(name, sources));
  report.sections.push_back(EventSection(name, sources));
  report.sections.push_back(Leaves(node));
  report.sections.push_back(Facts(node));
  const ReportSection& faults = report.sections[1];
  if (!node.up) {
    report.verdict = fmt::format("The node is down: not heard of for {}.", DurationText(now - node.last_seen_unix_ns));
    report.mood = Mood::kBad;
  } else if (faults.mood == Mood::kBad || faults.mood == Mood::kWarning) {
    report.verdict = "The node is up. Faults: " + faults.summary;
    report.mood = faults.mood;
  } else {
    report.verdict = fmt::format("The node is up, with {} containers and no fault in force.", node.inventory.containers_size());
    report.mood = Mood::kGood;
  }
  return report;
}

}  // namespace faultline
