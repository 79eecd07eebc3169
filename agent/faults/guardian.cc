#include "agent/faults/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "agent/containers/cgroup_mounts.h"
#include "agent/faults/fault_recovery.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int kLeaseFd = 3;
constexpr int kAttemptsBeforeResidue = 5;
constexpr int64_t kRetryNs = 500 * kNsPerMs;
constexpr int kUnwatchedMs = 500;  // how often to look where nothing tells of changes

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

class Guardian {
 public:
  Guardian(const GuardianOptions& options, FaultJournal journal, Lease& lease,
           const FaultHost& host, std::span<const FaultRow> catalogue)
      : options_(options),
        journal_(std::move(journal)),
        lease_(lease),
        host_(host),
        catalogue_(catalogue) {}

  // Recovers what is due; the steady time of the next thing to do, if any. Sets `pending` when
  // faults of our agent are, or may be, still in force.
  std::optional<int64_t> Pass(bool agent_dead, bool& pending) {
    std::optional<int64_t> next;
    pending = true;
    const auto contents = journal_.LoadAll();
    if (!contents) {
      // A journal that is gone for good tells of nothing to undo, nor will it.
      pending = contents.error().code != ErrorCode::kNotFound;
      return Now() + kRetryNs;
    }
    pending = false;
    if (agent_dead && dead_since_ns_ == 0) dead_since_ns_ = Now();
    const bool halted = journal_.Halted();
    for (const v1::FaultJournalEntry& entry : contents->entries) {
      if (entry.phase() == v1::FAULT_JOURNAL_PHASE_DONE || entry.owner() != options_.owner)
        continue;
      const int64_t due = (agent_dead ? dead_since_ns_
                           : halted   ? HaltedDueAt()
                                      : DueAt(entry)) +
                          options_.rank * kSecondGraceNs;
      if (due > Now() || !Recover(entry, agent_dead)) {
        pending = true;
        const int64_t wake = std::max(due, Now() + (due > Now() ? 0 : kRetryNs));
        next = next ? std::min(*next, wake) : wake;
      }
    }
    return next;
  }

 private:
  int64_t Now() const { return host_.host->clock->SteadyNs(); }

  int64_t DueAt(const v1::FaultJournalEntry& entry) const {
    if (entry.boot_id() != host_.host->boot_id) return 0;
    return std::min(entry.deadline_monotonic_ns(), lease_.expiry_steady_ns()) + kGuardianGraceNs;
  }

  // The agent goes first here too.
  int64_t HaltedDueAt() {
    if (halted_since_ns_ == 0) halted_since_ns_ = Now();
    return halted_since_ns_ + kNsPerSecond + kGuardianGraceNs;
  }

  bool Recover(const v1::FaultJournalEntry& entry, bool agent_dead) {
    RecoveryOrder order;
    order.uid = entry.fault_uid();
    order.by = "guardian";
    order.cause = agent_dead ? "agent_killed" : journal_.Halted() ? "halt" : "lease_lost";
    if (entry.deadline_monotonic_ns() <= Now()) order.cause = "duration";
    order.accept_residue = ++attempts_[order.uid] >= kAttemptsBeforeResidue;
    const auto done = RecoverJournalled(journal_, order, catalogue_, host_);
    if (done) {
      attempts_.erase(order.uid);
      spdlog::warn("guardian: fault {} recovered: {}", order.uid, done->cause_of_end());
      return true;
    }
    if (LogAllowed("guardian/" + order.uid, 10))
      spdlog::error("guardian: {}", done.error().message);
    return done.error().code == ErrorCode::kNotFound && !journal_.Load(order.uid);
  }

  const GuardianOptions& options_;
  const FaultJournal journal_;
  const Lease& lease_;
  const FaultHost& host_;
  const std::span<const FaultRow> catalogue_;
  std::map<std::string, int> attempts_;
  int64_t halted_since_ns_ = 0;
  int64_t dead_since_ns_ = 0;
};

void IgnoreSignals() {
  // The service's stop reaches every process of it; what counts for us is whether the agent is
  // there.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT}) signal(number, SIG_IGN);
}

