// Memory errors counted by EDAC, corrected and uncorrected. One check for each row of the table.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

struct EccCounted {
  const char* file;  // of each memory controller
  double warn;
  double crit;
};
constexpr EccCounted kCorrectedErrors{"ce_count", 100, 1000};
constexpr EccCounted kUncorrectedErrors{"ue_count", 1, 1};

class MemoryEcc final : public Check {
 public:
  MemoryEcc(const EccCounted& counted, CheckParameters& parameters)
      : file_(counted.file),
        warn_(parameters.Number("warn", counted.warn)),
        crit_(parameters.Number("crit", counted.crit)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string folder = "/sys/devices/system/edac/mc";
    const auto controllers = host.fs.List(folder);
    Judged judged;
    for (size_t i = 0; controllers && i < controllers->size(); ++i) {
      const std::string& name = (*controllers)[i];
      const auto count = host.fs.ReadInt(folder + "/" + name + "/" + file_);
      if (!count) continue;
      judged.Saw();
      const auto errors = static_cast<double>(*count);
      judged.High(errors, warn_, crit_, name, fmt::format("{} has {} errors", name, *count));
      judged.finding().Add(name, errors, "c");
    }
    if (judged.seen() == 0)
      return Finding::NotApplicable("no memory controller reports errors here");
    return judged.Finish(fmt::format("{} memory controllers are well", judged.seen()),
                         fmt::format("below {}", warn_));
  }

 private:
  const std::string file_;
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeMemoryEccCorrected(CheckParameters& parameters) {
  return std::make_unique<MemoryEcc>(kCorrectedErrors, parameters);
}
std::unique_ptr<Check> MakeMemoryEccUncorrected(CheckParameters& parameters) {
  return std::make_unique<MemoryEcc>(kUncorrectedErrors, parameters);
}

}  // namespace faultline
