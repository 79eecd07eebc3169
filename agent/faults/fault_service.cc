#include "agent/faults/fault_service.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <new>
#include <thread>

#include "agent/containers/cgroup_mounts.h"
#include "agent/faults/fault_journal.h"
#include "agent/faults/fault_recovery.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kServeFlag = "--serve";
constexpr int kReadyTimeoutMs = 10'000;
constexpr int64_t kLifetimeMarginS = 5;
constexpr int kReplyFd = 3;
constexpr int kCountsFd = 4;

std::mutex g_services_mutex;
std::vector<pid_t> g_services;  // children must be waited for by their parent

void Reap() {
  const std::lock_guard lock(g_services_mutex);
  std::erase_if(g_services, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
}

bool IsService(const HostView& host, uint32_t pid, std::string_view fault_uid,
               std::string_view home) {
  const auto text = host.fs.Read(fmt::format("/proc/{}/cmdline", pid));
  if (!text) return false;
  const auto words = Split(*text, '\0');
  return words.size() >= 7 && words[0].ends_with("faultline-guardian") && words[1] == kServeFlag &&
         (fault_uid.empty() || words[2] == fault_uid) && (home.empty() || words[3] == home);
}

// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void BecomeService(char* const* argv, int plan_fd, int reply_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_WRONLY);
  if (dup2(plan_fd, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(1);
  if (reply_fd == kReplyFd) {
    fcntl(kReplyFd, F_SETFD, 0);
  } else if (dup2(reply_fd, kReplyFd) < 0) {
    _exit(1);
  }
  close_range(kReplyFd + 1, ~0U, 0);
  execv(argv[0], argv);
  _exit(127);
}

v1::FaultJournalEntry EntryOf(const FaultPlan& plan) {
  v1::FaultJournalEntry entry;
  entry.set_fault_uid(plan.spec.uid);
  entry.set_experiment(plan.spec.experiment);
  entry.set_fault(plan.spec.fault);
  entry.mutable_parameters()->insert(plan.spec.parameters.begin(), plan.spec.parameters.end());
  *entry.mutable_target() = plan.spec.target;
  entry.set_duration_ms(plan.spec.duration_ms);
  entry.mutable_state()->insert(plan.state.begin(), plan.state.end());
  entry.set_phase(v1::FAULT_JOURNAL_PHASE_PLANNED);
  return entry;
}

// "ready", or "code\tmessage".
Result<void> ReadReply(int fd, const std::string& fault) {
  std::string reply;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kReadyTimeoutMs);
  while (!reply.ends_with('\n')) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd event{fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&event, 1, static_cast<int>(left.count())) == 0)
      return Fail(ErrorCode::kTimeout, "the service of {} is not ready after {} ms", fault,
                  kReadyTimeoutMs);
    char buffer[2048];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Fail(ErrorCode::kInternal, "the service of {} ended at once", fault);
    reply.append(buffer, static_cast<size_t>(n));
  }
  if (reply == "ready\n") return {};
  reply.pop_back();
  const size_t tab = reply.find('\t');
  return std::unexpected(Error{ErrorCodeFromName(reply.substr(0, tab)),
                               tab == std::string::npos ? reply : reply.substr(tab + 1)});
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Result<void> StartFaultService(const FaultPlan& plan, const FaultHost& host) {
  Reap();
  if (host.worker_program.empty())
    return Fail(ErrorCode::kUnsupported, "no program of fault services is installed");
  std::vector<std::string> words = {host.worker_program,
                                    std::string(kServeFlag),
                                    plan.spec.uid,
                                    host.journal_folder,
                                    plan.spec.fault,
                                    std::to_string(plan.spec.duration_ms / 1000 + kLifetimeMarginS),
                                    host.host->fs.root().empty() ? "/" : host.host->fs.root()};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int order[2];
  int reply[2];
  if (pipe2(order, O_CLOEXEC) != 0) return FailErrno(errno, "pipe for a fault service");
  if (pipe2(reply, O_CLOEXEC) != 0) {
    close(order[0]);
    close(order[1]);
    return FailErrno(errno, "pipe for a fault service");
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeService(argv.data(), order[0], reply[1], parent);
  const int fork_error = errno;
  close(order[0]);
  close(reply[1]);
  Result<void> ready;
  if (pid < 0) {
    ready = FailErrno(fork_error, "fork a fault service");
    close(order[1]);
  } else {
    {
      const std::lock_guard lock(g_services_mutex);
      g_services.push_back(pid);
    }
    // It reads all of it before it does anything; if it died, the reply says so.
    (void)WriteAll(order[1], EncodeJournalEntry(EntryOf(plan)));
    close(order[1]);
    ready = ReadReply(reply[0], plan.spec.fault);
  }
  close(reply[0]);
  return ready;
}

std::vector<LiveProcess> FindFaultServices(const HostView& host, std::string_view fault_uid,
                                           std::string_view home) {
  std::vector<LiveProcess> services;
  for (const uint32_t pid : ListProcesses(host)) {
    if (!IsService(host, pid, fault_uid, home)) continue;
    const auto stat = ReadLiveProcess(host, pid);
    if (stat && stat->state != 'Z' && stat->state != 'X') services.push_back(*stat);
  }
  return services;
}

Result<void> EndFaultServices(const HostView& host, std::string_view fault_uid,
                              int64_t patience_ms) {
  const auto begin = std::chrono::steady_clock::now();
  bool asked = false;
  while (true) {
    const std::vector<LiveProcess> services = FindFaultServices(host, fault_uid);
    Reap();
    if (services.empty()) return {};
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    const bool force = elapsed.count() >= patience_ms;
    if (elapsed.count() > patience_ms + 3000)
      return Fail(ErrorCode::kTimeout, "the service of fault {} does not end", fault_uid);
    for (const LiveProcess& service : services) {
      if (asked && !force) break;
      const auto sent =
          SignalProcess(host, ProcessIdentity::Of(host, service), force ? SIGKILL : SIGTERM);
      if (!sent && sent.error().code != ErrorCode::kNotFound) return sent;
    }
    asked = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::optional<CountsRead> ReadServiceCounts(const HostView& host, std::string_view fault_uid) {
  for (const LiveProcess& service : FindFaultServices(host, fault_uid)) {
    const std::string path = host.fs.Path(fmt::format("/proc/{}/fd/{}", service.pid, kCountsFd));
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    uint64_t numbers[4] = {};
    const bool read = fd >= 0 && pread(fd, numbers, sizeof numbers, 0) == sizeof numbers;
    if (fd >= 0) close(fd);
    if (read) return CountsRead{numbers[0], numbers[1], numbers[2], numbers[3]};
  }
  return std::nullopt;
}

namespace {

// At a number that is known, so that whoever measures finds it in /proc.
ServiceCounts* MakeCounts() {
  const int made = memfd_create("faultline-counts", MFD_CLOEXEC);
  const int fd = made == kCountsFd ? made : dup3(made, kCountsFd, O_CLOEXEC);
  if (made >= 0 && made != kCountsFd) close(made);
  if (fd != kCountsFd || ftruncate(fd, sizeof(ServiceCounts)) != 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(ServiceCounts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) ServiceCounts;
}

}  // namespace

int FaultServiceMain(int argc, char** argv) {
  if (argc != 7) return 2;
  const auto lifetime_s = ParseInt(argv[5]);
  if (!lifetime_s || *lifetime_s < 1) return 2;
  prctl(PR_SET_NAME, "faultline-serve");
  signal(SIGPIPE, SIG_IGN);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  ServiceCounts* const counts = MakeCounts();
  if (counts == nullptr) return 1;
  const int stop_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
  fcntl(kReplyFd, F_SETFD, FD_CLOEXEC);
  alarm(static_cast<unsigned>(*lifetime_s));
  std::string order;
  char buffer[65536];
  for (ssize_t n = 0; (n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0;)
    order.append(buffer, static_cast<size_t>(n));
  bool told = false;
  const auto answer = [&](std::string_view text) {
    if (!told) (void)WriteAll(kReplyFd, fmt::format("{}\n", text));
    told = true;
  };
  const auto serve = [&]() -> Result<void> {
    FAULTLINE_ASSIGN(const v1::FaultJournalEntry entry, DecodeJournalEntry(order));
    const FaultPlan plan = PlanOf(entry);
    const SystemClock clock;
    const HostView view = HostView::Real(argv[6], &clock);
    FaultHost host;
    host.host = &view;
    host.mounts = ReadCgroupMounts(view.fs).value_or(CgroupMounts{});
    host.journal_folder = argv[3];
    for (const FaultServiceRow& row : FaultServices()) {
      if (plan.spec.fault.starts_with(row.fault))
        return row.serve({plan, host, stop_fd, counts, [&] { answer("ready"); }});
    }
    return Fail(ErrorCode::kInternal, "fault {} has no service", plan.spec.fault);
  };
  const Result<void> served = serve();
  if (served) return 0;
  std::string message = served.error().message;
  std::replace(message.begin(), message.end(), '\n', ' ');
  answer(fmt::format("{}\t{}", ErrorCodeName(served.error().code), message));
  return 1;
}

}  // namespace faultline
