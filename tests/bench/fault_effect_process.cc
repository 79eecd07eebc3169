// Magnitudes of faults of processes, cgroups, clocks and the kernel's log: by the kernel's count of
// the cgroup, and by a process in it that tries.
#include <fcntl.h>

#include "tests/bench/fault_effect_cases.h"

namespace faultline {
namespace {

using Prepare = std::function<EffectProbe(FaultTrial&)>;

EffectProbe MoreCores(FaultTrial& trial) {
  const double before = trial.stage.victim().CpuCores(1500);
  return [&trial, before] { return trial.stage.victim().CpuCores(2500) - before; };
}

struct Counts {
  std::atomic<int64_t> last = 0, most = 0, beats = 0, ended_ns = 0;
};
using Child = SharedChild<Counts>;

int64_t MonotonicNs() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// All that one CPU gives is wanted.
EffectProbe QuotaCores(FaultTrial& trial) {
  const auto burner =
      std::make_shared<Child>(trial.view, &trial.stage, [](Counts& seen) { ++seen.beats; });
  return [&trial, burner] { return trial.stage.victim().CpuCores(3000); };
}

double CgroupNumber(FaultTrial& trial, std::string_view v1_file, std::string_view v2_file) {
  const auto all = trial.stage.victim().folders();
  const CgroupFolder* folder = FolderOf(all, "memory");
  if (folder == nullptr) return 0;
  const auto text = trial.view.fs.ReadTrimmed(
      fmt::format("{}/{}", folder->path, folder->controller.empty() ? v2_file : v1_file));
  return text ? ParseDouble(*text).value_or(0) : 0;
}

EffectProbe MoreMemory(FaultTrial& trial) {
  const double before = CgroupNumber(trial, "memory.usage_in_bytes", "memory.current");
  return [&trial, before] {
    return CgroupNumber(trial, "memory.usage_in_bytes", "memory.current") - before;
  };
}

EffectProbe MemoryWorkers(FaultTrial& trial) {
  const auto many = [&trial] {
    const auto all = trial.stage.victim().folders();
    return static_cast<double>(ProcessesBelow(trial.view, FolderOf(all, "memory")->path)->size());
  };
  const double before = many();
  return [many, before] { return many() - before; };
}

// A process that takes page after page: the kernel ends it at the limit, of which the cgroup's
// high-water mark tells.
EffectProbe MostMemory(FaultTrial& trial) {
  const auto all = trial.stage.victim().folders();
  const std::string folder = FolderOf(all, "memory")->path;
  return [&trial, folder] {
    (void)WriteControl(trial.view, folder + "/memory.max_usage_in_bytes", "0");
    const Child eater(trial.view, &trial.stage, [](Counts& seen) {
      std::ofstream("/proc/self/oom_score_adj") << "1000";
      auto* page = static_cast<char*>(
          mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      for (int at = 0; at < 1 << 20; at += 4096) page[at] = 1;
      ++seen.beats;
      if (seen.beats > 200) pause();
    });
    siginfo_t ended{};
    (void)Eventually(10'000, [&] {
      return waitid(P_PID, static_cast<id_t>(eater.pid), &ended, WEXITED | WNOHANG | WNOWAIT) ==
                 0 &&
             ended.si_pid != 0;
    });
    return CgroupNumber(trial, "memory.max_usage_in_bytes", "memory.peak");
  };
}

// How many more a process can make of something before it is refused; each round gives all back.
Prepare Spare(void (*once)(Counts&), bool is_target) {
  return [=](FaultTrial& trial) -> EffectProbe {
    const auto child = std::make_shared<Child>(trial.view, &trial.stage, once);
    if (is_target) trial.target = child->target();
    if (!Eventually(5000, [&] { return child->seen->beats > 2; })) return nullptr;
    return [child] {
      const int64_t before = child->seen->beats;
      (void)Eventually(5000, [&] { return child->seen->beats > before + 2; });
      return static_cast<double>(child->seen->last);
    };
  };
}
void OpenMany(Counts& seen) {
  int fds[100];
  int open_now = 0;
  while (open_now < 100 && (fds[open_now] = dup(STDERR_FILENO)) >= 0) ++open_now;
  seen.last = open_now;
  while (open_now > 0) close(fds[--open_now]);
  ++seen.beats;
  usleep(20'000);
}
void ForkMany(Counts& seen) {
  pid_t children[40];
  int many = 0;
  while (many < 40 && (children[many] = fork()) > 0) ++many;
  if (many < 40 && children[many] == 0) {
    pause();
    _exit(0);
  }
  seen.last = many;
  while (many > 0) {
    kill(children[--many], SIGKILL);
    waitpid(children[many], nullptr, 0);
  }
  ++seen.beats;
  usleep(300'000);
}

// The clock that the C library gives beside the one that the kernel gives, in ms.
Prepare ClockMs(clockid_t id) {
  return [id](FaultTrial& trial) -> EffectProbe {
    const auto child = std::make_shared<Child>(trial.view, nullptr, [id](Counts& seen) {
      timespec library{}, kernel{};
      clock_gettime(id, &library);
      syscall(SYS_clock_gettime, id, &kernel);
      seen.last =
          (library.tv_sec - kernel.tv_sec) * 1'000'000'000 + (library.tv_nsec - kernel.tv_nsec);
      ++seen.beats;
      usleep(500);
    });
    trial.target = child->target();
    return [child] {
      usleep(50'000);
      return static_cast<double>(child->seen->last) / 1e6;
    };
  };
}

// From SIGTERM, which is ignored, to SIGKILL.
EffectProbe GraceMs(FaultTrial& trial) {
  const auto child = std::make_shared<Child>(trial.view, &trial.stage, [](Counts& seen) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    sigset_t pending;
    sigpending(&pending);
    if (sigismember(&pending, SIGTERM) == 1 && seen.last == 0) seen.last = MonotonicNs();
    seen.ended_ns = MonotonicNs();
    ++seen.beats;
    usleep(1000);
  });
  if (!Eventually(5000, [&] { return child->seen->beats > 2; })) return nullptr;
  return [child] {
    (void)Eventually(15'000, [&] {
      return kill(child->pid, 0) != 0 || MonotonicNs() - child->seen->ended_ns > 500'000'000;
    });
    return static_cast<double>(child->seen->ended_ns - child->seen->last) / 1e6;
  };
}

EffectProbe KernelLines(FaultTrial&) {
  const int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return nullptr;
  lseek(fd, 0, SEEK_END);
  return [fd] {
    double lines = 0;
    char record[8192];
    ssize_t n = 0;
    while ((n = read(fd, record, sizeof record)) > 0)
      lines += std::string_view(record, static_cast<size_t>(n)).find("faultline-effect") !=
               std::string_view::npos;
    close(fd);
    return lines;
  };
}

}  // namespace

std::vector<EffectCase> ProcessEffectCases() {
  return {
      {"cpu_stress", "workers=1 load=40", "cores more", 0.4, MoreCores},
      {"cpu_stress", "workers=2 load=25", "cores more", 0.5, MoreCores},
      {"cpu_quota", "cores=0.25", "cores", 0.25, QuotaCores},
      {"memory_stress", "workers=2 size=96MiB", "bytes more", 96.0 * (1 << 20), MoreMemory},
      {"memory_stress", "workers=3 size=24MiB", "workers", 3, MemoryWorkers},
      {"io_stress", "workers=3 path={folder} size=1MiB", "workers", 3, MemoryWorkers},
      {"memory_limit", "size=64MiB", "bytes at most", 64.0 * (1 << 20), MostMemory},
      {"fd_limit", "spare=7", "files more", 7, Spare(OpenMany, true)},
      {"pid_limit", "spare=6", "tasks more", 6, Spare(ForkMany, false)},
      {"clock_offset", "timeOffset=-1h30m", "ms off", -5'400'000, ClockMs(CLOCK_REALTIME)},
      {"clock_offset", "timeOffset=150ms clockIds=CLOCK_MONOTONIC", "ms off", 150,
       ClockMs(CLOCK_MONOTONIC)},
      {"pod_kill", "gracePeriod=2", "ms of grace", 2000, GraceMs, true},
      {"kmsg_message", "message=faultline-effect-{unique} level=debug count=20", "lines", 20,
       KernelLines},
  };
}

std::vector<EffectCase> EffectCases() {
  std::vector<EffectCase> all = ProcessEffectCases();
  for (EffectCase& one : FileEffectCases()) all.push_back(std::move(one));
  for (EffectCase& one : NetworkEffectCases()) all.push_back(std::move(one));
  return all;
}

}  // namespace faultline
