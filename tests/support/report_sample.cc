// Makes a store with a week of a node's life (60 checks, host metrics, faults, conditions that came
// and went), and writes the reports of the node and of its cluster into a folder, in every format.
// Prints how long each took and how large it is.
//   report_sample FOLDER [seconds between runs of a check, default 60] [seconds between samples,
//   default 15]
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>

#include "aggregator/checks/checks.h"
#include "aggregator/checks/node_health.h"
#include "aggregator/reports/reports.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kWeekNs = int64_t{7} * 86400 * kNsPerSecond;

struct CheckRow {
  const char* module;
  const char* item;
  const char* condition;
  v1::CheckLevel level;
  const char* fine;
};

constexpr CheckRow kChecks[] = {
    {"cpu", "mce", "CpuUnhealthy", v1::CHECK_LEVEL_CRITICAL, "no machine check exception"},
    {"cpu", "edac", "MemoryUnhealthy", v1::CHECK_LEVEL_CRITICAL,
     "0 uncorrected, 3 corrected errors"},
    {"cpu", "frequency", "CpuFrequencyLow", v1::CHECK_LEVEL_WARNING, "2.60 GHz of 2.60 GHz"},
    {"cpu", "throttling", "CpuThrottled", v1::CHECK_LEVEL_WARNING, "not throttled"},
    {"cpu", "lockups", "CpuLockup", v1::CHECK_LEVEL_FATAL, "no lockup since boot"},
    {"memory", "capacity", "MemoryCapacityChanged", v1::CHECK_LEVEL_CRITICAL,
     "251.5 GiB of 251.5 GiB"},
    {"memory", "oom", "SystemOom", v1::CHECK_LEVEL_CRITICAL, "none in the last hour"},
    {"memory", "numa_balance", "NumaUnbalanced", v1::CHECK_LEVEL_WARNING, "nodes differ by 4 %"},
    {"disk", "space", "DiskPressure", v1::CHECK_LEVEL_CRITICAL, "/ 41 %, /var 62 %"},
    {"disk", "inodes", "InodePressure", v1::CHECK_LEVEL_WARNING, "/ 8 %, /var 11 %"},
    {"disk", "read_only", "ReadonlyFilesystem", v1::CHECK_LEVEL_FATAL,
     "no file system turned read-only"},
    {"disk", "smart", "DiskUnhealthy", v1::CHECK_LEVEL_CRITICAL, "4 disks pass"},
    {"disk", "nvme_life", "NvmeWearHigh", v1::CHECK_LEVEL_WARNING, "nvme0n1 12 % used"},
    {"disk", "latency", "DiskSlow", v1::CHECK_LEVEL_WARNING, "nvme0n1 0.21 ms"},
    {"disk", "hung_mounts", "MountHangs", v1::CHECK_LEVEL_CRITICAL, "38 mounts answer"},
    {"network", "link", "NetworkLinkDown", v1::CHECK_LEVEL_CRITICAL, "eth0, eth1 up"},
    {"network", "bond", "BondDegraded", v1::CHECK_LEVEL_CRITICAL, "bond0: 2 of 2 ports"},
    {"network", "mtu", "MtuMismatch", v1::CHECK_LEVEL_WARNING, "9000 everywhere"},
    {"network", "errors", "NetworkErrors", v1::CHECK_LEVEL_WARNING, "0.0 errors/s"},
    {"network", "retransmits", "TcpRetransmitsHigh", v1::CHECK_LEVEL_WARNING, "0.02 %"},
    {"network", "conntrack", "ConntrackFull", v1::CHECK_LEVEL_CRITICAL, "4 % of 262144"},
    {"network", "dns", "DnsFails", v1::CHECK_LEVEL_CRITICAL, "kubernetes.default in 2 ms"},
    {"network", "gateway", "GatewayUnreachable", v1::CHECK_LEVEL_CRITICAL, "10.1.0.1 in 0.3 ms"},
    {"kernel", "taint", "KernelTainted", v1::CHECK_LEVEL_INFO, "not tainted"},
    {"kernel", "hung_tasks", "TaskHung", v1::CHECK_LEVEL_CRITICAL, "none"},
    {"kernel", "sysctl_drift", "SysctlDrift", v1::CHECK_LEVEL_WARNING, "12 of 12 as wanted"},
    {"kernel", "deadlock", "KernelDeadlock", v1::CHECK_LEVEL_FATAL, "none"},
    {"clock", "offset", "ClockOffsetHigh", v1::CHECK_LEVEL_WARNING, "0.12 ms"},
    {"clock", "sync", "ClockUnsynchronised", v1::CHECK_LEVEL_CRITICAL, "chrony, stratum 3"},
    {"systemd", "failed_units", "UnitFailed", v1::CHECK_LEVEL_WARNING, "none failed"},
    {"kubernetes", "kubelet", "KubeletUnhealthy", v1::CHECK_LEVEL_CRITICAL, "healthz ok in 3 ms"},
    {"kubernetes", "runtime", "RuntimeUnhealthy", v1::CHECK_LEVEL_CRITICAL, "containerd 1.7.13"},
    {"process", "zombies", "ZombiesMany", v1::CHECK_LEVEL_WARNING, "2 zombies"},
    {"process", "pids", "PidsExhausted", v1::CHECK_LEVEL_CRITICAL, "1,204 of 4,194,304"},
    {"process", "fds", "FilesExhausted", v1::CHECK_LEVEL_CRITICAL, "9,312 open"},
    {"process", "ulimits", "UlimitTooLow", v1::CHECK_LEVEL_WARNING, "nofile 1048576"},
    {"security", "certificates", "CertificateExpires", v1::CHECK_LEVEL_WARNING, "in 183 days"},
    {"pressure", "cpu", "CPUPressure", v1::CHECK_LEVEL_WARNING, "2 %"},
    {"pressure", "memory", "MemoryPressure", v1::CHECK_LEVEL_WARNING, "0 %"},
    {"pressure", "io", "IoPressure", v1::CHECK_LEVEL_WARNING, "1 %"},
    {"gpu", "count", "GPULost", v1::CHECK_LEVEL_FATAL, "8 of 8"},
    {"gpu", "xid", "GpuXid", v1::CHECK_LEVEL_FATAL, "none"},
    {"gpu", "ecc", "GpuVolSramUncorrectable", v1::CHECK_LEVEL_FATAL, "0 uncorrectable"},
    {"gpu", "remapped_rows", "GpuRowRemappingPending", v1::CHECK_LEVEL_CRITICAL, "none pending"},
    {"gpu", "temperature", "HighGpuTemp", v1::CHECK_LEVEL_WARNING, "hottest 61 °C"},
    {"gpu", "throttling", "GpuHWSlowdown", v1::CHECK_LEVEL_WARNING, "none"},
    {"gpu", "nvlink", "GpuNvlinkInactive", v1::CHECK_LEVEL_FATAL, "18 of 18 links on 8 GPUs"},
    {"gpu", "persistence", "GpuPersistenceModeNotEnabled", v1::CHECK_LEVEL_WARNING, "on"},
    {"gpu", "clocks", "GpuSmClkSlowDown", v1::CHECK_LEVEL_WARNING, "1980 MHz"},
    {"gpu", "pcie_link", "GpuPcieLinkDegraded", v1::CHECK_LEVEL_WARNING, "32 GT/s x16"},
    {"gpu", "hang", "GpuHung", v1::CHECK_LEVEL_FATAL, "no hang"},
    {"infiniband", "state", "IBLinkAbnormal", v1::CHECK_LEVEL_CRITICAL, "8 ports active"},
    {"infiniband", "rate", "IBPortSpeedAbnormal", v1::CHECK_LEVEL_CRITICAL, "400 Gb/s"},
    {"infiniband", "counters", "IBLinkFrequentDown", v1::CHECK_LEVEL_WARNING, "0 downs today"},
    {"roce", "gid", "RoceDeviceBroken", v1::CHECK_LEVEL_CRITICAL, ""},
    {"gpfs", "mount", "GpfsMountLost", v1::CHECK_LEVEL_CRITICAL, ""},
    {"gpfs", "state", "GpfsDown", v1::CHECK_LEVEL_FATAL, ""},
    {"logs", "nccl", "NcclErrors", v1::CHECK_LEVEL_WARNING, "no pattern matched"},
    {"ib", "check_ib_mount", "IBDeviceMountFailed", v1::CHECK_LEVEL_CRITICAL, "mounted"},
    {"nagios", "check_load", "LoadHigh", v1::CHECK_LEVEL_WARNING,
     "OK - load average: 1.12, 0.98, 0.91"},
};
static_assert(std::size(kChecks) == 60);

