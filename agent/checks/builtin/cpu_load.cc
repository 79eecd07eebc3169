// Load average of five minutes for each CPU that is online.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuLoad final : public Check {
 public:
  explicit CpuLoad(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 2)), crit_(parameters.Number("crit", 8)) {}
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/loadavg");
    if (!text) return Finding::Unknown(text.error().message);
    std::string_view rest = *text;
    NextWord(rest);
    const double load = ParseDouble(NextWord(rest)).value_or(0);
    const std::string stat = host.fs.Read("/proc/stat").value_or("");
    double cpus = 0;
    for (size_t at = stat.find("\ncpu"); at != std::string::npos; at = stat.find("\ncpu", at + 1))
      ++cpus;
    const double per_cpu = load / std::max(cpus, 1.0);
    Judged judged;
    judged.High(per_cpu, warn_, crit_, "", fmt::format("load {:.2f} on {:.0f} CPUs", load, cpus));
    judged.finding().Add("load5_per_cpu", per_cpu);
    return judged.Finish(fmt::format("load {:.2f} on {:.0f} CPUs", load, cpus),
                         fmt::format("below {} per CPU", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeCpuLoad(CheckParameters& parameters) {
  return std::make_unique<CpuLoad>(parameters);
}

}  // namespace faultline
