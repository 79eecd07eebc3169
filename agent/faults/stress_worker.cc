#include "agent/faults/stress_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kWorkerFlag = "--worker";
constexpr std::string_view kProgramName = "faultline-guardian";
constexpr int64_t kMaxDebtNs = 500 * kNsPerMs;

// Children must be waited for by their parent, whoever killed them.
std::mutex g_children_mutex;
std::vector<pid_t> g_children;

int64_t ReadClockNs(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void BecomeWorker(char* const* argv, int go_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (dup2(go_fd, STDIN_FILENO) < 0) _exit(1);
  const int null = open("/dev/null", O_WRONLY);
  if (null >= 0) {
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
  }
  close_range(3, ~0U, 0);
  execv(argv[0], argv);
  _exit(127);
}

std::vector<std::string> CommandLine(const HostView& host, uint32_t pid) {
  std::vector<std::string> words;
  const auto text = host.fs.Read(fmt::format("/proc/{}/cmdline", pid));
  if (!text) return words;
  for (const std::string_view word : Split(*text, '\0')) words.emplace_back(word);
  return words;
}

bool IsWorker(const std::vector<std::string>& words, std::string_view fault_uid,
              std::string_view home) {
  return words.size() >= 7 && words[0].ends_with(kProgramName) && words[1] == kWorkerFlag &&
         (fault_uid.empty() || words[2] == fault_uid) && (home.empty() || words[3] == home);
}

// Uses `load_percent` of one CPU: as long as it has used less than its share of the time since it
// began it spins, else it sleeps. What it could not get on a full node it makes up for, up to half
// a second.
[[noreturn]] void BurnCpu(int load_percent) {
  int64_t begin_ns = ReadClockNs(CLOCK_MONOTONIC);
  int64_t used_before_ns = ReadClockNs(CLOCK_THREAD_CPUTIME_ID);
  volatile uint64_t sink = 1;
  while (true) {
    for (int i = 0; i < 20'000; ++i) sink = sink * 6364136223846793005ULL + 1442695040888963407ULL;
    if (load_percent >= 100) continue;
    const int64_t now_ns = ReadClockNs(CLOCK_MONOTONIC);
    const int64_t due_ns = (now_ns - begin_ns) * load_percent / 100;
    const int64_t used_ns = ReadClockNs(CLOCK_THREAD_CPUTIME_ID) - used_before_ns;
    if (due_ns - used_ns > kMaxDebtNs) {
      begin_ns = now_ns - (used_ns + kMaxDebtNs) * 100 / load_percent;
      continue;
    }
    // Two milliseconds ahead: then a rest, so that the node sees short bursts, not a flicker of
    // wake-ups.
    if (used_ns - due_ns > 2 * kNsPerMs) {
      const int64_t rest_ns = (used_ns - due_ns) * 100 / load_percent + 2 * kNsPerMs;
      const timespec rest{rest_ns / kNsPerSecond, rest_ns % kNsPerSecond};
      nanosleep(&rest, nullptr);
    }
  }
}

// Touches every page, so that it is there, in small steps, so that it can be ended on the way.
[[noreturn]] void HoldMemory(int64_t bytes) {
  constexpr int64_t kStep = int64_t{4} << 20;
  auto* memory =
      static_cast<char*>(mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (memory == MAP_FAILED) _exit(3);
  for (int64_t at = 0; at < bytes; at += kStep) {
    // Not zeros: pages that are all alike can be merged or swapped for nothing.
    for (int64_t i = at; i < std::min(bytes, at + kStep); i += 64)
      memory[i] = static_cast<char>(i / 64 * 37 + 11);
  }
  while (true) pause();
}

[[noreturn]] void WriteAndSync(const char* folder, int64_t bytes) {
  const int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) _exit(3);
  static char block[65536];
  for (size_t i = 0; i < sizeof block; ++i) block[i] = static_cast<char>(i * 31);
  while (true) {
    for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(sizeof block)) {
      if (pwrite(fd, block, sizeof block, at) < 0) usleep(100'000);
    }
    fsync(fd);
    (void)!ftruncate(fd, 0);
  }
}

[[noreturn]] void EndTheHost(int command, int64_t after_ms) {
  const timespec rest{after_ms / 1000, after_ms % 1000 * 1'000'000};
  nanosleep(&rest, nullptr);
  sync();
  // With an init system in charge, it is asked: services end as they should.
  if (access("/run/systemd/system", F_OK) == 0)
    execl("/usr/bin/systemctl", "systemctl", command == RB_AUTOBOOT ? "reboot" : "poweroff",
          nullptr);
  reboot(command);
  _exit(3);
}

}  // namespace

Result<ProcessIdentity> StartWorker(const WorkerOrder& order, const FaultHost& host,
                                    const std::function<Result<void>(uint32_t pid)>& place) {
  ReapWorkers();
  std::vector<std::string> words = {host.worker_program,
                                    std::string(kWorkerFlag),
                                    order.fault_uid,
                                    order.home,
                                    order.kind,
                                    std::to_string(order.load_percent),
                                    std::to_string(order.lifetime_s),
                                    std::to_string(order.amount),
                                    std::to_string(order.oom_score_adj),
                                    order.place};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) return FailErrno(errno, "pipe for a worker");
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeWorker(argv.data(), go[0], parent);
  const int fork_error = errno;
  close(go[0]);
  if (pid < 0) {
    close(go[1]);
    return FailErrno(fork_error, "fork a worker");
  }
  {
    const std::lock_guard lock(g_children_mutex);
    g_children.push_back(pid);
  }
  const auto stat = ReadLiveProcess(*host.host, static_cast<uint32_t>(pid));
  Result<void> ready = place(static_cast<uint32_t>(pid));
  if (ready && write(go[1], "g", 1) != 1) ready = FailErrno(errno, "worker {} did not start", pid);
  close(go[1]);
  if (!ready) return std::unexpected(ready.error());
  if (!stat) return std::unexpected(stat.error());
  return ProcessIdentity::Of(*host.host, *stat);
}

