// The proxy of HTTP faults: a listener to which the kernel steers new connections of one port
// (bpf/port_steer.bpf.c), and a process per connection that passes messages on to the real server
// and back. What is not HTTP/1 (TLS, HTTP/2, upgrades) passes through untouched. Connections are
// bounded.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "agent/faults/fault_service.h"
#include "agent/faults/http_rules.h"
#include "agent/faults/network_target.h"
#include "common/text.h"
#include "port_steer.skel.h"

namespace faultline {
namespace {

constexpr int kMaxConnections = 512;
constexpr size_t kMaxChangedBodyBytes = size_t{4} << 20;
constexpr int kIdleMs = 120'000;

struct Proxy {
  const HttpRules rules;
  int own_ports = -1;    // BPF map, shared by all proxies of this node
  uint64_t network = 0;  // the upper part of its keys
  uint32_t stage = 1;
  ServiceCounts* counts = nullptr;
};

bool SendAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// One direction of a connection: what was read and not used yet.
class Stream {
 public:
  explicit Stream(int fd) : fd_(fd) {}
  int fd() const { return fd_; }
  std::string& pending() { return pending_; }
  // False at the end of the stream.
  bool More() {
    char buffer[65536];
    pollfd event{fd_, POLLIN, 0};
    if (poll(&event, 1, kIdleMs) <= 0) return false;
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    pending_.append(buffer, static_cast<size_t>(n));
    return true;
  }

