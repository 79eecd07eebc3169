// How many processes and threads live in every container, and since when it exists. Processes are
// those directly in the cgroup; threads are counted by the pids controller, with all below, so they
// may be more than expected.
#include <algorithm>

#include "agent/collectors/collector.h"
#include "agent/containers/cgroup_files.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kProcesses = {"container_processes", v1::METRIC_TYPE_GAUGE,
                                     "Number of processes running inside the container."};
constexpr MetricFamily kThreads = {"container_threads", v1::METRIC_TYPE_GAUGE,
                                   "Number of threads running inside the container."};
constexpr MetricFamily kThreadsMax = {
    "container_threads_max", v1::METRIC_TYPE_GAUGE,
    "Maximum number of threads allowed inside the container; 0 is no limit."};
constexpr MetricFamily kStart = {"container_start_time_seconds", v1::METRIC_TYPE_GAUGE,
                                 "Start time of the container since unix epoch in seconds."};

class ContainerProcesses final : public Collector {
 public:
  ContainerProcesses(const LeafContext& context, CgroupFiles pids)
      : index_(*context.containers), pids_(std::move(pids)) {}

  Result<void> Collect(Emitter& out) override {
    pids_.BeginPass();
    for (const ContainerIdentity& container : index_.containers()) {
      const Origin origin{.cgroup_id = container.cgroup_id, .cgroup_path = container.cgroup_path};
      out.SampleOf(origin, kStart, {},
                   static_cast<double>(container.started_unix_ns / 1'000'000) / 1e3);
      const auto procs = pids_.Read(container.cgroup_path, "cgroup.procs");
      if (!procs) continue;
      out.SampleOf(origin, kProcesses, {},
                   static_cast<double>(std::count(procs->begin(), procs->end(), '\n')));
      const auto threads = pids_.ReadUint(container.cgroup_path, "pids.current");
      if (!threads) continue;
      out.SampleOf(origin, kThreads, {}, static_cast<double>(*threads));
      const auto most = pids_.ReadUint(container.cgroup_path, "pids.max");
      out.SampleOf(origin, kThreadsMax, {}, static_cast<double>(most.value_or(0)));
    }
    return {};
  }

 private:
  ContainerIndex& index_;
  CgroupFiles pids_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeContainerProcesses(const LeafContext& context) {
  FAULTLINE_ASSIGN(CgroupFiles pids, CgroupFiles::Of(context.host, context.containers, "pids"));
  return std::make_unique<ContainerProcesses>(context, std::move(pids));
}

}  // namespace faultline
