// Entries of connection tracking.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Conntrack final : public Check {
 public:
  explicit Conntrack(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const auto count = host.fs.ReadInt("/proc/sys/net/netfilter/nf_conntrack_count");
    const auto limit = host.fs.ReadInt("/proc/sys/net/netfilter/nf_conntrack_max");
    if (!count || !limit) return Finding::NotApplicable("no connection tracking");
    const double used = Percent(static_cast<double>(*count), static_cast<double>(*limit));
    Judged judged;
    judged.High(used, warn_, crit_, "", fmt::format("{} of {} entries", *count, *limit));
    judged.finding().Add("used", used, "%");
    return judged.Finish(fmt::format("{} of {} entries", *count, *limit),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeConntrack(CheckParameters& parameters) {
  return std::make_unique<Conntrack>(parameters);
}

}  // namespace faultline