// The life of one check over the week: hours (from the end) in which it was not fine.
struct Episode {
  size_t check;
  double from_hours, to_hours;
  v1::CheckVerdict verdict;
  const char* message;
  const char* suggestion;
  const char* device;
};
constexpr Episode kEpisodes[] = {
    {46, 5.2, 0, v1::CHECK_VERDICT_PROBLEM, "link 3 of GPU 5 is inactive",
     "Drain the node, reset GPU 5; if the link stays down, have the NVLink bridge looked at.",
     "GPU-5f0c2b7e"},
    {8, 1.4, 0, v1::CHECK_VERDICT_PROBLEM,
     "/var is 93 % full (limit 90 %), full in about 9 h at this rate",
     "Delete old container images: crictl rmi --prune", "/var"},
    {27, 30, 0, v1::CHECK_VERDICT_DEGRADED, "offset 2.4 ms (warn above 1 ms)",
     "See whether chrony reaches its servers: chronyc sources", ""},
    {13, 76, 71, v1::CHECK_VERDICT_PROBLEM, "nvme1n1 48 ms (usual 0.3 ms)", "", "nvme1n1"},
    {21, 50, 48.5, v1::CHECK_VERDICT_TIMEOUT, "no answer within 5 s", "", ""},
    {17, 130, 118, v1::CHECK_VERDICT_PROBLEM, "eth1 is 1500, bond0 is 9000", "", "eth1"},
    {35, 3.1, 0, v1::CHECK_VERDICT_UNKNOWN, "<script>alert(1)</script> prlimit: permission denied",
     "", ""},
};

