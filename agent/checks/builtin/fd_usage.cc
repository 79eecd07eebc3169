// Open files of the whole system against its limit.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class FdUsage final : public Check {
 public:
  explicit FdUsage(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string text = host.fs.Read("/proc/sys/fs/file-nr").value_or("");
    std::string_view rest = text;
    std::vector<double> numbers;
    for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
      numbers.push_back(ParseDouble(Trim(word)).value_or(0));
    }
    if (numbers.size() < 3 || numbers[2] <= 0) return Finding::Unknown("the kernel does not say");
    const double used = Percent(numbers[0] - numbers[1], numbers[2]);
    Judged judged;
    judged.High(used, warn_, crit_, "",
                fmt::format("{:.0f} of {:.0f} files are open", numbers[0], numbers[2]));
    judged.finding().Add("used", used, "%");
    return judged.Finish(fmt::format("{:.0f} files are open", numbers[0]),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeFdUsage(CheckParameters& parameters) {
  return std::make_unique<FdUsage>(parameters);
}

}  // namespace faultline
