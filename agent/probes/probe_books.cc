#include "agent/probes/probe_books.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace faultline {

ProbeBooks::ProbeBooks(std::string_view probe, const bpf_object* object, const account* accounts)
    : probe_(probe), accounts_(accounts) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    if (const int fd = bpf_program__fd(program); fd >= 0)
      programs_.emplace_back(bpf_program__name(program), fd);
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
  auto drop =
      std::find_if(drops_.begin(), drops_.end(), [&](const Drop& d) { return d.reason == reason; });
  if (drop == drops_.end()) {
    if (count == 0) return;
    drop = drops_.insert(drops_.end(), Drop{std::string(reason)});
  }
  drop->count = count;
}

void ProbeBooks::Dropped(std::string_view reason, uint64_t count) {
  const auto drop =
      std::find_if(drops_.begin(), drops_.end(), [&](const Drop& d) { return d.reason == reason; });
  SetDrop(reason, count + (drop == drops_.end() ? 0 : drop->count));
}

void ProbeBooks::Emit(Emitter& out) {
  static constexpr MetricFamily kProduced = {
      "faultline_probe_produced_total", v1::METRIC_TYPE_COUNTER,
      "Records that the probe's programs made in the kernel."};
  static constexpr MetricFamily kDelivered = {"faultline_probe_delivered_total",
                                              v1::METRIC_TYPE_COUNTER,
                                              "Records that reached the agent and a known owner."};
  static constexpr MetricFamily kDropped = {"faultline_probe_dropped_total",
                                            v1::METRIC_TYPE_COUNTER,
                                            "Records that the probe had to give up."};
  static constexpr MetricFamily kPending = {"faultline_probe_pending", v1::METRIC_TYPE_GAUGE,
                                            "Records whose owner is not known yet."};
  static constexpr MetricFamily kCountsLost = {
      "faultline_probe_counts_lost_total", v1::METRIC_TYPE_COUNTER,
      "Increments of counters beside the records (errors by errno, processes by cgroup) that found "
      "no room."};
  const account sum = Sum();
  SetDrop("map_full", sum.dropped_map_full);
  SetDrop("no_storage", sum.dropped_no_storage);
  SetDrop("ring_full", sum.dropped_ring_full);
  out.Sample(kProduced, {{"probe", probe_}}, static_cast<double>(sum.produced));
  out.Sample(kDelivered, {{"probe", probe_}}, static_cast<double>(delivered_));
  out.Sample(kPending, {{"probe", probe_}}, static_cast<double>(pending_));
  out.Sample(kCountsLost, {{"probe", probe_}}, static_cast<double>(sum.counts_lost));
  for (Drop& drop : drops_) {
    out.Sample(kDropped, {{"probe", probe_}, {"reason", drop.reason}},
               static_cast<double>(drop.count));
    if (drop.count > drop.told) out.Dropped(drop.reason, drop.count - drop.told);
    drop.told = drop.count;
  }
  EmitRunTime(out);
}

void ProbeBooks::EmitRunTime(Emitter& out) {
  static constexpr MetricFamily kSeconds = {
      "faultline_probe_run_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Time in a BPF program, of the runs in faultline_probe_runs_total only: one pass out of "
      "sixty is timed."};
  static constexpr MetricFamily kRuns = {"faultline_probe_runs_total", v1::METRIC_TYPE_COUNTER,
                                         "Runs of a BPF program that were timed."};
  constexpr uint64_t kTimedEvery = 60;
  if (stats_fd_ >= 0) close(std::exchange(stats_fd_, -1));
  if (passes_++ % kTimedEvery == 1) stats_fd_ = bpf_enable_stats(BPF_STATS_RUN_TIME);
  for (const auto& [name, fd] : programs_) {
    bpf_prog_info facts{};
    uint32_t length = sizeof facts;
    if (bpf_obj_get_info_by_fd(fd, &facts, &length) != 0) continue;
    out.Sample(kSeconds, {{"probe", probe_}, {"program", name}},
               static_cast<double>(facts.run_time_ns) / 1e9);
    out.Sample(kRuns, {{"probe", probe_}, {"program", name}}, static_cast<double>(facts.run_cnt));
  }
}

}  // namespace faultline
