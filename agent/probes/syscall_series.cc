#include "agent/probes/syscall_series.h"

#include "agent/probes/series_owner.h"
#include "agent/probes/syscall_names.h"
#include "agent/probes/time_histogram.h"

namespace faultline {
namespace {

constexpr std::string_view kOther = "other";
constexpr HistogramFamily kDuration = TimeHistogram(
    "container_syscall_duration_seconds_bucket", "container_syscall_duration_seconds_sum",
    "container_syscall_duration_seconds_count",
    "Duration of system calls of the container, as the kernel saw it.");
constexpr MetricFamily kCalls = {"container_syscalls_total", v1::METRIC_TYPE_COUNTER,
                                 "System calls of the container, timed or not."};
constexpr MetricFamily kErrors = {"container_syscall_errors_total", v1::METRIC_TYPE_COUNTER,
                                  "System calls of the container that returned an error."};

void EmitCalls(std::string_view owner, std::string_view syscall, const SyscallTimes& times,
               bool is_sampled, Emitter& out) {
  const LabelView labels[] = {{"syscall", syscall}};
  EmitTimes(owner, kDuration, labels, times.sum_ns, times.buckets, out);
  if (is_sampled) SampleOfOwner(owner, kCalls, labels, static_cast<double>(times.calls), out);
}

}  // namespace

void SyscallTimes::Add(const SyscallTimes& other) {
  calls += other.calls;
  sum_ns += other.sum_ns;
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
}

void SyscallTimes::Subtract(const SyscallTimes& other) {
  calls -= other.calls;
  sum_ns -= other.sum_ns;
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] -= other.buckets[i];
}

SyscallSeries::Owner& SyscallSeries::OwnerAt(std::string_view path) {
  const auto found = owners_.find(path);
  return found != owners_.end() ? found->second : owners_.emplace(path, Owner()).first->second;
}

template <typename Map>
bool SyscallSeries::Admit(Map& map, const typename Map::key_type& key, size_t most) {
  auto& wanted = map[key];
  wanted.active_pass = pass_;
  if (wanted.shown) return true;
  size_t shown = 0;
  auto* idlest = &wanted;
  for (auto& [other_key, other] : map) {
    if (!other.shown) continue;
    ++shown;
    if (other.active_pass < idlest->active_pass) idlest = &other;
  }
  if (shown >= most) {
    if (idlest->active_pass + kIdlePasses > pass_) return false;
    idlest->shown = false;
  }
  return wanted.shown = true;
}

void SyscallSeries::AddCalls(std::string_view path, uint32_t number, const SyscallTimes& delta) {
  if (delta.calls == 0) return;
  Owner& owner = OwnerAt(path);
  SyscallTimes& times =
      Admit(owner.calls, number, kMaxSyscalls) ? owner.calls[number].value : owner.other_calls;
  times.Add(delta);
}

void SyscallSeries::AddErrors(std::string_view path, uint32_t number, uint32_t error_number,
                              uint64_t delta) {
  if (delta == 0) return;
  Owner& owner = OwnerAt(path);
  const ErrorKey key(number, error_number);
  uint64_t& count =
      Admit(owner.errors, key, kMaxErrors) ? owner.errors[key].value : owner.other_errors;
  count += delta;
}

void SyscallSeries::Forget(std::string_view path) {
  if (const auto found = owners_.find(path); found != owners_.end()) owners_.erase(found);
}

void SyscallSeries::Emit(bool is_sampled, Emitter& out) const {
  for (const auto& [path, owner] : owners_) {
    for (const auto& [number, calls] : owner.calls) {
      if (calls.shown) EmitCalls(path, SyscallName(number), calls.value, is_sampled, out);
    }
    if (owner.other_calls.calls > 0) EmitCalls(path, kOther, owner.other_calls, is_sampled, out);
    for (const auto& [key, errors] : owner.errors) {
      if (!errors.shown) continue;
      const std::string syscall = SyscallName(key.first), error_name = ErrnoName(key.second);
      const LabelView labels[] = {{"syscall", syscall}, {"errno", error_name}};
      SampleOfOwner(path, kErrors, labels, static_cast<double>(errors.value), out);
    }
    if (owner.other_errors > 0) {
      const LabelView labels[] = {{"syscall", kOther}, {"errno", kOther}};
      SampleOfOwner(path, kErrors, labels, static_cast<double>(owner.other_errors), out);
    }
  }
}

}  // namespace faultline
