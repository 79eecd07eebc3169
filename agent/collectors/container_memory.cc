// Memory of every container, with cAdvisor's names and its definition of the working set: usage
// less the inactive page cache. "No limit" is a huge number in v1 and `max` in v2; both read 0
// here, as cAdvisor shows it.
#include "agent/collectors/collector.h"
#include "agent/containers/cgroup_files.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kUsage =
    Gauge("container_memory_usage_bytes", "Current memory usage in bytes, all of it.");
constexpr MetricFamily kMaxUsage =
    Gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded.");
constexpr MetricFamily kWorkingSet =
    Gauge("container_memory_working_set_bytes", "Current working set in bytes.");
constexpr MetricFamily kLimit =
    Gauge("container_spec_memory_limit_bytes", "Memory limit; 0 is none.");
constexpr MetricFamily kReservation =
    Gauge("container_spec_memory_reservation_limit_bytes", "Memory reservation limit; 0 is none.");
constexpr MetricFamily kSwapLimit =
    Gauge("container_spec_memory_swap_limit_bytes", "Swap limit; 0 is none.");
constexpr MetricFamily kFailcnt = {"container_memory_failcnt", v1::METRIC_TYPE_COUNTER,
                                   "Number of times the memory limit was hit."};
constexpr MetricFamily kFailures = {"container_memory_failures_total", v1::METRIC_TYPE_COUNTER,
                                    "Cumulative count of memory allocation failures."};
constexpr MetricFamily kOomEvents = {"container_oom_events_total", v1::METRIC_TYPE_COUNTER,
                                     "Count of out of memory events observed for the container."};

struct StatField {
  MetricFamily family;
  std::string_view v1;  // key in memory.stat
  std::string_view v2;
};
constexpr StatField kStatFields[] = {
    {Gauge("container_memory_rss", "Size of anonymous memory in bytes."), "total_rss", "anon"},
    {Gauge("container_memory_cache", "Number of bytes of page cache memory."), "total_cache",
     "file"},
    {Gauge("container_memory_mapped_file", "Size of memory mapped files in bytes."),
     "total_mapped_file", "file_mapped"},
};

struct Names {
  std::string_view usage, max_usage, limit, reservation, swap_limit, inactive_file, page_faults,
      major_faults;
};
constexpr Names kV1 = {"memory.usage_in_bytes",
                       "memory.max_usage_in_bytes",
                       "memory.limit_in_bytes",
                       "memory.soft_limit_in_bytes",
                       "memory.memsw.limit_in_bytes",
                       "total_inactive_file",
                       "total_pgfault",
                       "total_pgmajfault"};
constexpr Names kV2 = {"memory.current",  "memory.peak",   "memory.max", "memory.low",
                       "memory.swap.max", "inactive_file", "pgfault",    "pgmajfault"};
// v1 writes "none" as the largest multiple of a page.
constexpr uint64_t kNoLimitFrom = uint64_t{1} << 62;

class ContainerMemory final : public Collector {
 public:
  ContainerMemory(const LeafContext& context, CgroupFiles memory)
      : index_(*context.containers),
        memory_(std::move(memory)),
        names_(memory_.is_v1() ? kV1 : kV2) {}

  Result<void> Collect(Emitter& out) override {
    memory_.BeginPass();
    for (const ContainerIdentity& container : index_.containers()) {
      const Origin origin{.cgroup_id = container.cgroup_id, .cgroup_path = container.cgroup_path};
      const auto usage = memory_.ReadUint(origin.cgroup_path, names_.usage);
      if (!usage) continue;
      out.SampleOf(origin, kUsage, {}, static_cast<double>(*usage));
      Number(origin, kMaxUsage, names_.max_usage, out);
      Limit(origin, kLimit, names_.limit, out);
      Limit(origin, kReservation, names_.reservation, out);
      Limit(origin, kSwapLimit, names_.swap_limit, out);
      Stat(origin, *usage, out);
      Events(origin, out);
    }
    return {};
  }

 private:
  void Number(const Origin& origin, const MetricFamily& family, std::string_view file,
              Emitter& out) {
    const auto value = memory_.ReadUint(origin.cgroup_path, file);
    if (value) out.SampleOf(origin, family, {}, static_cast<double>(*value));
  }

  void Limit(const Origin& origin, const MetricFamily& family, std::string_view file,
             Emitter& out) {
    const auto text = memory_.Read(origin.cgroup_path, file);
    if (!text) return;
    const auto value = ParseUint(Trim(*text));
    const bool limited = value && *value < kNoLimitFrom;
    out.SampleOf(origin, family, {}, limited ? static_cast<double>(*value) : 0);
  }

  void Stat(const Origin& origin, uint64_t usage, Emitter& out) {
    const auto text = memory_.Read(origin.cgroup_path, "memory.stat");
    if (!text) return;
    for (const StatField& field : kStatFields) {
      const auto value = CgroupFiles::Field(*text, memory_.is_v1() ? field.v1 : field.v2);
      if (value) out.SampleOf(origin, field.family, {}, static_cast<double>(*value));
    }
    const uint64_t inactive = CgroupFiles::Field(*text, names_.inactive_file).value_or(0);
    out.SampleOf(origin, kWorkingSet, {},
                 static_cast<double>(usage > inactive ? usage - inactive : 0));
    const auto fault = [&](std::string_view type, std::string_view key) {
      if (const auto count = CgroupFiles::Field(*text, key)) {
        out.SampleOf(origin, kFailures, {{"failure_type", type}, {"scope", "hierarchy"}},
                     static_cast<double>(*count));
      }
    };
    fault("pgfault", names_.page_faults);
    fault("pgmajfault", names_.major_faults);
    if (memory_.is_v1()) Swap(origin, CgroupFiles::Field(*text, "total_swap"), out);
  }

  static void Swap(const Origin& origin, std::optional<uint64_t> bytes, Emitter& out) {
    static constexpr MetricFamily kSwap =
        Gauge("container_memory_swap", "Container swap usage in bytes.");
    if (bytes) out.SampleOf(origin, kSwap, {}, static_cast<double>(*bytes));
  }

  void Events(const Origin& origin, Emitter& out) {
    if (memory_.is_v1()) {
      Number(origin, kFailcnt, "memory.failcnt", out);
    } else {
      Swap(origin, memory_.ReadUint(origin.cgroup_path, "memory.swap.current"), out);
    }
    const auto text =
        memory_.Read(origin.cgroup_path, memory_.is_v1() ? "memory.oom_control" : "memory.events");
    if (!text) return;
    if (const auto kills = CgroupFiles::Field(*text, "oom_kill")) {
      out.SampleOf(origin, kOomEvents, {}, static_cast<double>(*kills));
    }
    if (const auto hits = CgroupFiles::Field(*text, "max"); hits && !memory_.is_v1()) {
      out.SampleOf(origin, kFailcnt, {}, static_cast<double>(*hits));
    }
  }

  ContainerIndex& index_;
  CgroupFiles memory_;
  const Names names_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeContainerMemory(const LeafContext& context) {
  FAULTLINE_ASSIGN(CgroupFiles memory, CgroupFiles::Of(context.host, context.containers, "memory"));
  return std::make_unique<ContainerMemory>(context, std::move(memory));
}

}  // namespace faultline
