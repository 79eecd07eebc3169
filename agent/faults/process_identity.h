// A process that cannot be mistaken for another one: its id together with its start time and the
// boot. Signals go through a pidfd that was checked against the start time, so a re-used process id
// is never hit.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/host_view.h"
#include "common/result.h"

namespace faultline {

struct LiveProcess {
  uint32_t pid = 0;
  uint32_t parent = 0;
  char state = '?';
  std::string comm;
  uint64_t start_ticks = 0;
  int64_t cpu_ns = 0;  // on a CPU since its start
  bool kernel_thread = false;
};

// kNotFound when there is no such process.
Result<LiveProcess> ReadLiveProcess(const HostView& host, uint32_t pid);
std::vector<uint32_t> ListProcesses(const HostView& host);

struct ProcessIdentity {
  uint32_t pid = 0;
  uint64_t start_ticks = 0;
  std::string boot_id;

  static ProcessIdentity Of(const HostView& host, const LiveProcess& stat) {
    return {stat.pid, stat.start_ticks, host.boot_id};
  }
  // "pid:start_ticks:boot_id" and back.
  std::string Text() const;
  static Result<ProcessIdentity> Parse(std::string_view text);
};

// The stat of exactly that process; kNotFound when it has ended, whoever has its number now.
Result<LiveProcess> ReadIfSame(const HostView& host, const ProcessIdentity& identity);
// kNotFound when it has ended.
Result<void> SignalProcess(const HostView& host, const ProcessIdentity& identity,
                           int signal_number);

}  // namespace faultline