std::vector<LiveProcess> FindWorkers(const HostView& host, std::string_view fault_uid,
                                     std::string_view home) {
  std::vector<LiveProcess> workers;
  for (const uint32_t pid : ListProcesses(host)) {
    if (!IsWorker(CommandLine(host, pid), fault_uid, home)) continue;
    const auto stat = ReadLiveProcess(host, pid);
    if (stat && stat->state != 'Z' && stat->state != 'X') workers.push_back(*stat);
  }
  return workers;
}

Result<void> EndWorkers(const HostView& host, std::string_view fault_uid, std::string_view home) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    const std::vector<LiveProcess> workers = FindWorkers(host, fault_uid, home);
    for (const LiveProcess& worker : workers) {
      const auto killed = SignalProcess(host, ProcessIdentity::Of(host, worker), SIGKILL);
      if (!killed && killed.error().code != ErrorCode::kNotFound) return killed;
    }
    ReapWorkers();
    if (workers.empty()) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt < 20 ? 2 : 10));
  }
  return Fail(ErrorCode::kTimeout, "workers of fault {} do not end", fault_uid);
}

void ReapWorkers() {
  const std::lock_guard lock(g_children_mutex);
  std::erase_if(g_children, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
}

int WorkerMain(int argc, char** argv) {
  if (argc != 10) return 2;
  const auto load = ParseInt(argv[5]);
  const auto lifetime_s = ParseInt(argv[6]);
  const auto amount = ParseInt(argv[7]);
  const auto oom_score_adj = ParseInt(argv[8]);
  const std::string_view kind = argv[4];
  if (!load || *load < 1 || *load > 100 || !lifetime_s || *lifetime_s < 1 || !amount ||
      *amount < 0 || !oom_score_adj) {
    return 2;
  }
  prctl(PR_SET_NAME, "faultline-work");
  // Mostly 1000: a worker is the last thing to keep when memory is short.
  if (const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); fd >= 0) {
    (void)!write(fd, argv[8], std::strlen(argv[8]));
    close(fd);
  }
  alarm(static_cast<unsigned>(*lifetime_s));
  char go = 0;
  if (read(STDIN_FILENO, &go, 1) != 1) return 1;  // the injector died before it let us go
  if (kind == "cpu") BurnCpu(static_cast<int>(*load));
  if (kind == "memory") HoldMemory(*amount);
  if (kind == "io") WriteAndSync(argv[9], *amount);
  if (kind == "reboot") EndTheHost(RB_AUTOBOOT, *amount);
  if (kind == "shutdown") EndTheHost(RB_POWER_OFF, *amount);
  return 2;
}

}  // namespace faultline
