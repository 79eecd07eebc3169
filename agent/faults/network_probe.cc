#include "agent/faults/network_probe.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "agent/faults/network_asked.h"
#include "common/host_view.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxPayload = 8000;

int64_t NowNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

bool IsV4(const RemoteAddress& remote) {
  return std::all_of(remote.address.begin(), remote.address.begin() + 10,
                     [](uint8_t byte) { return byte == 0; }) &&
         remote.address[10] == 0xff && remote.address[11] == 0xff;
}

socklen_t SocketAddress(const RemoteAddress& remote, uint16_t port, sockaddr_storage& storage) {
  storage = {};
  if (IsV4(remote)) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    std::memcpy(&v4->sin_addr, remote.address.data() + 12, 4);
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  std::memcpy(&v6->sin6_addr, remote.address.data(), 16);
  return sizeof *v6;
}

uint16_t Checksum(const std::vector<uint8_t>& packet) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < packet.size(); i += 2)
    sum += static_cast<uint32_t>(packet[i]) << 8 | packet[i + 1];
  if (packet.size() % 2 == 1) sum += static_cast<uint32_t>(packet.back()) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// One answer's time per probe, and the counts.
class Book {
 public:
  explicit Book(double skip_bytes) : skip_bytes_(skip_bytes) {}
  void Sent() { sent_ns_.push_back(NowNs()), rtt_ms_.push_back(-1); }
  void Answered(size_t sequence, size_t bytes) {
    const int64_t now = NowNs();
    if (sequence >= sent_ns_.size()) return;
    if (rtt_ms_[sequence] >= 0) {
      ++result_.duplicates;
      return;
    }
    rtt_ms_[sequence] = static_cast<double>(now - sent_ns_[sequence]) / 1e6;
    if (sequence < newest_) ++result_.reordered;
    newest_ = std::max(newest_, sequence);
    seen_bytes_ += static_cast<double>(bytes);
    if (seen_bytes_ < skip_bytes_) return;
    if (first_ns_ == 0) {
      first_ns_ = now;
    } else {
      counted_bytes_ += static_cast<double>(bytes);
      last_ns_ = now;
    }
  }
  bool Complete() const {
    return std::all_of(rtt_ms_.begin(), rtt_ms_.end(), [](double ms) { return ms >= 0; });
  }
  size_t sent() const { return sent_ns_.size(); }
  ProbeResult Finish() {
    std::vector<double> answered;
    for (const double ms : rtt_ms_) {
      if (ms >= 0) answered.push_back(ms);
    }
    std::sort(answered.begin(), answered.end());
    result_.sent = static_cast<int>(sent_ns_.size());
    result_.answered = static_cast<int>(answered.size());
    if (!answered.empty()) {
      result_.median_ms = answered[answered.size() / 2];
      for (const double ms : answered) result_.mean_ms += ms / static_cast<double>(answered.size());
    }
    if (last_ns_ > first_ns_)
      result_.bytes_per_s = counted_bytes_ * 1e9 / static_cast<double>(last_ns_ - first_ns_);
    return result_;
  }

 private:
  const double skip_bytes_;
  ProbeResult result_;
  std::vector<int64_t> sent_ns_;
  std::vector<double> rtt_ms_;
  size_t newest_ = 0;
  double seen_bytes_ = 0;
  double counted_bytes_ = 0;
  int64_t first_ns_ = 0;
  int64_t last_ns_ = 0;
};

