// CPU time, throttling and CPU limits of every container, with cAdvisor's names. v1 keeps usage in
// cpuacct and limits in cpu; v2 has all in cpu.stat and cpu.max. Weights of v2 are shown as the
// shares they stand for.
#include "agent/collectors/collector.h"
#include "agent/containers/cgroup_files.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kUsage = {"container_cpu_usage_seconds_total", v1::METRIC_TYPE_COUNTER,
                                 "Cumulative cpu time consumed in seconds."};
constexpr MetricFamily kUser = {"container_cpu_user_seconds_total", v1::METRIC_TYPE_COUNTER,
                                "Cumulative user cpu time consumed in seconds."};
constexpr MetricFamily kSystem = {"container_cpu_system_seconds_total", v1::METRIC_TYPE_COUNTER,
                                  "Cumulative system cpu time consumed in seconds."};
constexpr MetricFamily kPeriods = {"container_cpu_cfs_periods_total", v1::METRIC_TYPE_COUNTER,
                                   "Number of elapsed enforcement period intervals."};
constexpr MetricFamily kThrottledPeriods = {"container_cpu_cfs_throttled_periods_total",
                                            v1::METRIC_TYPE_COUNTER,
                                            "Number of throttled period intervals."};
constexpr MetricFamily kThrottled = {"container_cpu_cfs_throttled_seconds_total",
                                     v1::METRIC_TYPE_COUNTER,
                                     "Total time duration the container has been throttled."};
constexpr MetricFamily kQuota = {"container_spec_cpu_quota", v1::METRIC_TYPE_GAUGE,
                                 "CPU quota of the container, in microseconds per period."};
constexpr MetricFamily kPeriod = {"container_spec_cpu_period", v1::METRIC_TYPE_GAUGE,
                                  "CPU period of the container, in microseconds."};
constexpr MetricFamily kShares = {"container_spec_cpu_shares", v1::METRIC_TYPE_GAUGE,
                                  "CPU share of the container."};

class ContainerCpu final : public Collector {
 public:
  ContainerCpu(const LeafContext& context, CgroupFiles cpu, CgroupFiles cpuacct)
      : index_(*context.containers),
        ticks_per_second_(static_cast<double>(context.host.ticks_per_second)),
        cpu_(std::move(cpu)),
        cpuacct_(std::move(cpuacct)) {}

  Result<void> Collect(Emitter& out) override {
    cpu_.BeginPass();
    cpuacct_.BeginPass();
    for (const ContainerIdentity& container : index_.containers()) {
      const Origin origin{.cgroup_id = container.cgroup_id, .cgroup_path = container.cgroup_path};
      if (cpuacct_.is_v1()) UsageV1(origin, out);
      if (cpu_.is_v1()) {
        LimitsV1(origin, out);
      } else {
        AllV2(origin, out);
      }
    }
    return {};
  }

 private:
  static void Scaled(const Origin& origin, const MetricFamily& family,
                     std::optional<uint64_t> value, double per_unit, Emitter& out) {
    if (value) out.SampleOf(origin, family, {}, static_cast<double>(*value) / per_unit);
  }

  void UsageV1(const Origin& origin, Emitter& out) {
    if (const auto ns = cpuacct_.ReadUint(origin.cgroup_path, "cpuacct.usage")) {
      out.SampleOf(origin, kUsage, {{"cpu", "total"}}, static_cast<double>(*ns) / 1e9);
    }
    const auto text = cpuacct_.Read(origin.cgroup_path, "cpuacct.stat");
    if (!text) return;
    Scaled(origin, kUser, CgroupFiles::Field(*text, "user"), ticks_per_second_, out);
    Scaled(origin, kSystem, CgroupFiles::Field(*text, "system"), ticks_per_second_, out);
  }

  void LimitsV1(const Origin& origin, Emitter& out) {
    const auto shares = cpu_.ReadUint(origin.cgroup_path, "cpu.shares");
    if (!shares) return;
    Scaled(origin, kShares, shares, 1, out);
    Scaled(origin, kPeriod, cpu_.ReadUint(origin.cgroup_path, "cpu.cfs_period_us"), 1, out);
    // -1, which is no unsigned number, means that there is none.
    const auto quota = cpu_.ReadUint(origin.cgroup_path, "cpu.cfs_quota_us");
    if (!quota) return;
    Scaled(origin, kQuota, quota, 1, out);
    const auto text = cpu_.Read(origin.cgroup_path, "cpu.stat");
    if (!text) return;
    Scaled(origin, kPeriods, CgroupFiles::Field(*text, "nr_periods"), 1, out);
    Scaled(origin, kThrottledPeriods, CgroupFiles::Field(*text, "nr_throttled"), 1, out);
    Scaled(origin, kThrottled, CgroupFiles::Field(*text, "throttled_time"), 1e9, out);
  }

  void AllV2(const Origin& origin, Emitter& out) {
    const auto text = cpu_.Read(origin.cgroup_path, "cpu.stat");
    if (!text) return;
    if (const auto usec = CgroupFiles::Field(*text, "usage_usec"); usec && !cpuacct_.is_v1()) {
      out.SampleOf(origin, kUsage, {{"cpu", "total"}}, static_cast<double>(*usec) / 1e6);
      Scaled(origin, kUser, CgroupFiles::Field(*text, "user_usec"), 1e6, out);
      Scaled(origin, kSystem, CgroupFiles::Field(*text, "system_usec"), 1e6, out);
    }
    if (const auto periods = CgroupFiles::Field(*text, "nr_periods"); periods && *periods > 0) {
      Scaled(origin, kPeriods, periods, 1, out);
      Scaled(origin, kThrottledPeriods, CgroupFiles::Field(*text, "nr_throttled"), 1, out);
      Scaled(origin, kThrottled, CgroupFiles::Field(*text, "throttled_usec"), 1e6, out);
    }
    auto limit = cpu_.Read(origin.cgroup_path, "cpu.max");
    if (!limit) return;
    const auto quota = ParseUint(NextWord(*limit));  // `max` is no number
    Scaled(origin, kQuota, quota, 1, out);
    Scaled(origin, kPeriod, ParseUint(NextWord(*limit)), 1, out);
    if (const auto weight = cpu_.ReadUint(origin.cgroup_path, "cpu.weight");
        weight && *weight > 0) {
      Scaled(origin, kShares, 2 + (*weight - 1) * 262142 / 9999, 1, out);
    }
  }

  ContainerIndex& index_;
  const double ticks_per_second_;
  CgroupFiles cpu_;
  CgroupFiles cpuacct_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeContainerCpu(const LeafContext& context) {
  FAULTLINE_ASSIGN(CgroupFiles cpu, CgroupFiles::Of(context.host, context.containers, "cpu"));
  FAULTLINE_ASSIGN(CgroupFiles cpuacct,
                   CgroupFiles::Of(context.host, context.containers, "cpuacct"));
  return std::make_unique<ContainerCpu>(context, std::move(cpu), std::move(cpuacct));
}

}  // namespace faultline
