#include "agent/faults/shell_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr size_t kMaxOutputBytes = 4096;
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In the child: only async-signal-safe calls.
[[noreturn]] void Become(char* const* argv, char* const* environment, int output) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close_range(3, ~0U, 0);
  execve(argv[0], argv, environment);
  _exit(127);
}

}  // namespace

Result<CommandOutcome> RunProgram(const std::vector<std::string>& words,
                                  const std::vector<std::string>& environment, int64_t timeout_ns) {
  if (words.empty()) return Fail(ErrorCode::kInvalidArgument, "no command");
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables = environment;
  variables.insert(variables.begin(), kPath);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(variables);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe for a command");
  const SystemClock clock;
  const int64_t until_ns = clock.SteadyNs() + timeout_ns;
  const pid_t pid = fork();
  if (pid == 0) Become(argv.data(), envp.data(), ends[1]);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return FailErrno(errno, "fork {}", words.front());
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  CommandOutcome outcome;
  int status = 0;
  bool ended = false;
  std::array<char, 1024> buffer{};
  while (!ended && clock.SteadyNs() < until_ns) {
    pollfd event{ends[0], POLLIN, 0};
    poll(&event, 1, 20);
    for (ssize_t n = read(ends[0], buffer.data(), buffer.size()); n > 0;
         n = read(ends[0], buffer.data(), buffer.size()))
      if (outcome.output.size() < kMaxOutputBytes)
        outcome.output.append(buffer.data(), static_cast<size_t>(n));
    ended = waitpid(pid, &status, WNOHANG) == pid;
    if (!ended && (event.revents & POLLHUP) != 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (!ended) {
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    close(ends[0]);
    return Fail(ErrorCode::kTimeout, "'{}' took longer than {} ms", words.back(),
                timeout_ns / kNsPerMs);
  }
  for (ssize_t n = read(ends[0], buffer.data(), buffer.size()); n > 0;
       n = read(ends[0], buffer.data(), buffer.size()))
    if (outcome.output.size() < kMaxOutputBytes)
      outcome.output.append(buffer.data(), static_cast<size_t>(n));
  close(ends[0]);
  if (outcome.output.size() > kMaxOutputBytes) outcome.output.resize(kMaxOutputBytes);
  while (outcome.output.ends_with('\n')) outcome.output.pop_back();
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Result<CommandOutcome> RunShell(const std::string& command,
                                const std::vector<std::string>& environment, int64_t timeout_ns) {
  return RunProgram({"/bin/sh", "-c", command}, environment, timeout_ns);
}

}  // namespace faultline
