// Memory against what the node should have: a module that is gone.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class MemoryCapacity final : public Check {
 public:
  explicit MemoryCapacity(CheckParameters& parameters)
      : expected_(parameters.Text("expected", "")), deviation_(parameters.Number("deviation", 5)) {}
  Finding Evaluate(const HostView& host) override {
    const auto wanted = ParseBytes(expected_);
    if (expected_.empty()) return Finding::NotApplicable("no `expected` is set");
    if (!wanted) return Finding::Unknown("expected: not a size");
    const double have = FieldOf(host.fs.Read("/proc/meminfo").value_or(""), "MemTotal") * 1024;
    if (have < 0) return Finding::Unknown("/proc/meminfo does not tell it");
    const double off = Percent(static_cast<double>(*wanted) - have, static_cast<double>(*wanted));
    Judged judged;
    if (off > deviation_ || off < -deviation_) {
      judged.Problem("", fmt::format("{:.1f} GiB of memory, {:.1f} % off", have / (1 << 30), off));
    }
    return judged.Finish(fmt::format("{:.1f} GiB of memory", have / (1 << 30)), expected_);
  }

 private:
  const std::string expected_;
  const double deviation_;
};

}  // namespace

std::unique_ptr<Check> MakeMemoryCapacity(CheckParameters& parameters) {
  return std::make_unique<MemoryCapacity>(parameters);
}

}  // namespace faultline
