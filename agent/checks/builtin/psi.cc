// Pressure stall information: the share of the last minute in which some task had to wait for a
// resource. One check for each row of the table.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

struct PsiResource {
  const char* name;  // of the file in /proc/pressure
  double warn;       // percent
  double crit;
};
constexpr PsiResource kCpu{"cpu", 60, 90};
constexpr PsiResource kMemory{"memory", 10, 40};
constexpr PsiResource kIo{"io", 40, 80};

class Psi final : public Check {
 public:
  Psi(const PsiResource& resource, CheckParameters& parameters)
      : name_(resource.name),
        warn_(parameters.Number("warn", resource.warn)),
        crit_(parameters.Number("crit", resource.crit)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string path = "/proc/pressure/" + name_;
    const auto text = host.fs.Read(path);
    if (!text) return Finding::NotApplicable("the kernel does not measure pressure");
    std::string_view rest = *text;
    double share = -1;
    if (NextWord(rest) == "some") {
      NextWord(rest);
      const std::string_view minute = NextWord(rest);
      if (minute.starts_with("avg60=")) share = ParseDouble(minute.substr(6)).value_or(-1);
    }
    if (share < 0) return Finding::Unknown(path + " does not parse");
    Judged judged;
    judged.High(share, warn_, crit_, "",
                fmt::format("some task waited for {} {:.0f} % of the last minute", name_, share));
    judged.finding().Add("some_avg60", share, "%");
    return judged.Finish(fmt::format("{:.1f} % of the last minute", share),
                         fmt::format("below {} %", warn_));
  }

 private:
  const std::string name_;
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakePsiCpu(CheckParameters& parameters) {
  return std::make_unique<Psi>(kCpu, parameters);
}
std::unique_ptr<Check> MakePsiMemory(CheckParameters& parameters) {
  return std::make_unique<Psi>(kMemory, parameters);
}
std::unique_ptr<Check> MakePsiIo(CheckParameters& parameters) {
  return std::make_unique<Psi>(kIo, parameters);
}

}  // namespace faultline
