// Taint flags that point to trouble: machine check, bad page, a bug or warning, a soft lockup.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class KernelTaint final : public Check {
 public:
  explicit KernelTaint(CheckParameters& parameters) : ignore_(parameters.Number("ignore", 0)) {}
  Finding Evaluate(const HostView& host) override {
    const auto taint = host.fs.ReadInt("/proc/sys/kernel/tainted");
    if (!taint) return Finding::Unknown(taint.error().message);
    constexpr std::pair<int, std::string_view> kBits[] = {{4, "machine check"},
                                                          {5, "bad page"},
                                                          {7, "kernel died"},
                                                          {9, "warning"},
                                                          {14, "soft lockup"}};
    Judged judged;
    for (const auto& [bit, name] : kBits) {
      const int64_t flag = int64_t{1} << bit;
      if ((*taint & flag) != 0 && (static_cast<int64_t>(ignore_) & flag) == 0)
        judged.Degraded("", fmt::format("tainted by: {}", name));
    }
    judged.finding().Add("tainted", static_cast<double>(*taint));
    return judged.Finish(fmt::format("taint {}", *taint), "no trouble flag");
  }

 private:
  const double ignore_;
};

}  // namespace

std::unique_ptr<Check> MakeKernelTaint(CheckParameters& parameters) {
  return std::make_unique<KernelTaint>(parameters);
}

}  // namespace faultline
