#include "agent/checks/builtin/tool_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "common/clock.h"

namespace faultline {

Result<ToolOutcome> RunTool(const std::vector<std::string>& arguments, int timeout_ms) {
  std::string program;
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    if (program.empty() && access((folder + arguments[0]).c_str(), X_OK) == 0)
      program = folder + arguments[0];
  }
  if (program.empty()) return Fail(ErrorCode::kNotFound, "{} is not installed", arguments[0]);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  std::vector<std::string> words = arguments;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
  char* environment[] = {path, locale, nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return FailErrno(error, "start {}", program);
  }
  ToolOutcome outcome;
  const int64_t deadline_ns = SystemClock().SteadyNs() + timeout_ms * kNsPerMs;
  bool late = false;
  char buffer[4096];
  while (true) {
    const int64_t left_ms = (deadline_ns - SystemClock().SteadyNs()) / kNsPerMs;
    pollfd one{ends[0], POLLIN, 0};
    if (left_ms <= 0 || poll(&one, 1, static_cast<int>(left_ms)) <= 0) {
      late = true;
      break;
    }
    const ssize_t got = read(ends[0], buffer, sizeof(buffer));
    if (got <= 0) break;
    if (outcome.output.size() < (256 << 10))
      outcome.output.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  if (late) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (late)
    return Fail(ErrorCode::kTimeout, "{} did not end within {} ms", arguments[0], timeout_ms);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace faultline
