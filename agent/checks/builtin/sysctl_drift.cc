// Kernel settings against `expected`: net.core.somaxconn=4096,vm.swappiness=10 …
#include <algorithm>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class SysctlDrift final : public Check {
 public:
  explicit SysctlDrift(CheckParameters& parameters) : expected_(parameters.Text("expected", "")) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    if (!expected_.empty() && !host.fs.List("/proc/sys"))
      return Finding::Unknown("/proc/sys cannot be read");
    for (const std::string_view pair : Split(expected_, ',')) {
      const size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      const std::string name(Trim(pair.substr(0, equals)));
      const std::string wanted(Trim(pair.substr(equals + 1)));
      if (name.find("..") != std::string::npos) return Finding::Unknown(name + " is no setting");
      std::string path = "/proc/sys/" + name;
      std::replace(path.begin() + 10, path.end(), '.', '/');
      judged.Saw();
      const auto value = host.fs.ReadTrimmed(path);
      if (!value) judged.Problem(name, fmt::format("there is no {}", name));
      if (value && *value != wanted)
        judged.Problem(name, fmt::format("{} is {}, should be {}", name, *value, wanted));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no `expected` is set");
    return judged.Finish(fmt::format("{} settings are as expected", judged.seen()), expected_);
  }

 private:
  const std::string expected_;
};

}  // namespace

std::unique_ptr<Check> MakeSysctlDrift(CheckParameters& parameters) {
  return std::make_unique<SysctlDrift>(parameters);
}

}  // namespace faultline
