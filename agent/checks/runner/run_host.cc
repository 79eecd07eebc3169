#include "agent/checks/runner/run_host.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "common/process_stat.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kKillPatienceNs = 500 * kNsPerMs;  // then a process counts as unkillable
constexpr int64_t kLookEveryNs = 100 * kNsPerMs;     // at the adopted, while there are runs
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxRequestBytes = 256 << 10;
constexpr int kNice = 10;
constexpr int kIoIdle = 3 << 13;

int64_t Now() { return SystemClock().SteadyNs(); }

void CloseFd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

bool MakePipe(int (&ends)[2]) { return pipe2(ends, O_CLOEXEC) == 0; }

std::string ReadProc(int pid, const char* name) {
  const int fd = open(fmt::format("/proc/{}/{}", pid, name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text(8192, '\0');
  const ssize_t got = read(fd, text.data(), text.size());
  close(fd);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

// Our own children, adopted ones included.
std::vector<int> Children() {
  std::vector<int> pids;
  const std::string text = ReadProc(getpid(), fmt::format("task/{}/children", getpid()).c_str());
  std::string_view rest = text;
  for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
    if (const auto pid = ParseInt(word)) pids.push_back(static_cast<int>(*pid));
  }
  return pids;
}

// The path of a process in the v2 hierarchy.
std::string CgroupOf(int pid) {
  const std::string text = ReadProc(pid, "cgroup");
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (line.starts_with("0::")) return std::string(line.substr(3));
  }
  return "";
}

// Enters the namespaces of a process; what is mounted there is the world then.
bool EnterView(uint32_t pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0));
  if (fd < 0) return false;
  // The cgroup namespace stays ours: the run keeps its cgroup.
  const bool entered =
      setns(fd, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) == 0;
  close(fd);
  return entered;
}

