#include "agent/probes/bpf_program.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <mutex>

#include "common/text.h"

namespace faultline {
namespace {

std::mutex messages_mutex;
std::string messages_kept;
constexpr size_t kMaxKeptBytes = 4096;
constexpr uint32_t kBatch = 256;

int Keep(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  const int length = vsnprintf(line, sizeof line, format, arguments);
  std::lock_guard lock(messages_mutex);
  if (length > 0 && messages_kept.size() < kMaxKeptBytes) messages_kept += line;
  return 0;
}

size_t Padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

LibbpfMessages::LibbpfMessages() {
  std::lock_guard lock(messages_mutex);
  messages_kept.clear();
  libbpf_set_print(Keep);
}
// Libbpf stays silent afterwards too: what it prints later is of no use to anybody.
LibbpfMessages::~LibbpfMessages() = default;

std::string LibbpfMessages::FirstLine() const {
  std::lock_guard lock(messages_mutex);
  std::string_view rest = messages_kept, line;
  while (NextLine(rest, line)) {
    // These mislead: they come with every EPERM.
    if (line.find("ulimit") == line.npos && line.find("RLIMIT_MEMLOCK") == line.npos) return std::string(Trim(line));
  }
  return "";
}

Error BpfRefused(std::string_view probe, std::string_view step, int error_number, const std::string& message) {
  std::string reason = fmt::format("unsupported: {} of {}: {}", step, probe, std::strerror(error_number));
  if (error_number == EPERM || error_number == EACCES) {
    reason += geteuid() == 0 ? " (the kernel refuses this kind of BPF program)" : " (needs CAP_BPF and CAP_PERFMON)";
  }
  if (!message.empty()) reason += fmt::format(" [{}]", message);
  return Error{ErrorCode::kUnsupported, std::move(reason)};
}

Result<void> ChoosePrograms(bpf_object* object, const ProgramSet& programs) {
  for (const char* name : programs) {
    bpf_program* program = bpf_object__find_program_by_name(object, name);
    if (program == nullptr) return Fail(ErrorCode::kInternal, "no BPF program {}", name);
    bpf_program__set_autoload(program, true);
  }
  return {};
}

uint32_t EntriesWithin(size_t budget_bytes, size_t value_bytes, uint32_t most) {
  const size_t cpus = static_cast<size_t>(std::max(1, libbpf_num_possible_cpus()));
  return static_cast<uint32_t>(std::clamp<size_t>(budget_bytes / (cpus * Padded(value_bytes)), 256, most));
}

void ReleaseLoadMemory() { malloc_trim(0); }

PercpuHash::PercpuHash(int map_fd, size_t key_bytes, size_t value_bytes)
    : fd_(map_fd),
      key_bytes_(key_bytes),
      value_bytes_(Padded(value_bytes)),
      cpus_(std::max(1, libbpf_num_possible_cpus())),
      keys_(kBatch * key_bytes),
      values_(kBatch * value_bytes_ * static_cast<size_t>(cpus_)) {}

Result<void> PercpuHash::ForEach(const Visitor& visit) {
  if (!batches_) return KeyByKey(visit);
  const size_t entry_bytes = value_bytes_ * static_cast<size_t>(cpus_);
  uint32_t position = 0;  // opaque to us: the bucket to go on with
  bool first = true;
  while (true) {
    uint32_t count = kBatch;
    const int failed = bpf_map_lookup_batch(fd_, first ? nullptr : &position, &position, keys_.data(),
                                            values_.data(), &count, nullptr);
    if (failed != 0 && errno != ENOENT) {
      if (!first) return FailErrno(errno, "read a BPF map");
      batches_ = false;
      return KeyByKey(visit);
    }
    for (uint32_t i = 0; i < count; ++i) visit(keys_.data() + i * key_bytes_, values_.data() + i * entry_bytes);
    if (failed != 0) return {};
    first = false;
  }
}

Result<void> PercpuHash::KeyByKey(const Visitor& visit) {
  std::byte* const key = keys_.data();
  std::byte* const next = keys_.data() + key_bytes_;
  bool first = true;
  while (bpf_map_get_next_key(fd_, first ? nullptr : key, next) == 0) {
    std::copy(next, next + key_bytes_, key);
    first = false;
    if (bpf_map_lookup_elem(fd_, key, values_.data()) == 0) visit(key, values_.data());
  }
  if (errno != ENOENT) return FailErrno(errno, "read a BPF map");
  return {};
}

void PercpuHash::Delete(const void* key) { bpf_map_delete_elem(fd_, key); }

ProbeBooks::ProbeBooks(std::string_view probe, const bpf_object* object, const account* accounts)
    : probe_(probe), accounts_(accounts) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    if (const int fd = bpf_program__fd(program); fd >= 0) programs_.emplace_back(bpf_program__name(program), fd);
  }
}

