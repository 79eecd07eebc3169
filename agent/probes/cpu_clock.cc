#include "agent/probes/cpu_clock.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "agent/probes/bpf_program.h"

namespace faultline {

Result<void> CpuClock::Start(uint32_t frequency_hz) {
  Stop();
  LibbpfMessages messages;
  perf_event_attr event{};
  event.size = sizeof event;
  event.type = PERF_TYPE_SOFTWARE;
  event.config = PERF_COUNT_SW_CPU_CLOCK;
  event.freq = 1;
  event.sample_freq = frequency_hz;
  event.exclude_idle = 1;
  for (int cpu = 0; cpu < libbpf_num_possible_cpus(); ++cpu) {
    const int fd =
        static_cast<int>(syscall(SYS_perf_event_open, &event, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
    if (fd < 0 && errno == ENODEV) continue;  // not online
    bpf_link* const link = fd < 0 ? nullptr : bpf_program__attach_perf_event(program_, fd);
    if (link == nullptr) {
      const int reason = errno;
      if (fd >= 0) close(fd);
      Stop();
      return std::unexpected(BpfRefused("cpu_profile", "attach", reason, messages.FirstLine()));
    }
    links_.push_back(link);
  }
  return {};
}

void CpuClock::Stop() {
  for (bpf_link* const link : links_) bpf_link__destroy(link);
  links_.clear();
}

}  // namespace faultline
