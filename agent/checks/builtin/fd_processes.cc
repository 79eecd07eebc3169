// Processes near their own limit of open files.
#include <sys/stat.h>

#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class FdProcesses final : public Check {
 public:
  explicit FdProcesses(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    for (const ProcessSight& process : ReadProcesses(host)) {
      if (process.parent == 2 || process.pid == 2) continue;
      struct stat folder{};
      // Since Linux 6.2 the size of the folder is the number of open files; before that it is 0 and
      // says nothing.
      const std::string path = fmt::format("/proc/{}/fd", process.pid);
      if (stat(host.fs.Path(path).c_str(), &folder) != 0 || folder.st_size < 256) continue;
      const std::string text =
          host.fs.Read(fmt::format("/proc/{}/limits", process.pid)).value_or("");
      const size_t at = text.find("Max open files");
      if (at == std::string::npos) continue;
      std::string_view rest = std::string_view(text).substr(at + 14);
      const double limit = ParseDouble(NextWord(rest)).value_or(0);
      const double used = Percent(static_cast<double>(folder.st_size), limit);
      judged.High(used, warn_, crit_, process.comm,
                  fmt::format("{} ({}) has {} of {:.0f} files open", process.comm, process.pid,
                              folder.st_size, limit));
    }
    return judged.Finish("no process is near its limit", fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeFdProcesses(CheckParameters& parameters) {
  return std::make_unique<FdProcesses>(parameters);
}

}  // namespace faultline