class Echo {
 public:
  ~Echo() {
    if (fd_ >= 0) close(fd_);
  }
  Result<void> Open(const ProbeAsked& asked) {
    v4_ = IsV4(asked.peer);
    length_ = SocketAddress(asked.peer, 0, address_);
    fd_ = socket(v4_ ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                 v4_ ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6));
    if (fd_ < 0) return FailErrno(errno, "socket for echo requests");
    int bytes = 8 << 20;
    (void)setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    (void)setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    id_ = static_cast<uint16_t>(std::random_device()());
    packet_.assign(8 + std::clamp<size_t>(asked.payload_bytes, 8, kMaxPayload), 0x5a);
    return {};
  }
  int fd() const { return fd_; }
  void Send(size_t sequence) {
    packet_[0] = v4_ ? static_cast<uint8_t>(ICMP_ECHO) : static_cast<uint8_t>(ICMP6_ECHO_REQUEST);
    packet_[1] = packet_[2] = packet_[3] = 0;
    packet_[4] = static_cast<uint8_t>(id_ >> 8);
    packet_[5] = static_cast<uint8_t>(id_);
    packet_[6] = static_cast<uint8_t>(sequence >> 8);
    packet_[7] = static_cast<uint8_t>(sequence);
    if (v4_) {
      const uint16_t sum = Checksum(packet_);
      packet_[2] = static_cast<uint8_t>(sum >> 8);
      packet_[3] = static_cast<uint8_t>(sum);
    }
    (void)sendto(fd_, packet_.data(), packet_.size(), 0,
                 reinterpret_cast<const sockaddr*>(&address_), length_);
  }
  void Receive(Book& book) {
    uint8_t buffer[kMaxPayload + 128];
    ssize_t n = 0;
    while ((n = recv(fd_, buffer, sizeof buffer, 0)) > 0) {
      const size_t head = v4_ ? (buffer[0] & 15U) * 4 : 0;
      if (static_cast<size_t>(n) < head + 8) continue;
      const uint8_t* icmp = buffer + head;
      const bool reply = icmp[0] == (v4_ ? static_cast<uint8_t>(ICMP_ECHOREPLY)
                                         : static_cast<uint8_t>(ICMP6_ECHO_REPLY));
      if (!reply || (icmp[4] << 8 | icmp[5]) != id_) continue;
      const size_t wire = static_cast<size_t>(n) + 14 + (v4_ ? 0 : 40);
      book.Answered(static_cast<size_t>(icmp[6] << 8 | icmp[7]), wire);
    }
  }

 private:
  int fd_ = -1;
  bool v4_ = true;
  uint16_t id_ = 0;
  sockaddr_storage address_{};
  socklen_t length_ = 0;
  std::vector<uint8_t> packet_;
};

Result<ProbeResult> ProbeByEcho(const ProbeAsked& asked, double skip_bytes) {
  Echo echo;
  FAULTLINE_TRY(echo.Open(asked));
  Book book(skip_bytes);
  const int64_t begin = NowNs();
  const int64_t interval_ns = std::max<int64_t>(asked.interval_us, 1) * 1000;
  const int64_t end = begin + asked.count * interval_ns + asked.wait_ms * kNsPerMs;
  while (NowNs() < end && !(book.sent() == static_cast<size_t>(asked.count) && book.Complete() &&
                            NowNs() > end - asked.wait_ms * kNsPerMs / 2)) {
    int64_t next = end;
    while (book.sent() < static_cast<size_t>(asked.count)) {
      next = begin + static_cast<int64_t>(book.sent()) * interval_ns;
      if (next > NowNs()) break;
      book.Sent();
      echo.Send(book.sent() - 1);
      next = end;
    }
    pollfd event{echo.fd(), POLLIN, 0};
    const int64_t sleep_ns = std::clamp<int64_t>(next - NowNs(), 0, 20 * kNsPerMs);
    const timespec timeout{0, sleep_ns};
    (void)ppoll(&event, 1, &timeout, nullptr);
    echo.Receive(book);
  }
  return book.Finish();
}

