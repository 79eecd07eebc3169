// Neighbour entries against the limit at which the kernel refuses more.
#include <algorithm>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class ArpTable final : public Check {
 public:
  explicit ArpTable(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const auto limit = host.fs.ReadInt("/proc/sys/net/ipv4/neigh/default/gc_thresh3");
    const auto text = host.fs.Read("/proc/net/arp");
    if (!limit || !text) return Finding::NotApplicable("no ARP table");
    const auto lines = static_cast<double>(std::count(text->begin(), text->end(), '\n'));
    const double entries = std::max(lines - 1, 0.0);
    const double used = Percent(entries, static_cast<double>(*limit));
    Judged judged;
    judged.High(used, warn_, crit_, "", fmt::format("{:.0f} of {} neighbours", entries, *limit));
    judged.finding().Add("used", used, "%");
    return judged.Finish(fmt::format("{:.0f} of {} neighbours", entries, *limit),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeArpTable(CheckParameters& parameters) {
  return std::make_unique<ArpTable>(parameters);
}

}  // namespace faultline
