// What tasks of every container paid for memory: reclaim that they had to do themselves
// (bpf/memory.bpf.c).
#include <cstddef>

#include "agent/probes/counts_probe.h"
#include "bpf/memory.h"
#include "memory.skel.h"

namespace faultline {
namespace {

constexpr MetricFamily kPages = {
    "container_reclaim_pages_total", v1::METRIC_TYPE_COUNTER,
    "Pages that tasks of the container freed themselves: the node had none (direct), or their "
    "cgroup was at its limit."};
constexpr HistogramFamily kReclaim = TimeHistogram(
    "container_reclaim_duration_seconds_bucket", "container_reclaim_duration_seconds_sum",
    "container_reclaim_duration_seconds_count",
    "Time that tasks of the container stood still to free memory, by why.");

constexpr WordSeries kSeries[] = {
    {offsetof(memory_counts, direct_pages), kPages, {"reason", "direct"}},
    {offsetof(memory_counts, limit_pages), kPages, {"reason", "limit"}},
};
constexpr WordTimes kTimes[] = {
    {offsetof(memory_counts, direct), kReclaim, {"reason", "direct"}},
    {offsetof(memory_counts, limit), kReclaim, {"reason", "limit"}},
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeMemoryProbe(const LeafContext& context) {
  return CountsProbe<memory_bpf, memory_counts>::Make("memory", context, size_t{4} << 20, 1024,
                                                      kSeries, kTimes);
}

}  // namespace faultline
