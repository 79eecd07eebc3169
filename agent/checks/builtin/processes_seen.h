// One look at all processes; those that end meanwhile are left out.
#pragma once

#include <string>
#include <vector>

#include "common/host_view.h"
#include "common/process_stat.h"

namespace faultline {

struct ProcessSight {
  uint64_t pid = 0;
  std::string comm;
  char state = '?';
  uint64_t parent = 0;
  uint64_t cpu_ticks = 0;
  uint64_t start_ticks = 0;
};

std::vector<ProcessSight> ReadProcesses(const HostView& host);

}  // namespace faultline
