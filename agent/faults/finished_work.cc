#include "agent/faults/finished_work.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>

#include "common/text.h"

namespace faultline {
namespace {

// Two that stop the same process in turns undo each other's half. A name that the kernel gives up
// with its owner, however that ends. Who waits for too long goes on: a fault that stays is worse.
void WaitForTurn() {
  constexpr std::string_view kName("\0faultline-clock-offset", 23);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::ranges::copy(kName, address.sun_path);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + kName.size());
  const int name = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (int i = 0; i < 5000; ++i) {
    if (bind(name, reinterpret_cast<const sockaddr*>(&address), size) == 0 || errno != EADDRINUSE)
      return;
    usleep(1000);
  }
}

}  // namespace

Result<int64_t> FinishWhateverHappens(const std::function<Result<int64_t>()>& work,
                                      const std::function<void()>& undo) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    // Locks of the journal are shared with whoever has their descriptors.
    close_range(3, static_cast<unsigned>(ends[1]) - 1, 0);
    close_range(static_cast<unsigned>(ends[1]) + 1, ~0U, 0);
    WaitForTurn();
    const auto result = getppid() == parent ? work() : Fail(ErrorCode::kUnavailable, "too late");
    if (getppid() != parent) undo();
    const std::string text =
        result ? fmt::format("+{}", *result)
               : fmt::format("-{} {}", ErrorCodeName(result.error().code), result.error().message);
    (void)!write(ends[1], text.data(), text.size());
    _exit(0);
  }
  const int error = errno;
  close(ends[1]);
  std::string text(1024, '\0');
  const ssize_t n = child > 0 ? read(ends[0], text.data(), text.size()) : -1;
  close(ends[0]);
  if (child < 0) return FailErrno(error, "fork");
  waitpid(child, nullptr, 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  if (text.starts_with('+')) return ParseInt(text.substr(1)).value_or(0);
  if (!text.starts_with('-'))
    return Fail(ErrorCode::kInternal, "the process that patches has died");
  const size_t blank = text.find(' ');
  return std::unexpected(
      Error{ErrorCodeFromName(text.substr(1, blank - 1)), text.substr(blank + 1)});
}

}  // namespace faultline