// Who enters a pid namespace stays outside: only children are inside. This one waits and ends as
// the child does.
void ForkInside() {
  const pid_t inside = fork();
  if (inside == 0) return;
  if (inside < 0) _exit(126);
  int status = 0;
  while (waitpid(inside, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  _exit(128 + WTERMSIG(status));
}

}  // namespace

struct RunHost::Run {
  v1::RunProgram request;
  RunCgroup cgroup;
  std::string cgroup_name;  // its last two folders
  pid_t pid = -1;
  int out = -1;
  int err = -1;
  int status_fd = -1;  // an errno comes here if the program cannot be started
  int64_t started_ns = 0;
  int64_t killed_ns = 0;
  bool ended = false;    // the main process
  bool replied = false;  // left behind
  int wait_status = 0;
  v1::ProgramOutcome outcome;
  std::string output;
  std::string error_output;
};

RunHost::RunHost(int socket, std::string cgroup_folder)
    : socket_(socket), cgroup_folder_(std::move(cgroup_folder)) {}

RunHost::~RunHost() {
  for (auto& [id, run] : runs_) {
    CloseFd(run->out);
    CloseFd(run->err);
    CloseFd(run->status_fd);
  }
}

Result<void> RunHost::Serve() {
  prctl(PR_SET_NAME, "faultline-checks");
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return FailErrno(errno, "become a subreaper");
  SweepCgroups(cgroup_folder_);
  if (auto top = RunCgroup::Make(cgroup_folder_); !cgroup_folder_.empty() && top) {
    contains_ = true;
  } else if (!cgroup_folder_.empty()) {
    spdlog::warn("checks run without cgroups: {}", top.error().message);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);  // the agent hangs up when it is time
  signal(SIGTERM, SIG_IGN);
  const int child_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (child_fd < 0) return FailErrno(errno, "signalfd");
  int64_t closed_ns = 0;
  while (true) {
    const int64_t begin_ns = Now();
    if (!open_) {
      if (closed_ns == 0) closed_ns = begin_ns;
      for (auto& [id, run] : runs_) KillAll(*run);
      if (runs_.empty() || begin_ns - closed_ns > 2 * kKillPatienceNs) break;
    }
    std::vector<pollfd> events = {{open_ ? socket_ : -1, POLLIN, 0}, {child_fd, POLLIN, 0}};
    for (auto& [id, run] : runs_) {
      events.push_back({run->out, POLLIN, 0});
      events.push_back({run->err, POLLIN, 0});
    }
    if (poll(events.data(), events.size(), WaitMs(begin_ns)) < 0 && errno != EINTR) {
      return FailErrno(errno, "poll");
    }
    size_t at = 2;
    for (auto& [id, run] : runs_) {
      if (events[at++].revents != 0) ReadOutput(*run, run->out, run->output);
      if (events[at++].revents != 0) ReadOutput(*run, run->err, run->error_output);
    }
    if (events[1].revents != 0) {
      signalfd_siginfo told[16];
      while (read(child_fd, told, sizeof(told)) > 0) {
      }
    }
    Reap();
    const int64_t now_ns = Now();
    for (auto next = runs_.begin(); next != runs_.end();) {
      Run& run = *(next++)->second;
      Step(run, now_ns);
    }
    if (now_ns - looked_ns_ >= kLookEveryNs) EndEscaped();
    if (events[0].revents != 0) ReadRequests();
  }
  close(child_fd);
  if (contains_) SweepCgroups(cgroup_folder_);
  return {};
}

int RunHost::WaitMs(int64_t now_ns) const {
  int64_t wait_ns = open_ ? 1000 * kNsPerMs : 10 * kNsPerMs;
  for (const auto& [id, run] : runs_) {
    const int64_t deadline = run->started_ns + run->request.timeout_ms() * kNsPerMs;
    // While something is being killed its end is looked for often; when it hangs, seldom.
    if (run->replied) continue;
    if (run->killed_ns != 0 || run->ended) wait_ns = std::min<int64_t>(wait_ns, 5 * kNsPerMs);
    wait_ns = std::min(wait_ns, std::max<int64_t>(deadline - now_ns, 0));
  }
  return static_cast<int>((wait_ns + kNsPerMs - 1) / kNsPerMs);
}

void RunHost::ReadRequests() {
  std::string packet(kMaxRequestBytes, '\0');
  while (true) {
    const ssize_t got = recv(socket_, packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno != EAGAIN && errno != EINTR) open_ = false;
      return;
    }
    if (got == 0) {
      open_ = false;
      return;
    }
    v1::RunProgram request;
    if (!request.ParseFromArray(packet.data(), static_cast<int>(got)) || request.id() == 0 ||
        request.arguments().empty() || runs_.contains(request.id())) {
      v1::ProgramOutcome refusal;
      refusal.set_id(request.id());
      refusal.set_error("a request that does not parse");
      Reply(refusal);
      continue;
    }
    Start(std::move(request));
  }
}

void RunHost::Start(v1::RunProgram request) {
  auto run = std::make_unique<Run>();
  run->outcome.set_id(request.id());
  run->started_ns = Now();
  const auto refuse = [&](const std::string& why) {
    run->outcome.set_error(why);
    (void)run->cgroup.Remove();
    Reply(run->outcome);
  };
  int out[2] = {-1, -1}, err[2] = {-1, -1}, status[2] = {-1, -1};
  if (!MakePipe(out) || !MakePipe(err) || !MakePipe(status)) {
    for (int* ends : {out, err, status}) {
      CloseFd(ends[0]);
      CloseFd(ends[1]);
    }
    return refuse("no descriptors are left");
  }
  run->request = std::move(request);
  run->cgroup_name = fmt::format("{}/run-{}", cgroup_folder_.substr(cgroup_folder_.rfind('/') + 1),
                                 run->request.id());
  if (contains_) {
    auto cgroup = RunCgroup::Make(fmt::format("{}/run-{}", cgroup_folder_, run->request.id()));
    if (cgroup) run->cgroup = *std::move(cgroup);
  }
  clone_args how{};
  how.exit_signal = SIGCHLD;
  if (run->cgroup.fd() >= 0) {
    how.flags = CLONE_INTO_CGROUP;
    how.cgroup = static_cast<uint64_t>(run->cgroup.fd());
  }
  pid_t pid = static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof(how)));
  if (pid < 0 && how.flags != 0) {
    (void)run->cgroup.Remove();
    run->cgroup = RunCgroup();
    how = clone_args{};
    how.exit_signal = SIGCHLD;
    pid = static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof(how)));
  }
  if (pid == 0) Become(run->request, out[1], err[1], status[1]);
  const int error = errno;
  CloseFd(out[1]);
  CloseFd(err[1]);
  CloseFd(status[1]);
  run->out = out[0];
  run->err = err[0];
  run->status_fd = status[0];
  if (pid < 0) {
    CloseFd(run->out);
    CloseFd(run->err);
    CloseFd(run->status_fd);
    return refuse(std::string("fork: ") + std::strerror(error));
  }
  for (const int fd : {run->out, run->err, run->status_fd}) fcntl(fd, F_SETFL, O_NONBLOCK);
  run->pid = pid;
  run->outcome.set_contained(run->cgroup.fd() >= 0);
  by_pid_[pid] = run.get();
  runs_[run->request.id()] = std::move(run);
}

