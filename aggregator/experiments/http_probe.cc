#include "aggregator/experiments/http_probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

class Connection {
 public:
  explicit Connection(int64_t until_ns) : until_ns_(until_ns) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }

  Result<void> Open(const std::string& host, const std::string& port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (const int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); failed != 0)
      return Fail(ErrorCode::kUnavailable, "{}: {}", host, gai_strerror(failed));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> freed(list, freeaddrinfo);
    Result<void> opened = Fail(ErrorCode::kUnavailable, "{}: no address", host);
    for (const addrinfo* at = list; at != nullptr && !opened; at = at->ai_next) {
      if (fd_ >= 0) close(fd_);
      fd_ = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (fd_ < 0) continue;
      const bool begun = connect(fd_, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS;
      opened = begun ? Wait(POLLOUT) : FailErrno(errno, "connect to {}:{}", host, port);
      int error = 0;
      socklen_t length = sizeof error;
      if (opened && getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0)
        opened = FailErrno(error, "connect to {}:{}", host, port);
    }
    return opened;
  }

  Result<void> Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n > 0) {
        text.remove_prefix(static_cast<size_t>(n));
      } else if (n < 0 && errno == EAGAIN) {
        FAULTLINE_TRY(Wait(POLLOUT));
      } else {
        return FailErrno(errno, "send");
      }
    }
    return {};
  }

  // Until the first line is there.
  Result<std::string> FirstLine() {
    std::string text;
    while (text.find('\n') == std::string::npos) {
      char buffer[1024];
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n > 0) {
        text.append(buffer, static_cast<size_t>(n));
      } else if (n < 0 && errno == EAGAIN) {
        FAULTLINE_TRY(Wait(POLLIN));
      } else {
        return n == 0 ? Fail(ErrorCode::kUnavailable, "the connection was closed")
                      : FailErrno(errno, "receive");
      }
      if (text.size() > 8192) return Fail(ErrorCode::kCorruption, "no HTTP answer");
    }
    return text.substr(0, text.find('\n'));
  }

 private:
  Result<void> Wait(short events) {
    const int64_t left_ms = (until_ns_ - clock_.SteadyNs()) / kNsPerMs;
    pollfd event{fd_, events, 0};
    if (left_ms <= 0 || poll(&event, 1, static_cast<int>(left_ms)) == 0)
      return Fail(ErrorCode::kTimeout, "no answer in time");
    return {};
  }

  const SystemClock clock_;
  const int64_t until_ns_;
  int fd_ = -1;
};

}  // namespace

Result<int> ProbeHttp(const HttpProbe& probe) {
  constexpr std::string_view kScheme = "http://";
  if (!probe.url.starts_with(kScheme))
    return Fail(ErrorCode::kInvalidArgument, "{}: not http://", probe.url);
  const std::string rest = probe.url.substr(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string authority = rest.substr(0, slash);
  const std::string path = slash == std::string::npos ? "/" : rest.substr(slash);
  if (path.find_first_of("\r\n ") != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "url: blanks in {}", path);
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  std::string host = authority.substr(0, has_port ? colon : std::string::npos);
  const std::string port = has_port ? authority.substr(colon + 1) : "80";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Connection connection(SystemClock().SteadyNs() + probe.timeout_ns);
  FAULTLINE_TRY(connection.Open(host, port));
  std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: faultline\r\n",
                  probe.method, path, authority);
  for (const auto& [name, value] : probe.headers) {
    if ((name + value).find_first_of("\r\n") == std::string::npos)
      request += fmt::format("{}: {}\r\n", name, value);
  }
  if (!probe.body.empty()) request += fmt::format("Content-Length: {}\r\n", probe.body.size());
  FAULTLINE_TRY(connection.Send(request + "\r\n" + probe.body));
  FAULTLINE_ASSIGN(const std::string line, connection.FirstLine());
  std::string_view words = line;
  const std::string_view version = NextWord(words);
  const auto code = ParseInt(NextWord(words));
  if (!version.starts_with("HTTP/") || !code) return Fail(ErrorCode::kCorruption, "no HTTP answer");
  return static_cast<int>(*code);
}

}  // namespace faultline
