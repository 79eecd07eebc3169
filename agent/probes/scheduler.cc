// How tasks of every container get to the CPU: waiting for one, asleep, preempted; and the major
// faults that made them wait for a disk (bpf/scheduler.bpf.c). Throttling by quota is told by the
// collector container_cpu.
#include <cstddef>

#include "agent/probes/counts_probe.h"
#include "bpf/scheduler.h"
#include "scheduler.skel.h"

namespace faultline {
namespace {

constexpr MetricFamily kOffCpu = {
    "container_off_cpu_seconds_total", v1::METRIC_TYPE_COUNTER,
    "Time that tasks of the container slept, counted as they woke; uninterruptible is waiting for "
    "disks and locks."};

constexpr WordSeries kSeries[] = {
    {offsetof(scheduler_counts, off_cpu_ns), kOffCpu, {"state", "interruptible"}, 1e-9},
    {offsetof(scheduler_counts, off_cpu_ns) + 8, kOffCpu, {"state", "uninterruptible"}, 1e-9},
    {offsetof(scheduler_counts, preemptions),
     {"container_preemptions_total", v1::METRIC_TYPE_COUNTER,
      "Times that a task of the container lost the CPU though it wanted to go on."},
     {}},
    {offsetof(scheduler_counts, major_faults),
     {"container_major_faults_total", v1::METRIC_TYPE_COUNTER,
      "Page faults of the container that had to read from a disk."},
     {}},
};
constexpr WordTimes kTimes[] = {
    {offsetof(scheduler_counts, run_queue),
     TimeHistogram("container_run_queue_duration_seconds_bucket",
                   "container_run_queue_duration_seconds_sum",
                   "container_run_queue_duration_seconds_count",
                   "Time that tasks of the container were ready to run before they ran."),
     {}},
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSchedulerProbe(const LeafContext& context) {
  return CountsProbe<scheduler_bpf, scheduler_counts>::Make("scheduler", context, size_t{8} << 20,
                                                            2048, kSeries, kTimes);
}

}  // namespace faultline
