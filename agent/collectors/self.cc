// What the agent itself costs this node. It looks at its own /proc/self, wherever the host's root
// is. The share of memory (PSS) makes the kernel walk the page tables: it is asked for every 15
// seconds only.
#include <sys/resource.h>

#include <cerrno>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kCpu = {"faultline_agent_cpu_seconds_total", v1::METRIC_TYPE_COUNTER,
                               "CPU time of the agent, by mode."};
constexpr MetricFamily kResident = Gauge("faultline_agent_resident_memory_bytes",
                                         "Memory of the agent, shared pages counted in full.");
constexpr MetricFamily kProportional =
    Gauge("faultline_agent_proportional_memory_bytes",
          "Memory of the agent, shared pages counted by share (PSS).");
constexpr MetricFamily kThreads = Gauge("faultline_agent_threads", "Threads of the agent.");
constexpr int64_t kProportionalEveryNs = 15 * kNsPerSecond;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// The number behind `key` in lines such as "VmRSS:    1234 kB".
std::optional<double> LineValue(std::string_view text, std::string_view key) {
  std::string_view line;
  while (NextLine(text, line)) {
    if (NextWord(line) != key) continue;
    const auto value = ParseUint(NextWord(line));
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  }
  return std::nullopt;
}

class SelfCollector final : public Collector {
 public:
  explicit SelfCollector(const Clock* clock)
      : clock_(clock), status_("/proc/self/status"), rollup_("/proc/self/smaps_rollup") {}

  Result<void> Collect(Emitter& out) override {
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0) return FailErrno(errno, "getrusage");
    out.Sample(kCpu, {{"mode", "user"}}, Seconds(usage.ru_utime));
    out.Sample(kCpu, {{"mode", "system"}}, Seconds(usage.ru_stime));
    FAULTLINE_ASSIGN(const std::string_view status, status_.Read());
    if (const auto kb = LineValue(status, "VmRSS:")) out.Sample(kResident, {}, *kb * 1024);
    if (const auto threads = LineValue(status, "Threads:")) out.Sample(kThreads, {}, *threads);
    if (!proportional_ || clock_->SteadyNs() - proportional_ns_ >= kProportionalEveryNs) {
      proportional_ns_ = clock_->SteadyNs();
      proportional_ = LineValue(rollup_.Read().value_or(""), "Pss:");
    }
    if (proportional_) out.Sample(kProportional, {}, *proportional_ * 1024);
    return {};
  }

 private:
  const Clock* clock_;
  PolledFile status_, rollup_;
  std::optional<double> proportional_;  // kB
  int64_t proportional_ns_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSelf(const LeafContext& context) {
  return std::make_unique<SelfCollector>(context.host.clock);
}

}  // namespace faultline
