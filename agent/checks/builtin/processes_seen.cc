#include "agent/checks/builtin/processes_seen.h"

#include "common/text.h"

namespace faultline {

std::vector<ProcessSight> ReadProcesses(const HostView& host) {
  std::vector<ProcessSight> processes;
  const auto names = host.fs.List("/proc");
  for (size_t i = 0; names && i < names->size(); ++i) {
    const auto pid = ParseUint((*names)[i]);
    if (!pid) continue;
    const auto text = host.fs.Read("/proc/" + (*names)[i] + "/stat");
    if (!text) continue;
    const auto stat = ParseProcessStat(*text);
    if (!stat) continue;
    processes.push_back({*pid, std::string(stat->comm), stat->state, stat->parent, stat->cpu_ticks,
                         stat->start_ticks});
  }
  return processes;
}

}  // namespace faultline