void RunHost::Become(const v1::RunProgram& request, int out, int err, int status) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::vector<char*> arguments;
  for (const std::string& word : request.arguments())
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (const std::string& word : request.environment())
    environment.push_back(const_cast<char*>(word.c_str()));
  std::string mark = fmt::format("FAULTLINE_CHECK_RUN={}", request.id());
  environment.push_back(mark.data());
  environment.push_back(nullptr);
  const auto give_up = [status] {
    const int error = errno;
    if (write(status, &error, sizeof(error)) != sizeof(error)) _exit(125);
    _exit(126);
  };
  setpriority(PRIO_PROCESS, 0, kNice);
  syscall(SYS_ioprio_set, 1, 0, kIoIdle);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // The program itself is of the host: it is opened before the view is entered.
  int program = -1;
  if (request.view_pid() != 0) {
    program = open(arguments[0], O_RDONLY);
    if (program < 0 || !EnterView(request.view_pid())) give_up();
    ForkInside();
  }
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  // `status` and the program stay; the first closes itself at exec, the second is what a script's
  // interpreter reads.
  const int first = std::min(status, program < 0 ? status : program);
  const int last = std::max(status, program);
  if (first > 3) close_range(3, static_cast<unsigned>(first) - 1, 0);
  if (last - first > 1)
    close_range(static_cast<unsigned>(first) + 1, static_cast<unsigned>(last) - 1, 0);
  close_range(static_cast<unsigned>(last) + 1, ~0U, 0);
  umask(022);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (chdir(request.folder().empty() || request.view_pid() != 0 ? "/" : request.folder().c_str()) !=
      0)
    give_up();
  if (program >= 0) {
    syscall(SYS_execveat, program, "", arguments.data(), environment.data(), AT_EMPTY_PATH);
  } else {
    execve(arguments[0], arguments.data(), environment.data());
  }
  give_up();
  _exit(126);
}

void RunHost::ReadOutput(Run& run, int& fd, std::string& kept) {
  if (fd < 0) return;
  static char buffer[kReadBytes];
  const ssize_t got = read(fd, buffer, sizeof(buffer));
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return CloseFd(fd);
  // What is beyond the limit is read all the same: a full pipe would keep the program from its
  // verdict.
  const size_t room = run.request.max_output_bytes() > kept.size()
                          ? run.request.max_output_bytes() - kept.size()
                          : 0;
  kept.append(buffer, std::min(room, static_cast<size_t>(got)));
  if (static_cast<size_t>(got) > room) run.outcome.set_truncated(true);
}

void RunHost::Reap() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    const auto at = by_pid_.find(pid);
    if (at == by_pid_.end()) continue;  // adopted
    at->second->ended = true;
    at->second->wait_status = status;
    by_pid_.erase(at);
  }
}

void RunHost::KillAll(Run& run) {
  if (run.killed_ns == 0) run.killed_ns = Now();
  run.cgroup.Kill();
  if (!run.ended) {
    kill(-run.pid, SIGKILL);
    kill(run.pid, SIGKILL);  // it may have left its group, and its cgroup
  }
}

