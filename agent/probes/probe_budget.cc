// What all probes together may cost. Now and then the kernel is asked to time every BPF program for
// one pass; when their sum is beyond the budget in two such passes in a row, the most expensive
// probe is taken out of the kernel, and says so: its passes fail with the reason, an event is made,
// and a series tells. After `retry` it is tried again.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/probes/attributes.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr uint64_t kTimedEvery = 30;  // passes
constexpr int kStrikes = 2;

constexpr MetricFamily kCpu = {"faultline_probe_cpu_percent", v1::METRIC_TYPE_GAUGE,
                               "Time in the probe's programs when it was last taken, of one CPU."};
constexpr MetricFamily kBudget = {"faultline_probe_budget_cpu_percent", v1::METRIC_TYPE_GAUGE,
                                  "What all probes together may use, of one CPU."};
constexpr MetricFamily kShed = {"faultline_probe_shed", v1::METRIC_TYPE_GAUGE,
                                "1 while the probe is off because all together were too expensive."};

class ProbeBudget final : public Collector {
 public:
  explicit ProbeBudget(const LeafContext& context)
      : host_(context.host),
        budget_percent_(context.config.probes().budget().cpu_percent()),
        retry_ns_(context.config.probes().budget().retry().seconds() * kNsPerSecond +
                  context.config.probes().budget().retry().nanos()) {}
  ~ProbeBudget() override {
    if (stats_fd_ >= 0) close(stats_fd_);
  }

  Result<void> Collect(Emitter& out) override {
    const int64_t now_ns = host_.clock->SteadyNs();
    Result<void> restored = RestoreDue(now_ns);
    if (stats_fd_ >= 0) {
      Judge(now_ns, out);
      close(std::exchange(stats_fd_, -1));
    }
    if (strikes_ > 0 || passes_ % kTimedEvery == 0) Begin();
    ++passes_;
    out.Sample(kBudget, {}, budget_percent_);
    for (const ProbeBooks* books : ProbeBooks::Ledger()) {
      const auto cost = cpu_percent_.find(books->probe());
      if (cost != cpu_percent_.end()) out.Sample(kCpu, {{"probe", books->probe()}}, cost->second);
      out.Sample(kShed, {{"probe", books->probe()}}, shed_at_ns_.contains(books->probe()) ? 1 : 0);
    }
    return restored;
  }

 private:
  void Begin() {
    stats_fd_ = bpf_enable_stats(BPF_STATS_RUN_TIME);
    if (stats_fd_ < 0) return;
    began_ns_ = host_.clock->SteadyNs();
    before_ns_.clear();
    for (const ProbeBooks* books : ProbeBooks::Ledger())
      before_ns_[books->probe()] = books->RunTimeNs();
  }

  void Judge(int64_t now_ns, Emitter& out) {
    double sum_percent = 0, most_percent = 0;
    ProbeBooks* most = nullptr;
    for (ProbeBooks* books : ProbeBooks::Ledger()) {
      const auto before = before_ns_.find(books->probe());
      if (before == before_ns_.end()) continue;
      const double percent = 100.0 * static_cast<double>(books->RunTimeNs() - before->second) /
                             static_cast<double>(std::max<int64_t>(1, now_ns - began_ns_));
      cpu_percent_[books->probe()] = percent;
      sum_percent += percent;
      if (books->sheddable() && books->InService() && percent > most_percent) {
        most_percent = percent;
        most = books;
      }
    }
    strikes_ = sum_percent > budget_percent_ ? strikes_ + 1 : 0;
    if (strikes_ < kStrikes || most == nullptr) return;
    strikes_ = 0;
    Shed(*most, most_percent, sum_percent, now_ns, out);
  }

  void Shed(ProbeBooks& books, double percent, double sum_percent, int64_t now_ns, Emitter& out) {
    const std::string reason =
        fmt::format("its programs used {:.1f} % of a CPU, all probes {:.1f} % of a budget of {:g} %",
                    percent, sum_percent, budget_percent_);
    books.Shed(reason);
    shed_at_ns_[books.probe()] = now_ns;
    v1::Event event;
    event.set_type("probe_shed");
    event.set_severity(v1::SEVERITY_WARN);
    event.set_message(fmt::format("probe {} is off for {} s: {}", books.probe(),
                                  retry_ns_ / kNsPerSecond, reason));
    AddAttribute(event, "probe", books.probe());
    out.Event(std::move(event), Origin{});
  }

  Result<void> RestoreDue(int64_t now_ns) {
    for (auto shed = shed_at_ns_.begin(); shed != shed_at_ns_.end();) {
      const auto& ledger = ProbeBooks::Ledger();
      const auto books = std::find_if(ledger.begin(), ledger.end(), [&](const ProbeBooks* other) {
        return other->probe() == shed->first;
      });
      if (books != ledger.end() && now_ns - shed->second < retry_ns_) {
        ++shed;
        continue;
      }
      if (books != ledger.end()) FAULTLINE_TRY((*books)->Restore());
      shed = shed_at_ns_.erase(shed);
    }
    return {};
  }

  const HostView& host_;
  const double budget_percent_;
  const int64_t retry_ns_;
  int stats_fd_ = -1;  // while the kernel times
  int64_t began_ns_ = 0;
  std::map<std::string, uint64_t> before_ns_;
  std::map<std::string, double> cpu_percent_;
  std::map<std::string, int64_t> shed_at_ns_;
  int strikes_ = 0;
  uint64_t passes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeProbeBudget(const LeafContext& context) {
  const int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (stats < 0) {
    return Fail(ErrorCode::kUnsupported, "unsupported: the kernel does not time BPF programs for us: {}",
                std::strerror(errno));
  }
  close(stats);
  return std::make_unique<ProbeBudget>(context);
}

}  // namespace faultline
