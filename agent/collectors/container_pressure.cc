// Time that tasks of every container lost waiting for CPU, memory or I/O (PSI), with cAdvisor's
// names: `waiting` is the kernel's "some", `stalled` its "full". Kept in v2 only, so in hybrid
// set-ups for cgroups that exist there too.
#include "agent/collectors/collector.h"
#include "agent/containers/cgroup_files.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Resource {
  std::string_view file;
  MetricFamily waiting;
  MetricFamily stalled;
};
constexpr Resource kResources[] = {
    {"cpu.pressure",
     {"container_pressure_cpu_waiting_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Total time duration tasks in the container have waited due to CPU congestion."},
     {"container_pressure_cpu_stalled_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Total time duration no tasks in the container could make progress due to CPU congestion."}},
    {"io.pressure",
     {"container_pressure_io_waiting_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Total time duration tasks in the container have waited due to IO congestion."},
     {"container_pressure_io_stalled_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Total time duration no tasks in the container could make progress due to IO congestion."}},
    {"memory.pressure",
     {"container_pressure_memory_waiting_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Total time duration tasks in the container have waited due to memory congestion."},
     {"container_pressure_memory_stalled_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Total time duration no tasks in the container could make progress due to memory "
      "congestion."}},
};

class ContainerPressure final : public Collector {
 public:
  ContainerPressure(const LeafContext& context, CgroupFiles unified)
      : index_(*context.containers), unified_(std::move(unified)) {}

  Result<void> Collect(Emitter& out) override {
    unified_.BeginPass();
    for (const ContainerIdentity& container : index_.containers()) {
      if (container.cgroup_id == 0) continue;
      const Origin origin{.cgroup_id = container.cgroup_id, .cgroup_path = container.cgroup_path};
      for (const Resource& resource : kResources) {
        const auto text = unified_.Read(container.cgroup_path, resource.file);
        if (text) Emit(origin, resource, *text, out);
      }
    }
    return {};
  }

 private:
  // `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`, then the same for `full`; microseconds.
  static void Emit(const Origin& origin, const Resource& resource, std::string_view text,
                   Emitter& out) {
    std::string_view line;
    while (NextLine(text, line)) {
      const size_t at = line.find("total=");
      if (at == std::string_view::npos) continue;
      const auto usec = ParseUint(Trim(line.substr(at + 6)));
      if (!usec) continue;
      out.SampleOf(origin, line.starts_with("some") ? resource.waiting : resource.stalled, {},
                   static_cast<double>(*usec) / 1e6);
    }
  }

  ContainerIndex& index_;
  CgroupFiles unified_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeContainerPressure(const LeafContext& context) {
  FAULTLINE_ASSIGN(CgroupFiles unified,
                   CgroupFiles::Of(context.host, context.containers, "unified"));
  return std::make_unique<ContainerPressure>(context, std::move(unified));
}

}  // namespace faultline