void RunHost::EndEscaped() {
  looked_ns_ = Now();
  std::vector<int> children = Children();
  std::erase_if(children, [this](int pid) { return by_pid_.contains(pid); });
  if (children.empty()) return;
  for (const int pid : children) {
    const std::string cgroup = CgroupOf(pid);
    const bool inside = std::any_of(runs_.begin(), runs_.end(), [&](const auto& entry) {
      const Run& run = *entry.second;
      if (run.cgroup.path().empty() || run.killed_ns != 0) return false;
      // As the hierarchy's root is mounted somewhere, a path below it is a tail of the folder's.
      return (cgroup + "/").find(run.cgroup_name + "/") != std::string::npos;
    });
    if (inside) continue;
    const std::string environment = ReadProc(pid, "environ");
    for (auto& [id, run] : runs_) {
      // Without cgroups a run's daemons live until the run ends.
      const std::string mark = fmt::format("FAULTLINE_CHECK_RUN={}", id);
      if (environment.find(mark + std::string(1, '\0')) == std::string::npos) continue;
      if (run->killed_ns == 0 && !contains_) return;
      if (contains_ && (cgroup + "/").find(run->cgroup_name + "/") == std::string::npos) {
        run->outcome.set_escaped(run->outcome.escaped() + 1);
      }
    }
    kill(pid, SIGKILL);
  }
  Reap();
}

void RunHost::Step(Run& run, int64_t now_ns) {
  if (run.replied) {
    if (run.ended && run.cgroup.Empty() && run.cgroup.Remove()) {
      v1::ProgramOutcome gone;
      gone.set_id(run.request.id());
      gone.set_ended(true);
      Reply(gone);
      runs_.erase(gone.id());
    } else if (now_ns - looked_ns_ >= kLookEveryNs) {
      KillAll(run);
    }
    return;
  }
  if (!run.ended && run.killed_ns == 0 &&
      now_ns - run.started_ns >= run.request.timeout_ms() * kNsPerMs) {
    run.outcome.set_timed_out(true);
    KillAll(run);
  }
  if (run.ended && run.killed_ns == 0) {
    // The verdict is there; what still runs was left behind by the program.
    run.outcome.set_duration_ns(now_ns - run.started_ns);
    for (int* fd : {&run.out, &run.err}) {
      std::string& kept = fd == &run.out ? run.output : run.error_output;
      for (int round = 0; round < 64 && *fd >= 0; ++round) {
        const size_t before = kept.size();
        ReadOutput(run, *fd, kept);
        if (kept.size() == before) break;
      }
    }
    KillAll(run);
  }
  if (run.killed_ns == 0) return;
  if (run.ended) EndEscaped();
  const bool gone = run.ended && run.cgroup.Empty();
  if (gone || now_ns - run.killed_ns >= kKillPatienceNs) return Finish(run, now_ns);
  if (now_ns - run.killed_ns > 20 * kNsPerMs) KillAll(run);
}

void RunHost::Finish(Run& run, int64_t now_ns) {
  v1::ProgramOutcome& outcome = run.outcome;
  CloseFd(run.out);
  CloseFd(run.err);
  int error = 0;
  if (read(run.status_fd, &error, sizeof(error)) == sizeof(error))
    outcome.set_error(std::strerror(error));
  CloseFd(run.status_fd);
  outcome.set_cpu_ns(run.cgroup.CpuNs());
  if (outcome.duration_ns() == 0) outcome.set_duration_ns(now_ns - run.started_ns);
  if (run.ended && WIFEXITED(run.wait_status)) outcome.set_exit_code(WEXITSTATUS(run.wait_status));
  if (run.ended && WIFSIGNALED(run.wait_status)) outcome.set_signal(WTERMSIG(run.wait_status));
  outcome.set_output(std::move(run.output));
  outcome.set_error_output(std::move(run.error_output));
  const bool gone = run.ended && run.cgroup.Empty() && run.cgroup.Remove();
  outcome.set_unkillable(!gone);
  run.replied = true;
  Reply(outcome);
  if (gone) runs_.erase(run.request.id());
}

void RunHost::Reply(const v1::ProgramOutcome& outcome) {
  const std::string packet = outcome.SerializeAsString();
  // The agent reads at once or is gone; a packet that does not fit is an outcome without its
  // output.
  if (send(socket_, packet.data(), packet.size(), MSG_NOSIGNAL) >= 0) return;
  if (errno == EMSGSIZE) {
    v1::ProgramOutcome bare = outcome;
    bare.clear_output();
    bare.clear_error_output();
    bare.set_truncated(true);
    const std::string small = bare.SerializeAsString();
    if (send(socket_, small.data(), small.size(), MSG_NOSIGNAL) >= 0) return;
  }
  open_ = false;
}

}  // namespace faultline