 private:
  const int fd_;
  std::string pending_;
};

void Cut(int fd) {
  const linger now{1, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

class Connection {
 public:
  Connection(Proxy& proxy, int client, int server)
      : proxy_(proxy), client_(client), server_(server) {}

  void Run() {
    while (OneExchange()) {
    }
  }

 private:
  // Bytes both ways until one side ends: no HTTP we know.
  void Tunnel() {
    if (!SendAll(server_.fd(), client_.pending()) || !SendAll(client_.fd(), server_.pending()))
      return;
    pollfd events[2] = {{client_.fd(), POLLIN, 0}, {server_.fd(), POLLIN, 0}};
    char buffer[65536];
    while (poll(events, 2, kIdleMs) > 0) {
      for (int i = 0; i < 2; ++i) {
        if (events[i].revents == 0) continue;
        const ssize_t n = recv(events[i].fd, buffer, sizeof buffer, 0);
        const int other = events[1 - i].fd;
        if (n <= 0) {
          (void)shutdown(other, SHUT_WR);
          if (events[1 - i].fd < 0) return;
          events[i].fd = -1;
          if (n < 0) return;
          continue;
        }
        if (!SendAll(other < 0 ? (i == 0 ? server_.fd() : client_.fd()) : other,
                     {buffer, static_cast<size_t>(n)}))
          return;
      }
      if (events[0].fd < 0 && events[1].fd < 0) return;
    }
  }

  // nullopt: the stream ended. An error: it is no HTTP.
  Result<std::optional<HttpMessageHead>> ReadHead(Stream& from) {
    while (true) {
      size_t length = 0;
      FAULTLINE_ASSIGN(auto head, ReadHttpHead(from.pending(), length));
      if (head) {
        from.pending().erase(0, length);
        return head;
      }
      if (!from.More()) return std::optional<HttpMessageHead>();
    }
  }

  // Passes the body on, or keeps it in `kept`. False: the connection is of no use any more.
  bool Body(Stream& from, int to, const HttpFraming& framing, std::string* kept) {
    ChunkFollower chunks;
    uint64_t left = framing.length;
    while (true) {
      if (framing.kind == HttpBody::kNone || (framing.kind == HttpBody::kLength && left == 0) ||
          chunks.ended())
        return true;
      if (from.pending().empty() && !from.More()) return framing.kind == HttpBody::kUntilEnd;
      size_t take = from.pending().size();
      if (framing.kind == HttpBody::kLength) take = std::min<uint64_t>(take, left);
      if (framing.kind == HttpBody::kChunked) {
        const auto used = chunks.Feed(from.pending(), kept);
        if (!used) return false;
        take = *used;
      } else if (kept != nullptr) {
        kept->append(from.pending(), 0, take);
      }
      if (kept == nullptr && !SendAll(to, std::string_view(from.pending()).substr(0, take)))
        return false;
      if (kept != nullptr && kept->size() > kMaxChangedBodyBytes) return false;
      from.pending().erase(0, take);
      left -= std::min<uint64_t>(left, take);
    }
  }

  bool Forward(Stream& from, int to, HttpMessageHead head, bool meant, std::string_view method) {
    const HttpFraming framing = FramingOf(head, method);
    if (meant) ChangeHead(proxy_.rules, head);
    if (!meant || !proxy_.rules.ChangesBody())
      return SendAll(to, head.Text()) && Body(from, to, framing, nullptr);
    std::string body;
    if (!Body(from, to, framing, &body)) return false;
    body = ChangeBody(proxy_.rules, body);
    head.Remove("Transfer-Encoding");
    head.Set("Content-Length", std::to_string(body.size()));
    return SendAll(to, head.Text()) && SendAll(to, body);
  }

  // What is done before a message that is meant goes on. False: the connection was cut.
  bool Strike(bool meant) {
    if (!meant) return true;
    proxy_.counts->met.fetch_add(1);
    if (proxy_.rules.delay_ns > 0)
      std::this_thread::sleep_for(std::chrono::nanoseconds(proxy_.rules.delay_ns));
    proxy_.counts->done.fetch_add(1);
    if (!proxy_.rules.abort) return true;
    Cut(client_.fd());
    Cut(server_.fd());
    return false;
  }

  // Waits for the client's next request. A server that closes meanwhile is the end for the client too; one that speaks
  // unasked speaks no HTTP.
  bool NextRequestComes() {
    if (!client_.pending().empty()) return true;
    pollfd events[2] = {{client_.fd(), POLLIN, 0}, {server_.fd(), POLLIN, 0}};
    if (poll(events, 2, kIdleMs) <= 0) return false;
    if (events[0].revents != 0) return true;
    char first = 0;
    if (recv(server_.fd(), &first, 1, MSG_PEEK) > 0) Tunnel();
    return false;
  }

  bool OneExchange() {
    if (!NextRequestComes()) return false;
    const auto request = ReadHead(client_);
    if (!request) {
      Tunnel();
      return false;
    }
    if (!*request) return false;
    proxy_.counts->seen.fetch_add(1);
    const std::string method = (**request).method;
    const bool on_request = !proxy_.rules.on_response && MeansRequest(proxy_.rules, **request);
    if (!Strike(on_request)) return false;
    if (FramingOf(**request).kind == HttpBody::kTunnel) {
      if (SendAll(server_.fd(), (**request).Text())) Tunnel();
      return false;
    }
    if (!Forward(client_, server_.fd(), **request, on_request, "")) return false;
    while (true) {
      const auto response = ReadHead(server_);
      if (!response || !*response) return false;
      const bool informational = (**response).code / 100 == 1 && (**response).code != 101;
      const bool on_response = proxy_.rules.on_response && !informational &&
                               MeansResponse(proxy_.rules, **request, **response);
      if (!Strike(on_response)) return false;
      const HttpFraming framing = FramingOf(**response, method);
      if (!Forward(server_, client_.fd(), **response, on_response, method)) return false;
      if (framing.kind == HttpBody::kTunnel) {
        Tunnel();
        return false;
      }
      if (framing.kind == HttpBody::kUntilEnd) return false;
      if (!informational) return true;
    }
  }

  Proxy& proxy_;
  Stream client_;
  Stream server_;
};

// The real server, at the address the client asked for; our source port is made known first, so
// that the connection is not steered back to us.
int ConnectServer(const Proxy& proxy, const sockaddr_storage& address, socklen_t length,
                  uint64_t& source) {
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const timeval patience{5, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);  // of connect, too
  sockaddr_storage any{};
  any.ss_family = address.ss_family;
  socklen_t size = length;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&any), length) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size) == 0) {
    source =
        proxy.network << 16 |
        ntohs(any.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&any)->sin6_port
                                        : reinterpret_cast<const sockaddr_in*>(&any)->sin_port);
    if (bpf_map_update_elem(proxy.own_ports, &source, &proxy.stage, BPF_ANY) == 0 &&
        connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0)
      return fd;
  }
  close(fd);
  return -1;
}