// Each connection is one probe; it is reset at once, so that nothing lingers on either side.
Result<ProbeResult> ProbeByConnection(const ProbeAsked& asked) {
  sockaddr_storage address{};
  const socklen_t length = SocketAddress(asked.peer, asked.port, address);
  Book book(0);
  std::vector<pollfd> sockets;
  std::vector<size_t> sequence;
  const int64_t begin = NowNs();
  const int64_t interval_ns = asked.interval_us * 1000;
  const int64_t end = begin + asked.count * interval_ns + asked.wait_ms * kNsPerMs;
  while (NowNs() < end && !(book.sent() == static_cast<size_t>(asked.count) && sockets.empty())) {
    if (book.sent() < static_cast<size_t>(asked.count) &&
        NowNs() >= begin + static_cast<int64_t>(book.sent()) * interval_ns) {
      const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) return FailErrno(errno, "socket for a probe");
      const linger reset{1, 0};
      (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      book.Sent();
      (void)connect(fd, reinterpret_cast<const sockaddr*>(&address), length);
      sockets.push_back({fd, POLLOUT, 0});
      sequence.push_back(book.sent() - 1);
    }
    (void)poll(sockets.data(), sockets.size(), 1);
    for (size_t i = sockets.size(); i-- > 0;) {
      if (sockets[i].revents == 0) continue;
      int error = 0;
      socklen_t size = sizeof error;
      (void)getsockopt(sockets[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0 || error == ECONNREFUSED) book.Answered(sequence[i], 74);
      close(sockets[i].fd);
      sockets.erase(sockets.begin() + static_cast<std::ptrdiff_t>(i));
      sequence.erase(sequence.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  for (const pollfd& one : sockets) close(one.fd);
  return book.Finish();
}

std::vector<RemoteAddress> Neighbours() {
  std::vector<RemoteAddress> found;
  const std::string text = FsRoot("/").Read("/proc/thread-self/net/arp").value_or("");
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    const std::string_view address = NextWord(line);
    NextWord(line);
    const auto flags = NextWord(line);  // 0x2: the address is known
    const auto remote = ParseRemote(address);
    if (remote && flags == "0x2") found.push_back(*remote);
  }
  return found;
}

std::optional<RemoteAddress> Gateway() {
  const std::string text = FsRoot("/").Read("/proc/thread-self/net/route").value_or("");
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    NextWord(line);
    if (NextWord(line) != "00000000") continue;
    const auto gateway = ParseUint(NextWord(line), 16);
    if (!gateway || *gateway == 0) continue;
    in_addr address{static_cast<in_addr_t>(*gateway)};
    char name[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &address, name, sizeof name);
    if (const auto remote = ParseRemote(name)) return *remote;
  }
  return std::nullopt;
}

bool Covers(const RemoteAddress& prefix, const RemoteAddress& address) {
  for (unsigned bit = 0; bit < prefix.prefix_bits; ++bit) {
    const unsigned shift = 7 - bit % 8;
    if (((prefix.address[bit / 8] ^ address.address[bit / 8]) >> shift & 1) != 0) return false;
  }
  return true;
}

}  // namespace

Result<ProbeResult> Probe(const ProbeAsked& asked, double skip_bytes) {
  return asked.port == 0 ? ProbeByEcho(asked, skip_bytes) : ProbeByConnection(asked);
}

std::optional<DnsReply> AskResolver(const RemoteAddress& server, std::string_view name,
                                    unsigned type, int64_t timeout_ms) {
  sockaddr_storage address{};
  const socklen_t length = SocketAddress(server, 53, address);
  const int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const unsigned id = std::random_device()() & 0xffff;
  const std::string query = MakeDnsQuery(name, type, id);
  std::optional<DnsReply> reply;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
      send(fd, query.data(), query.size(), 0) > 0) {
    const int64_t end = NowNs() + timeout_ms * kNsPerMs;
    while (!reply && NowNs() < end) {
      pollfd event{fd, POLLIN, 0};
      (void)poll(&event, 1, static_cast<int>((end - NowNs()) / kNsPerMs + 1));
      char buffer[4096];
      const ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) reply = ReadDnsReply({buffer, static_cast<size_t>(n)}, id);
      if (n < 0 && errno != EAGAIN) break;
    }
  }
  close(fd);
  return reply;
}

std::optional<RemoteAddress> FindPeer(const std::vector<RemoteAddress>& wanted) {
  for (const RemoteAddress& remote : wanted) {
    if (remote.prefix_bits == 128) return remote;
  }
  const std::vector<RemoteAddress> neighbours = Neighbours();
  for (const RemoteAddress& prefix : wanted) {
    for (const RemoteAddress& neighbour : neighbours) {
      if (Covers(prefix, neighbour)) {
        RemoteAddress peer = neighbour;
        peer.port = prefix.port;
        return peer;
      }
    }
  }
  if (!wanted.empty()) return std::nullopt;
  if (const auto gateway = Gateway()) return gateway;
  if (!neighbours.empty()) return neighbours.front();
  return std::nullopt;
}

bool IsNeighbour(const RemoteAddress& remote) {
  const std::vector<RemoteAddress> neighbours = Neighbours();
  return std::any_of(neighbours.begin(), neighbours.end(),
                     [&](const RemoteAddress& one) { return one.address == remote.address; });
}

}  // namespace faultline
