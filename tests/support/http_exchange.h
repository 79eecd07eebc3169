// One HTTP/1.1 request over loopback, for tests: the whole answer as text, within ten seconds.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

namespace faultline {

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
};

// `until`: stop reading once the answer has this; empty: read to the end.
inline HttpAnswer HttpExchange(uint16_t port, std::string_view method, std::string_view target, std::string_view body = "",
                               std::string_view headers = "", std::string_view until = "") {
  HttpAnswer answer;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return answer;
  }
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
                        "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                        std::string(headers) + "\r\n" + std::string(body);
  send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string text;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, 100) <= 0) continue;
    char buffer[16384];
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
    if (!until.empty() && text.find(until) != std::string::npos) break;
  }
  close(fd);
  const size_t split = text.find("\r\n\r\n");
  answer.head = text.substr(0, split);
  if (split != std::string::npos) answer.body = text.substr(split + 4);
  if (answer.head.size() > 12) answer.status = std::atoi(answer.head.c_str() + 9);
  return answer;
}

}  // namespace faultline