void Drain(int fd) {
  char buffer[4096];
  while (read(fd, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace

Result<GuardianOptions> ReadGuardianArguments(int argc, char** argv) {
  if (argc != 8) return Fail(ErrorCode::kInvalidArgument, "started by faultline-agent only");
  const auto pid = ParseUint(argv[4]);
  const auto fd = ParseInt(argv[6]);
  const auto rank = ParseInt(argv[7]);
  if (!pid || *pid == 0 || !fd || !rank || *rank < 0 || *rank >= kGuardians)
    return Fail(ErrorCode::kInvalidArgument, "bad process id, descriptor or rank");
  return GuardianOptions{argv[2],
                         argv[3],
                         static_cast<uint32_t>(*pid),
                         argv[5],
                         static_cast<int>(*fd),
                         static_cast<int>(*rank)};
}

Result<void> Guard(const GuardianOptions& options, std::span<const FaultRow> catalogue) {
  IgnoreSignals();
  prctl(PR_SET_NAME, "faultline-guard");
  const SystemClock clock;
  const HostView view = HostView::Real(options.host_root, &clock);
  FaultHost host;
  host.host = &view;
  host.mounts = ReadCgroupMounts(view.fs).value_or(CgroupMounts{});
  host.protected_pids = {static_cast<uint32_t>(getpid()), options.agent_pid};
  host.journal_folder = options.journal_folder;
  FAULTLINE_ASSIGN(FaultJournal journal, FaultJournal::Open(options.journal_folder));
  FAULTLINE_ASSIGN(Lease lease, Lease::Attach(options.lease_fd));
  const OwnedFd changes(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  // The node may have none left (fs.inotify.max_user_instances): that is no reason not to guard.
  const bool watched =
      changes.get() >= 0 && inotify_add_watch(changes.get(), options.journal_folder.c_str(),
                                              IN_MOVED_TO | IN_CREATE) >= 0;
  if (!watched)
    spdlog::warn("guardian: {} cannot be watched ({}); looking every {} ms", options.journal_folder,
                 strerror(errno), kUnwatchedMs);
  const OwnedFd agent(static_cast<int>(syscall(SYS_pidfd_open, options.agent_pid, 0)));
  // Still our parent: the descriptor means the agent and nobody who came after it.
  bool agent_dead = agent.get() < 0 || getppid() != static_cast<pid_t>(options.agent_pid);
  Guardian guardian(options, std::move(journal), lease, host, catalogue);
  while (true) {
    bool pending = false;
    const std::optional<int64_t> next = guardian.Pass(agent_dead, pending);
    if (agent_dead && !pending) return {};
    pollfd events[2] = {{changes.get(), POLLIN, 0}, {agent_dead ? -1 : agent.get(), POLLIN, 0}};
    int timeout_ms = watched ? -1 : kUnwatchedMs;
    if (next) {
      const int64_t left_ns = std::max<int64_t>(*next - clock.SteadyNs(), 0);
      const int64_t longest_ms = watched ? 60'000 : kUnwatchedMs;
      timeout_ms = static_cast<int>(std::min(left_ns / kNsPerMs + 1, longest_ms));
    }
    if (poll(events, 2, timeout_ms) < 0 && errno != EINTR) return FailErrno(errno, "poll");
    if (events[0].revents != 0) Drain(changes.get());
    if (events[1].revents != 0) agent_dead = true;
  }
}

GuardianKeeper::GuardianKeeper(std::string program, std::string journal_folder,
                               std::string host_root, std::string owner)
    : program_(std::move(program)),
      journal_folder_(std::move(journal_folder)),
      host_root_(host_root.empty() ? "/" : std::move(host_root)),
      owner_(std::move(owner)) {}

GuardianKeeper::~GuardianKeeper() = default;

std::vector<uint32_t> GuardianKeeper::pids() const {
  std::vector<uint32_t> pids;
  for (const Kept& one : kept_) {
    if (one.pid > 0) pids.push_back(static_cast<uint32_t>(one.pid));
  }
  return pids;
}

Result<void> GuardianKeeper::Start(const Lease& lease) {
  for (size_t rank = 0; rank < kept_.size(); ++rank) {
    FAULTLINE_ASSIGN(kept_[rank].pid, StartOne(lease, rank));
  }
  return {};
}

Result<pid_t> GuardianKeeper::StartOne(const Lease& lease, size_t rank) const {
  if (access(program_.c_str(), X_OK) != 0)
    return FailErrno(errno, "the guardian's program {}", program_);
  std::vector<std::string> words = {program_,
                                    "--guard",
                                    journal_folder_,
                                    host_root_,
                                    std::to_string(getpid()),
                                    owner_,
                                    std::to_string(kLeaseFd),
                                    std::to_string(rank)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int lease_fd = lease.fd();
  const pid_t pid = fork();
  if (pid == 0) {
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
      dup2(null, STDIN_FILENO);
      dup2(null, STDOUT_FILENO);  // standard error stays: it is the agent's log
    }
    // dup2 onto itself would keep close-on-exec.
    if (lease_fd == kLeaseFd) {
      fcntl(kLeaseFd, F_SETFD, 0);
    } else if (dup2(lease_fd, kLeaseFd) < 0) {
      _exit(1);
    }
    close_range(kLeaseFd + 1, ~0U, 0);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (pid < 0) return FailErrno(errno, "fork the guardian");
  return pid;
}

void GuardianKeeper::Check(const Lease& lease, int64_t now_steady_ns) {
  for (size_t rank = 0; rank < kept_.size(); ++rank) {
    Kept& one = kept_[rank];
    if (one.pid > 0 && waitpid(one.pid, nullptr, WNOHANG) == 0) continue;
    one.pid = -1;
    if (now_steady_ns < one.next_start_ns) continue;
    one.next_start_ns = now_steady_ns + kNsPerSecond;
    spdlog::warn("a guardian has ended; starting it again");
    if (const auto started = StartOne(lease, rank)) {
      one.pid = *started;
    } else if (LogAllowed("guardian/start")) {
      spdlog::error("{}", started.error().message);
    }
  }
}

}  // namespace faultline
