// Free memory of NUMA nodes against each other, and allocations that missed their node.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NumaBalance final : public Check {
 public:
  explicit NumaBalance(CheckParameters& parameters) : warn_(parameters.Number("warn", 20)) {}
  Finding Evaluate(const HostView& host) override {
    const auto nodes = host.fs.List("/sys/devices/system/node");
    double least = 101, most = -1;
    double hits = 0, misses = 0;
    Judged judged;
    std::string poorest;
    for (size_t i = 0; nodes && i < nodes->size(); ++i) {
      const std::string& name = (*nodes)[i];
      if (!name.starts_with("node")) continue;
      const std::string memory =
          host.fs.Read("/sys/devices/system/node/" + name + "/meminfo").value_or("");
      double total = 0, free = 0;
      std::string_view rest = memory, line;
      while (NextLine(rest, line)) {  // Node 0 MemTotal: 123 kB
        NextWord(line);
        NextWord(line);
        const std::string_view key = NextWord(line);
        if (key == "MemTotal:") total = ParseDouble(NextWord(line)).value_or(0);
        if (key == "MemFree:") free = ParseDouble(NextWord(line)).value_or(0);
      }
      if (total <= 0) continue;
      judged.Saw();
      const double share = Percent(free, total);
      if (share < least) poorest = name;
      least = std::min(least, share);
      most = std::max(most, share);
      const std::string stat =
          host.fs.Read("/sys/devices/system/node/" + name + "/numastat").value_or("");
      hits += FieldOf(stat, "numa_hit", 0);
      misses += FieldOf(stat, "numa_miss", 0);
    }
    if (judged.seen() < 2) return Finding::NotApplicable("one NUMA node");
    const double missed = growth_.Of("miss", misses).value_or(0);
    const double hit = growth_.Of("hit", hits).value_or(0);
    const double share = Percent(missed, missed + hit);
    if (share > warn_)
      judged.Degraded(
          poorest,
          fmt::format(
              "{:.0f} % of allocations missed their node; {} has {:.0f} % free, the best {:.0f} %",
              share, poorest, least, most));
    judged.finding().Add("numa_miss", share, "%");
    return judged.Finish(
        fmt::format("{} nodes, {:.1f} % of allocations missed", judged.seen(), share));
  }

 private:
  const double warn_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeNumaBalance(CheckParameters& parameters) {
  return std::make_unique<NumaBalance>(parameters);
}

}  // namespace faultline
