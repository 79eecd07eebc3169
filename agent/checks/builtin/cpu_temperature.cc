// Sensors of hwmon that know their critical temperature.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuTemperature final : public Check {
 public:
  explicit CpuTemperature(CheckParameters& parameters) : margin_(parameters.Number("margin", 5)) {}
  Finding Evaluate(const HostView& host) override {
    const auto monitors = host.fs.List("/sys/class/hwmon");
    if (!monitors) return Finding::NotApplicable("no sensors here");
    Judged judged;
    for (const std::string& monitor : *monitors) {
      const std::string folder = "/sys/class/hwmon/" + monitor;
      const std::string name = host.fs.ReadTrimmed(folder + "/name").value_or(monitor);
      const auto files = host.fs.List(folder);
      for (size_t i = 0; files && i < files->size(); ++i) {
        const std::string& file = (*files)[i];
        if (!file.starts_with("temp") || !file.ends_with("_input")) continue;
        const std::string stem = folder + "/" + file.substr(0, file.size() - 6);
        const auto now = host.fs.ReadInt(stem + "_input");
        const auto crit = host.fs.ReadInt(stem + "_crit");
        if (!now || !crit || *crit <= 0) continue;
        judged.Saw();
        const double celsius = static_cast<double>(*now) / 1000;
        const double limit = static_cast<double>(*crit) / 1000;
        judged.High(celsius, limit - margin_, limit, name,
                    fmt::format("{} {:.0f} °C of {:.0f} °C", name, celsius, limit));
      }
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no sensor knows its limit");
    return judged.Finish(fmt::format("{} sensors are below their limits", judged.seen()));
  }

 private:
  const double margin_;
};

}  // namespace

std::unique_ptr<Check> MakeCpuTemperature(CheckParameters& parameters) {
  return std::make_unique<CpuTemperature>(parameters);
}

}  // namespace faultline
