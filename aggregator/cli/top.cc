// top: what nodes and containers use now, from the same queries anybody can run.
#include <map>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/table.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Column {
  const char* title;
  const char* expression;
  const char* unit;
};

constexpr Column kNodeColumns[] = {
    {"CPU", R"(sum by (node) (rate(node_cpu_seconds_total{mode!~"idle|iowait"}[15s])))", " cores"},
    {"LOAD", "max by (node) (node_load1)", ""},
    {"MEM USED", "max by (node) (node_memory_MemTotal_bytes) - max by (node) (node_memory_MemAvailable_bytes)", "B"},
    {"MEM", "max by (node) (node_memory_MemTotal_bytes)", "B"},
    {"DISK", "sum by (node) (rate(node_disk_io_time_seconds_total[15s]))", " s/s"},
    {"RX", "sum by (node) (rate(node_network_receive_bytes_total[15s]))", "B/s"},
    {"TX", "sum by (node) (rate(node_network_transmit_bytes_total[15s]))", "B/s"},
    {"LOG LOST", "sum by (node) (faultline_log_lost_bytes_total)", "B"},
};

constexpr Column kContainerColumns[] = {
    {"CPU", "sum by (node, namespace, pod, container, id) (rate(container_cpu_usage_seconds_total[15s]))", " cores"},
    {"MEMORY", "sum by (node, namespace, pod, container, id) (container_memory_working_set_bytes)", "B"},
    {"THROTTLED", "sum by (node, namespace, pod, container, id) (rate(container_cpu_cfs_throttled_seconds_total[15s]))", " s/s"},
    {"READ", "sum by (node, namespace, pod, container, id) (rate(container_fs_reads_bytes_total[15s]))", "B/s"},
    {"LOG", "sum by (node, namespace, pod, container) (rate(faultline_log_bytes_total{pod!=\"\"}[15s]))", "B/s"},
    {"LOG LOST", "sum by (node, namespace, pod, container) (faultline_log_lost_bytes_total{pod!=\"\"})", "B"},
    {"WRITE", "sum by (node, namespace, pod, container, id) (rate(container_fs_writes_bytes_total[15s]))", "B/s"},
};

std::string Subject(const json::value& series, bool nodes) {
  const std::string node = TextAt(series, "metric.node");
  if (nodes) return node;
  const std::string pod = TextAt(series, "metric.pod");
  const std::string name = pod.empty() ? TextAt(series, "metric.id")
                                       : TextAt(series, "metric.namespace") + "/" + pod + "/" + TextAt(series, "metric.container");
  return node + "\t" + name;
}

Result<void> Top(const Session& session, const std::string& what, size_t limit) {
  const bool nodes = what == "nodes";
  const std::span<const Column> columns = nodes ? std::span<const Column>(kNodeColumns) : kContainerColumns;
  std::map<std::string, std::vector<double>> rows;
  const ApiClient client = session.Client();
  for (size_t i = 0; i < columns.size(); ++i) {
    FAULTLINE_ASSIGN(const json::value reply, client.Json("GET", "/api/v1/query", {{"query", columns[i].expression}}));
    for (const json::value& series : ArrayAt(reply, "data.result")) {
      auto& row = rows[Subject(series, nodes)];
      row.resize(columns.size(), 0);
      row[i] = NumberAt(ArrayAt(series, "value").at(1), "");
    }
  }
  std::vector<std::pair<std::string, std::vector<double>>> sorted(rows.begin(), rows.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second[0] > b.second[0]; });
  if (sorted.size() > limit) sorted.resize(limit);
  if (session.structured()) {
    json::array list;
    for (const auto& [subject, values] : sorted) {
      json::object row = {{"subject", subject}};
      for (size_t i = 0; i < columns.size(); ++i) row[columns[i].title] = values[i];
      list.push_back(row);
    }
    return session.Print(list), Result<void>();
  }
  std::vector<std::string> header = {"NODE"};
  if (!nodes) header.emplace_back("CONTAINER");
  for (const Column& column : columns) header.emplace_back(column.title);
  Table table(header);
  for (const auto& [subject, values] : sorted) {
    std::vector<std::string> row = {subject.substr(0, subject.find('\t'))};
    if (!nodes) row.push_back(subject.substr(subject.find('\t') + 1));
    for (size_t i = 0; i < columns.size(); ++i) row.push_back(HumanNumber(values[i]) + columns[i].unit);
    table.Add(std::move(row));
  }
  if (table.empty()) return std::fprintf(stderr, "no data yet\n"), Result<void>();
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

}  // namespace

void SetUpTop(CLI::App& app, Session& session) {
  const auto what = std::make_shared<std::string>("nodes");
  const auto limit = std::make_shared<size_t>(20);
  app.add_option("what", *what, "nodes, or pods (all containers and cgroups)")
      ->check(CLI::IsMember({"nodes", "pods", "containers"}));
  app.add_option("--limit", *limit, "so many rows (default 20)");
  Run(app, [what, limit, &session] { return Top(session, *what, *limit); });
}

}  // namespace faultline::cli