v1::CheckResult ResultAt(size_t i, int64_t at, int64_t end, int64_t interval_ns) {
  const CheckRow& row = kChecks[i];
  v1::CheckResult result;
  result.set_rule(fmt::format("{}/{}/{}",
                              i < 58                 ? "builtin"
                              : row.module[0] == 'n' ? "nagios"
                                                     : "aegis",
                              row.module, row.item));
  result.set_module(row.module);
  result.set_item(row.item);
  result.set_condition(row.condition);
  result.set_reason(row.condition);
  result.set_level(row.level);
  result.set_kind(v1::CHECK_KIND_CONDITION);
  result.set_verdict(row.fine[0] == 0 ? v1::CHECK_VERDICT_NOT_APPLICABLE : v1::CHECK_VERDICT_OK);
  result.set_message(row.fine[0] == 0 ? "no such hardware here" : row.fine);
  result.set_started_unix_ns(at);
  result.set_duration_ns(3'000'000 + static_cast<int64_t>(i) * 700'000);
  result.set_interval_ms(interval_ns / kNsPerMs);
  for (const Episode& episode : kEpisodes) {
    const double hours = static_cast<double>(end - at) / (3600.0 * 1e9);
    if (episode.check != i || hours > episode.from_hours || hours < episode.to_hours) continue;
    result.set_verdict(episode.verdict);
    result.set_message(episode.message);
    result.set_suggestion(episode.suggestion);
    result.set_device(episode.device);
  }
  return result;
}

void Append(Store& store, AppendBatch batch) {
  std::promise<Result<void>> done;
  store.Append(std::move(batch), [&](Result<void> result) { done.set_value(std::move(result)); });
  if (const auto kept = done.get_future().get(); !kept)
    std::fprintf(stderr, "%s\n", kept.error().message.c_str());
}

void FillChecks(Store& store, const std::string& node, int64_t end, int64_t interval_ns,
                bool healthy) {
  NodeHealth health(node);
  std::vector<SeriesId> series;
  for (size_t i = 0; i < std::size(kChecks); ++i) {
    const v1::CheckResult result = ResultAt(i, 0, 0, interval_ns);
    Labels labels = {{"__name__", "faultline_check_verdict"},
                     {"node", node},
                     {"rule", result.rule()},
                     {"module", result.module()},
                     {"item", result.item()}};
    SortLabels(labels);
    series.push_back(store.InternSeries(labels, {v1::METRIC_TYPE_GAUGE, ""}).value());
  }
  AppendBatch batch;
  for (int64_t at = end - kWeekNs; at <= end; at += interval_ns) {
    for (size_t i = 0; i < std::size(kChecks); ++i) {
      v1::CheckResult result = ResultAt(i, at, healthy ? end + 100 * kWeekNs : end, interval_ns);
      result.set_started_unix_ns(at);
      health.Take(result, at, {});
      batch.samples.push_back({series[i], at / kNsPerMs, static_cast<double>(result.verdict())});
    }
    if (batch.samples.size() > 100'000 || at + interval_ns > end)
      Append(store, std::exchange(batch, {}));
  }
  health.TakeFacts("b1", {{"kernel", "6.1.0-21-amd64"}}, end - 40 * 3600 * kNsPerSecond);
  health.TakeFacts("b2", {{"kernel", "6.1.0-22-amd64"}}, end - 39 * 3600 * kNsPerSecond);
  (void)store.PutDocument("node_health", node, health.ToMemory(end).SerializeAsString());
}

void FillMetrics(Store& store, const std::string& node, int64_t end, int64_t step_ns) {
  struct Metric {
    Labels labels;
    double rate;  // of a counter; 0: a gauge
    double value;
  };
  std::vector<Metric> metrics = {
      {{{"__name__", "node_load1"}}, 0, 2.4},
      {{{"__name__", "node_memory_MemAvailable_bytes"}}, 0, 180e9},
      {{{"__name__", "node_memory_MemTotal_bytes"}}, 0, 270e9},
      {{{"__name__", "node_pressure_cpu_waiting_seconds_total"}}, 0.02, 0},
      {{{"__name__", "node_pressure_io_waiting_seconds_total"}}, 0.01, 0},
      {{{"__name__", "node_pressure_memory_waiting_seconds_total"}}, 0.001, 0},
      {{{"__name__", "node_disk_written_bytes_total"}, {"device", "nvme0n1"}}, 12e6, 0},
      {{{"__name__", "node_network_receive_bytes_total"}, {"device", "bond0"}}, 95e6, 0},
      {{{"__name__", "node_filesystem_avail_bytes"}, {"fstype", "ext4"}, {"mountpoint", "/var"}},
       0,
       7e9},
      {{{"__name__", "node_filesystem_size_bytes"}, {"fstype", "ext4"}, {"mountpoint", "/var"}},
       0,
       100e9},
      {{{"__name__", "faultline_log_lost_bytes_total"}, {"reason", "rotated_away"}}, 0, 0},
  };
  for (int cpu = 0; cpu < 16; ++cpu)
    metrics.push_back(
        {{{"__name__", "node_cpu_seconds_total"}, {"cpu", std::to_string(cpu)}, {"mode", "idle"}},
         0.8,
         0});
  std::vector<SeriesId> series;
  for (Metric& metric : metrics) {
    metric.labels.emplace_back("node", node);
    SortLabels(metric.labels);
    series.push_back(
        store
            .InternSeries(metric.labels,
                          {metric.rate > 0 ? v1::METRIC_TYPE_COUNTER : v1::METRIC_TYPE_GAUGE, ""})
            .value());
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<double> noise(0.8, 1.2);
  AppendBatch batch;
  const double step_s = static_cast<double>(step_ns) / 1e9;
  for (int64_t at = end - kWeekNs; at <= end; at += step_ns) {
    const double hour = static_cast<double>(at / kNsPerSecond % 86400) / 3600;
    const double day = 1 + 0.8 * std::sin((hour - 9) / 24 * 6.2832);
    for (size_t i = 0; i < metrics.size(); ++i) {
      Metric& metric = metrics[i];
      double value =
          metric.value * (metric.labels[0].second == "node_load1" ? day * noise(random) : 1);
      if (metric.rate > 0) {
        const double idle = LabelValue(metric.labels, "mode") == "idle"
                                ? std::min(1.0, 1 - 0.25 * day * noise(random))
                                : metric.rate * day * noise(random);
        value = metric.value += std::max(0.0, idle) * step_s;
      }
      batch.samples.push_back({series[i], at / kNsPerMs, std::round(value * 1000) / 1000});
    }
    if (batch.samples.size() > 100'000 || at + step_ns > end)
      Append(store, std::exchange(batch, {}));
  }
}

void AddNode(Fleet& fleet, const std::string& node, const char* kernel) {
  v1::Hello hello;
  hello.set_node(node);
  hello.set_session(1);
  hello.set_version("0.1.0");
  hello.set_boot_id("b2");
  fleet.OnHello(node, hello);
  v1::Inventory inventory;
  auto& facts = *inventory.mutable_facts();
  facts = {};
  facts["kernel"] = kernel;
  facts["os"] = "Debian GNU/Linux 12";
  facts["cpus"] = "16";
  facts["memory_bytes"] = "270000000000";
  facts["agent_version"] = "0.1.0";
  for (const auto& [kind, name, reason] : {std::tuple{"collector", "cpu", ""},
                                           {"collector", "memory", ""},
                                           {"probe", "tcp", ""},
                                           {"probe", "syscalls", "the kernel has no BTF"},
                                           {"fault", "network_delay", "sch_netem is not there"}}) {
    v1::LeafStatus& leaf = *inventory.add_leaves();
    leaf.set_kind(kind);
    leaf.set_name(name);
    leaf.set_running(reason[0] == 0);
    leaf.set_reason(reason);
  }
  fleet.OnInventory(node, inventory);
}

template <typename Make>
void Write(const std::string& folder, const std::string& name, Make make) {
  for (const char* format : {"html", "text", "markdown", "json", "yaml"}) {
    const auto begin = std::chrono::steady_clock::now();
    const Result<Report> report = make();
    const Result<std::string> text =
        report ? RenderReport(*report, format) : std::unexpected(report.error());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (!text) {
      std::fprintf(stderr, "%s %s: %s\n", name.c_str(), format, text.error().message.c_str());
      std::exit(1);
    }
    std::ofstream(folder + "/" + name + "." + format, std::ios::binary) << *text;
    std::printf("%s %s %.3f s %zu bytes\n", name.c_str(), format, took.count(), text->size());
  }
}

int Run(const std::string& folder, int64_t check_ns, int64_t sample_ns) {
  SystemClock clock;
  StoreOptions options;
  options.folder = folder + "/store";
  std::filesystem::create_directories(folder);
  auto store = OpenRocksDbStore(options, &clock);
  if (!store) return std::fprintf(stderr, "%s\n", store.error().message.c_str()), 1;
  const int64_t end = clock.UnixNs();
  const std::string node = "gpu-node-017";
  FillChecks(**store, node, end, check_ns, false);
  FillMetrics(**store, node, end, sample_ns);
  FillChecks(**store, "gpu-node-018", end, 1800 * kNsPerSecond, true);
  Fleet fleet(&clock, 3600 * kNsPerSecond);
  AddNode(fleet, node, "6.1.0-22-amd64");
  AddNode(fleet, "gpu-node-018", "6.1.0-21-amd64");
  GroundTruth truth(store->get());
  for (const auto& [fault, from_h, to_h] :
       {std::tuple{"cpu_stress", 7.0, 6.5}, {"network_delay", 3.0, 2.2}, {"disk_fill", 0.5, 0.0}}) {
    FaultLabel label;
    label.uid = fault;
    label.fault = fault;
    label.node = node;
    label.experiment = std::string("default/try-") + (fault[0] == 'c'   ? "cpu"
                                                      : fault[0] == 'n' ? "net"
                                                                        : "disk");
    label.begin_unix_ns = end - static_cast<int64_t>(from_h * 3600e9);
    label.end_unix_ns = to_h == 0 ? 0 : end - static_cast<int64_t>(to_h * 3600e9);
    label.phase = to_h == 0 ? v1::FAULT_PHASE_VERIFIED : v1::FAULT_PHASE_RECOVERED;
    label.effect.set_verdict(v1::VERDICT_TRUE);
    label.source = "imported";
    if (const auto added = truth.Add(label); !added)
      std::fprintf(stderr, "%s\n", added.error().message.c_str());
  }
  SelfMetrics metrics;
  Checks checks(store->get(), &fleet, &metrics, &clock, {});
  if (const auto loaded = checks.Load(); !loaded)
    return std::fprintf(stderr, "%s\n", loaded.error().message.c_str()), 1;
  const ReportSources sources{&fleet,  store->get(),           &truth, &clock, &checks,
                              nullptr, "http://127.0.0.1:8710"};
  Write(folder, "node", [&] { return MakeNodeReport(node, sources); });
  Write(folder, "cluster", [&] { return MakeClusterReport(sources); });
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) {
  if (argc < 2)
    return std::fprintf(stderr, "report_sample FOLDER [check seconds] [sample seconds]\n"), 2;
  const auto seconds = [&](int at, int64_t otherwise) {
    return (argc > at ? faultline::ParseInt(argv[at]).value_or(otherwise) : otherwise) *
           faultline::kNsPerSecond;
  };
  return faultline::Run(argv[1], seconds(2, 60), seconds(3, 15));
}