ProbeBooks::~ProbeBooks() {
  if (stats_fd_ >= 0) close(stats_fd_);
}

account ProbeBooks::Sum() const {
  account sum{};
  for (int i = 0; i < ACCOUNT_CPUS; ++i) {
    sum.produced += accounts_[i].produced;
    sum.dropped_map_full += accounts_[i].dropped_map_full;
    sum.dropped_no_storage += accounts_[i].dropped_no_storage;
    sum.dropped_ring_full += accounts_[i].dropped_ring_full;
    sum.counts_lost += accounts_[i].counts_lost;
  }
  return sum;
}

void ProbeBooks::SetDrop(std::string_view reason, uint64_t count) {
  auto drop = std::find_if(drops_.begin(), drops_.end(), [&](const Drop& d) { return d.reason == reason; });
  if (drop == drops_.end()) {
    if (count == 0) return;
    drop = drops_.insert(drops_.end(), Drop{std::string(reason)});
  }
  drop->count = count;
}

void ProbeBooks::Dropped(std::string_view reason, uint64_t count) {
  const auto drop = std::find_if(drops_.begin(), drops_.end(), [&](const Drop& d) { return d.reason == reason; });
  SetDrop(reason, count + (drop == drops_.end() ? 0 : drop->count));
}

void ProbeBooks::Emit(Emitter& out) {
  static constexpr MetricFamily kProduced = {"faultline_probe_produced_total", v1::METRIC_TYPE_COUNTER,
                                             "Records that the probe's programs made in the kernel."};
  static constexpr MetricFamily kDelivered = {"faultline_probe_delivered_total", v1::METRIC_TYPE_COUNTER,
                                              "Records that reached the agent and a known owner."};
  static constexpr MetricFamily kDropped = {"faultline_probe_dropped_total", v1::METRIC_TYPE_COUNTER,
                                            "Records that the probe had to give up."};
  static constexpr MetricFamily kPending = {"faultline_probe_pending", v1::METRIC_TYPE_GAUGE,
                                            "Records whose owner is not known yet."};
  static constexpr MetricFamily kCountsLost = {
      "faultline_probe_counts_lost_total", v1::METRIC_TYPE_COUNTER,
      "Increments of counters beside the records (errors by errno, processes by cgroup) that found no room."};
  const account sum = Sum();
  SetDrop("map_full", sum.dropped_map_full);
  SetDrop("no_storage", sum.dropped_no_storage);
  SetDrop("ring_full", sum.dropped_ring_full);
  out.Sample(kProduced, {{"probe", probe_}}, static_cast<double>(sum.produced));
  out.Sample(kDelivered, {{"probe", probe_}}, static_cast<double>(delivered_));
  out.Sample(kPending, {{"probe", probe_}}, static_cast<double>(pending_));
  out.Sample(kCountsLost, {{"probe", probe_}}, static_cast<double>(sum.counts_lost));
  for (Drop& drop : drops_) {
    out.Sample(kDropped, {{"probe", probe_}, {"reason", drop.reason}}, static_cast<double>(drop.count));
    if (drop.count > drop.told) out.Dropped(drop.reason, drop.count - drop.told);
    drop.told = drop.count;
  }
  EmitRunTime(out);
}

void ProbeBooks::EmitRunTime(Emitter& out) {
  static constexpr MetricFamily kSeconds = {
      "faultline_probe_run_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Time in a BPF program, of the runs in faultline_probe_runs_total only: one pass out of sixty is timed."};
  static constexpr MetricFamily kRuns = {"faultline_probe_runs_total", v1::METRIC_TYPE_COUNTER,
                                         "Runs of a BPF program that were timed."};
  constexpr uint64_t kTimedEvery = 60;
  if (stats_fd_ >= 0) close(std::exchange(stats_fd_, -1));
  if (passes_++ % kTimedEvery == 1) stats_fd_ = bpf_enable_stats(BPF_STATS_RUN_TIME);
  for (const auto& [name, fd] : programs_) {
    bpf_prog_info facts{};
    uint32_t length = sizeof facts;
    if (bpf_obj_get_info_by_fd(fd, &facts, &length) != 0) continue;
    out.Sample(kSeconds, {{"probe", probe_}, {"program", name}}, static_cast<double>(facts.run_time_ns) / 1e9);
    out.Sample(kRuns, {{"probe", probe_}, {"program", name}}, static_cast<double>(facts.run_cnt));
  }
}

}  // namespace faultline
