#include "aggregator/diagnosis/signals.h"

namespace faultline {
namespace {

constexpr SignalKind kRate = SignalKind::kRate;
constexpr SignalKind kGauge = SignalKind::kGauge;
constexpr SignalKind kMean = SignalKind::kMean;
constexpr SignalRole kCause = SignalRole::kCause;
constexpr SignalRole kSymptom = SignalRole::kSymptom;
constexpr double kMiB = 1 << 20;

// Containers first, then the node. Weights: 1 = by itself enough to name the cause.
constexpr Signal kSignals[] = {
    {"container_cpu_usage_seconds_total", kRate, kCause, "cpu_saturation", "process_stopped", 1.0, 0.02, "cores", true},
    {"container_cpu_cfs_throttled_seconds_total", kRate, kCause, "cpu_throttling", "", 0.8, 0.05, "s/s", true},
    {"container_pressure_cpu_waiting_seconds_total", kRate, kSymptom, "cpu_contention", "", 0.3, 0.05, "s/s", true},
    {"container_memory_working_set_bytes", kGauge, kCause, "memory_growth", "", 0.9, 16 * kMiB, "bytes", true},
    {"container_memory_failcnt", kRate, kCause, "memory_limit", "", 0.8, 1, "1/s", true},
    {"container_pressure_memory_waiting_seconds_total", kRate, kSymptom, "memory_pressure", "", 0.3, 0.05, "s/s", true},
    {"container_fs_writes_bytes_total", kRate, kCause, "disk_write_load", "", 0.8, 4 * kMiB, "bytes/s", true},
    {"container_fs_reads_bytes_total", kRate, kCause, "disk_read_load", "", 0.8, 4 * kMiB, "bytes/s", true},
    {"container_pressure_io_waiting_seconds_total", kRate, kSymptom, "io_contention", "", 0.3, 0.05, "s/s", true},
    {"container_network_transmit_bytes_total", kRate, kCause, "network_load", "", 0.6, 4 * kMiB, "bytes/s", false},
    {"container_network_receive_bytes_total", kRate, kSymptom, "network_load", "", 0.3, 4 * kMiB, "bytes/s", false},
    {"container_tcp_retransmits_total", kRate, kCause, "network_loss", "", 0.8, 1, "1/s", false},
    {"container_tcp_resets_total", kRate, kSymptom, "connection_resets", "", 0.5, 1, "1/s", false},
    {"container_oom_kills_total", kRate, kCause, "oom_kill", "", 1.0, 0.01, "1/s", true},
    {"container_processes", kGauge, kSymptom, "", "process_exit", 0.4, 1, "processes", true},
    {"container_syscall_duration_seconds", kMean, kSymptom, "syscall_latency", "", 0.4, 0.001, "s", false},
    {"container_syscall_duration_seconds_count", kRate, kSymptom, "", "process_stopped", 0.5, 5, "1/s", false},
    {"container_syscall_errors_total", kRate, kSymptom, "syscall_errors", "", 0.5, 1, "1/s", false},
    {"node_cpu_seconds_total", kRate, kCause, "cpu_saturation", "", 0.5, 0.2, "cores", false, R"(mode!~"idle|iowait")"},
    {"node_memory_MemAvailable_bytes", kGauge, kCause, "", "memory_growth", 0.5, 256 * kMiB, "bytes", false},
    {"node_disk_io_time_seconds_total", kRate, kCause, "disk_load", "", 0.5, 0.2, "s/s", false},
    {"node_pressure_cpu_waiting_seconds_total", kRate, kSymptom, "cpu_contention", "", 0.2, 0.1, "s/s", false},
    {"node_pressure_io_waiting_seconds_total", kRate, kSymptom, "io_contention", "", 0.2, 0.1, "s/s", false},
    {"node_network_transmit_drop_total", kRate, kCause, "network_loss", "", 0.5, 1, "1/s", false},
    {"node_filesystem_avail_bytes", kGauge, kCause, "", "disk_full", 0.5, 256 * kMiB, "bytes", false},
};

}  // namespace

std::span<const Signal> SignalCatalogue() { return kSignals; }

const Signal* FindSignal(std::string_view metric) {
  for (const Signal& signal : kSignals) {
    if (signal.metric == metric) return &signal;
  }
  return nullptr;
}

}  // namespace faultline
