#include "agent/checks/builtin/socket_talk.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

Result<void> Wait(int fd, short events, int timeout_ms) {
  pollfd one{fd, events, 0};
  const int ready = poll(&one, 1, timeout_ms);
  if (ready == 0) return Fail(ErrorCode::kTimeout, "no answer within {} ms", timeout_ms);
  if (ready < 0) return FailErrno(errno, "poll");
  return {};
}

Result<void> Connect(int fd, const sockaddr* address, socklen_t size, int timeout_ms) {
  if (fd < 0) return FailErrno(errno, "socket");
  if (connect(fd, address, size) == 0) return {};
  if (errno != EINPROGRESS) return FailErrno(errno, "connect");
  FAULTLINE_TRY(Wait(fd, POLLOUT, timeout_ms));
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return FailErrno(error, "connect");
  return {};
}

Result<Socket> OpenTcp(const std::string& host, uint16_t port, int timeout_ms) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int wrong = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (wrong != 0) return Fail(ErrorCode::kNotFound, "{}: {}", host, gai_strerror(wrong));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> keep(found, &freeaddrinfo);
  Socket socket_fd(socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  FAULTLINE_TRY(Connect(socket_fd.fd(), found->ai_addr, found->ai_addrlen, timeout_ms));
  return socket_fd;
}

}  // namespace

Result<int64_t> ConnectTcp(const std::string& host, uint16_t port, int timeout_ms) {
  const int64_t begin_ns = SystemClock().SteadyNs();
  FAULTLINE_TRY(OpenTcp(host, port, timeout_ms));
  return SystemClock().SteadyNs() - begin_ns;
}

Result<void> ConnectUnix(const std::string& path, int timeout_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Fail(ErrorCode::kInvalidArgument, "{} is too long", path);
  path.copy(address.sun_path, path.size());
  const Socket one(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return Connect(one.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address),
                 timeout_ms);
}

Result<HttpAnswer> GetHttp(const std::string& host, uint16_t port, std::string_view path,
                           int timeout_ms) {
  FAULTLINE_ASSIGN(const Socket one, OpenTcp(host, port, timeout_ms));
  const std::string request =
      fmt::format("GET {} HTTP/1.0\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", path, host, port);
  if (send(one.fd(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return FailErrno(errno, "send");
  }
  std::string text;
  char buffer[4096];
  while (text.size() < 16384) {
    FAULTLINE_TRY(Wait(one.fd(), POLLIN, timeout_ms));
    const ssize_t got = recv(one.fd(), buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  HttpAnswer answer;
  std::string_view rest = text;
  if (!rest.starts_with("HTTP/1.")) return Fail(ErrorCode::kCorruption, "no HTTP");
  NextWord(rest);
  answer.status = static_cast<int>(ParseInt(NextWord(rest)).value_or(0));
  if (const size_t body = text.find("\r\n\r\n"); body != std::string::npos)
    answer.body = text.substr(body + 4);
  return answer;
}

}  // namespace faultline