void Serve(Proxy& proxy, int client) {
  sockaddr_storage asked{};
  socklen_t length = sizeof asked;
  uint64_t source = 0;
  const int on = 1;
  (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int server = -1;
  if (getsockname(client, reinterpret_cast<sockaddr*>(&asked), &length) == 0)
    server = ConnectServer(proxy, asked, length, source);
  if (server >= 0) {
    (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection(proxy, client, server).Run();
    close(server);
  } else {
    Cut(client);  // as nobody listening would
  }
  close(client);
  if (source != 0) (void)bpf_map_delete_elem(proxy.own_ports, &source);
}

Result<int> Listen() {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return FailErrno(errno, "socket of the proxy");
  const int off = 0;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 1024) != 0) {
    const int error = errno;
    close(fd);
    return FailErrno(error, "listener of the proxy");
  }
  return fd;
}

// The table that the proxies of earlier faults use already; -1: there is none.
int FindOwnPorts() {
  uint32_t id = 0;
  while (bpf_map_get_next_id(id, &id) == 0) {
    const int fd = bpf_map_get_fd_by_id(id);
    bpf_map_info about{};
    uint32_t length = sizeof about;
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &about, &length) == 0 &&
        std::string_view(about.name) == "flt_own_ports" && about.key_size == 8)
      return fd;
    if (fd >= 0) close(fd);
  }
  return -1;
}

int Silent(libbpf_print_level, const char*, va_list) { return 0; }

Result<void> RunProxy(const ServiceCall& call, HttpRules rules) {
  libbpf_set_print(Silent);
  FAULTLINE_ASSIGN(const int listener, Listen());
  port_steer_bpf* skeleton = port_steer_bpf__open();
  if (skeleton == nullptr) return FailErrno(errno, "open the port steering program");
  const auto network = static_cast<uint32_t>(ParseUint(call.plan.State("netns")).value_or(0));
  const auto stage = static_cast<uint32_t>(ParseUint(call.plan.State("stage")).value_or(1));
  const auto set = [](const volatile uint32_t& constant, uint32_t value) {
    const_cast<volatile uint32_t&>(constant) = value;  // before the load it is ours to write
  };
  set(skeleton->rodata->steered_port, rules.port);
  set(skeleton->rodata->stage, stage);
  set(skeleton->rodata->network, network);
  if (const int shared = FindOwnPorts(); shared >= 0)
    (void)bpf_map__reuse_fd(skeleton->maps.flt_own_ports, shared);
  if (const int refused = port_steer_bpf__load(skeleton); refused != 0)
    return Fail(ErrorCode::kUnsupported, "unsupported: the kernel does not steer ports: {}",
                std::strerror(-refused));
  const uint32_t first = 0;
  const auto socket_number = static_cast<uint64_t>(listener);
  if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.listener), &first, &socket_number, BPF_ANY) !=
      0)
    return FailErrno(errno, "hand the listener to the kernel");
  const int space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  bpf_link* link = bpf_program__attach_netns(skeleton->progs.steer, space);
  if (link == nullptr) return FailErrno(errno, "unsupported: steer port {}", rules.port);
  Proxy proxy{std::move(rules), bpf_map__fd(skeleton->maps.flt_own_ports), network, stage,
              call.counts};
  signal(SIGCHLD, SIG_IGN);
  const pid_t self = getpid();
  call.ready();
  pollfd events[2] = {{listener, POLLIN, 0}, {call.stop_fd, POLLIN, 0}};
  while (poll(events, 2, -1) >= 0 && events[1].revents == 0) {
    const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const bool room = call.counts->active.fetch_add(1) < kMaxConnections;
    const pid_t child = room ? fork() : -1;
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == self) Serve(proxy, client);
      call.counts->active.fetch_sub(1);
      _exit(0);
    }
    if (child < 0) {
      call.counts->active.fetch_sub(1);
      call.counts->dropped.fetch_add(1);
      Cut(client);
    }
    close(client);
  }
  bpf_link__destroy(link);
  return {};
}

}  // namespace

Result<void> ServeHttpProxy(const ServiceCall& call) {
  FAULTLINE_ASSIGN(HttpRules rules, ReadHttpRules(call.plan.spec));
  return InNamespace(ParseUint(call.plan.State("netns")).value_or(0), call.host,
                     [&] { return RunProxy(call, std::move(rules)); });
}

}  // namespace faultline
