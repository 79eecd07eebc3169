#include "agent/probes/probe_books.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

namespace faultline {

namespace {

std::vector<ProbeBooks*>& MutableLedger() {
  static std::vector<ProbeBooks*> ledger;
  return ledger;
}

// What the kernel charges for the map.
uint64_t MapBytes(int fd) {
  std::ifstream file(fmt::format("/proc/self/fdinfo/{}", fd));
  std::string word;
  uint64_t bytes = 0;
  while (file >> word) {
    if (word == "memlock:" && file >> bytes) return bytes;
  }
  return 0;
}

}  // namespace

const std::vector<ProbeBooks*>& ProbeBooks::Ledger() { return MutableLedger(); }

ProbeBooks::ProbeBooks(std::string_view probe, const bpf_object* object, const account* accounts)
    : probe_(probe), accounts_(accounts) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    if (const int fd = bpf_program__fd(program); fd >= 0)
      programs_.emplace_back(bpf_program__name(program), fd);
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (const int fd = bpf_map__fd(map); fd >= 0) maps_.push_back({bpf_map__name(map), fd, 0});
  }
  MutableLedger().push_back(this);
}

ProbeBooks::~ProbeBooks() { std::erase(MutableLedger(), this); }

void ProbeBooks::Sheddable(Detach detach, Attach attach) {
  detach_ = std::move(detach);
  attach_ = std::move(attach);
}

void ProbeBooks::Shed(std::string reason) {
  if (!detach_ || !shed_reason_.empty()) return;
  detach_();
  shed_reason_ = std::move(reason);
}

Result<void> ProbeBooks::Restore() {
  if (shed_reason_.empty()) return {};
  FAULTLINE_TRY(attach_());
  shed_reason_.clear();
  return {};
}

Result<void> ProbeBooks::InService() const {
  if (shed_reason_.empty()) return {};
  return Fail(ErrorCode::kUnavailable, "shed: {}", shed_reason_);
}

uint64_t ProbeBooks::RunTimeNs() const {
  uint64_t sum_ns = 0;
  for (const auto& [name, fd] : programs_) {
    bpf_prog_info facts{};
    uint32_t length = sizeof facts;
    if (bpf_obj_get_info_by_fd(fd, &facts, &length) == 0) sum_ns += facts.run_time_ns;
  }
  return sum_ns;
}

account ProbeBooks::Sum() const {
  account sum{};
  for (int i = 0; i < ACCOUNT_CPUS; ++i) {
    sum.produced += accounts_[i].produced;
    sum.dropped_map_full += accounts_[i].dropped_map_full;
    sum.dropped_no_storage += accounts_[i].dropped_no_storage;
    sum.dropped_ring_full += accounts_[i].dropped_ring_full;
    sum.dropped_no_request += accounts_[i].dropped_no_request;
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
  SetDrop("no_request", sum.dropped_no_request);
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
  EmitCost(out);
}

void ProbeBooks::EmitCost(Emitter& out) {
  static constexpr MetricFamily kSeconds = {
      "faultline_probe_run_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Time in a BPF program, of the runs in faultline_probe_runs_total only: the kernel times "
      "them "
      "now and then."};
  static constexpr MetricFamily kRuns = {"faultline_probe_runs_total", v1::METRIC_TYPE_COUNTER,
                                         "Runs of a BPF program that were timed."};
  static constexpr MetricFamily kBytes = {"faultline_probe_map_bytes", v1::METRIC_TYPE_GAUGE,
                                          "Memory of a BPF map, as the kernel charges it."};
  static constexpr MetricFamily kRing = {
      "faultline_probe_ring_bytes", v1::METRIC_TYPE_GAUGE,
      "Most bytes that waited in the probe's ring when it was read, since the last pass."};
  constexpr uint64_t kWeighedEvery = 60;
  for (const auto& [name, fd] : programs_) {
    bpf_prog_info facts{};
    uint32_t length = sizeof facts;
    if (bpf_obj_get_info_by_fd(fd, &facts, &length) != 0) continue;
    out.Sample(kSeconds, {{"probe", probe_}, {"program", name}},
               static_cast<double>(facts.run_time_ns) / 1e9);
    out.Sample(kRuns, {{"probe", probe_}, {"program", name}}, static_cast<double>(facts.run_cnt));
  }
  const bool weigh = passes_++ % kWeighedEvery == 0;
  bool has_ring = false;
  for (Map& map : maps_) {
    if (weigh) map.bytes = MapBytes(map.fd);
    has_ring |= map.name == "ring";
    out.Sample(kBytes, {{"probe", probe_}, {"map", map.name}}, static_cast<double>(map.bytes));
  }
  if (has_ring) out.Sample(kRing, {{"probe", probe_}}, static_cast<double>(ring_held_));
  ring_held_ = 0;
}

}  // namespace faultline
