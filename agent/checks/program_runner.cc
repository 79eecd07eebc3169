#include "agent/checks/program_runner.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "common/clock.h"
#include "common/host_view.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int kRunnerFd = 3;
constexpr int64_t kRestNs = kNsPerSecond;  // between two starts
constexpr size_t kMaxPacketBytes = 256 << 10;

std::string BesideThisProgram() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  if (size <= 0) return "faultline-check-runner";
  const std::string own(path, static_cast<size_t>(size));
  return own.substr(0, own.rfind('/') + 1) + "faultline-check-runner";
}

}  // namespace

std::string CheckCgroupFolder(const std::string& unified_mount) {
  if (unified_mount.empty()) return "";
  const std::string name = fmt::format("/faultline-checks-{}", getpid());
  const std::string text = FsRoot().Read("/proc/self/cgroup").value_or("");
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (!line.starts_with("0::/") || line == "0::/") continue;
    const std::string own = unified_mount + std::string(line.substr(3));
    if (access(own.c_str(), W_OK) == 0) return own + name;
  }
  return unified_mount + name;
}

ProgramRunner::ProgramRunner(std::string program, std::string cgroup_folder)
    : program_(program.empty() ? BesideThisProgram() : std::move(program)),
      cgroup_folder_(std::move(cgroup_folder)) {}

ProgramRunner::~ProgramRunner() {
  if (socket_ >= 0) close(socket_);
  if (pid_ <= 0) return;
  // It ends within a second by itself; a runner that does not is ended, and its orphans' cgroups
  // with the next start.
  for (int round = 0; round < 150; ++round) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) return;
    usleep(10'000);
  }
  kill(pid_, SIGKILL);
  (void)waitpid(pid_, nullptr, 0);
}

Result<void> ProgramRunner::Start() {
  if (access(program_.c_str(), X_OK) != 0) return FailErrno(errno, "{}", program_);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return FailErrno(errno, "socketpair");
  const int bytes = 2 * static_cast<int>(kMaxPacketBytes);
  for (const int end : ends) setsockopt(end, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Nothing of the agent's but its log: databases, sockets and keys stay here.
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], kRunnerFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, kRunnerFd + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  std::string words[] = {program_, "--run", cgroup_folder_};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  const int error = posix_spawn(&pid_, program_.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    pid_ = -1;
    return FailErrno(error, "start {}", program_);
  }
  socket_ = ends[0];
  return {};
}

uint64_t ProgramRunner::Run(v1::RunProgram request, Done done, std::function<void()> ended) {
  request.set_id(next_id_++);
  v1::ProgramOutcome refusal;
  refusal.set_id(request.id());
  if (socket_ < 0) {
    const int64_t now = SystemClock().SteadyNs();
    if (now < start_again_ns_) {
      refusal.set_error("the runner of checks has ended and starts again soon");
      done(refusal);
      return request.id();
    }
    start_again_ns_ = now + kRestNs;
    if (const auto started = Start(); !started) {
      if (LogAllowed("check runner")) spdlog::error("checks: {}", started.error().message);
      refusal.set_error(started.error().message);
      done(refusal);
      return request.id();
    }
  }
  const std::string packet = request.SerializeAsString();
  if (send(socket_, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    refusal.set_error(std::string("tell the runner: ") + std::strerror(errno));
    done(refusal);
    return request.id();
  }
  waiting_[request.id()] = {std::move(done), std::move(ended)};
  return request.id();
}

void ProgramRunner::Receive() {
  std::string packet(kMaxPacketBytes, '\0');
  while (socket_ >= 0) {
    const ssize_t got = recv(socket_, packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return Lost("the runner of checks has ended");
    v1::ProgramOutcome outcome;
    if (!outcome.ParseFromArray(packet.data(), static_cast<int>(got))) continue;
    const auto at = waiting_.find(outcome.id());
    if (at == waiting_.end()) continue;
    Waiting waiting = at->second;
    const bool more = outcome.unkillable() && !outcome.ended();
    if (more) {
      at->second.told = true;
    } else {
      waiting_.erase(at);
    }
    if (!waiting.told) waiting.done(outcome);
    if (!more && waiting.ended) waiting.ended();
  }
}

void ProgramRunner::Lost(const std::string& why) {
  close(socket_);
  socket_ = -1;
  if (pid_ > 0) (void)waitpid(pid_, nullptr, WNOHANG);
  ++restarts_;
  spdlog::warn("checks: {}", why);
  auto waiting = std::exchange(waiting_, {});
  for (auto& [id, one] : waiting) {
    v1::ProgramOutcome outcome;
    outcome.set_id(id);
    outcome.set_error(why);
    if (!one.told) one.done(outcome);
    if (one.ended) one.ended();
  }
}

}  // namespace faultline
