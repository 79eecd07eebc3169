#include "agent/faults/network_detour.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <queue>

#include "agent/faults/dns_tcp.h"
#include "agent/faults/fault_tag.h"
#include "agent/faults/network_target.h"
#include "common/text.h"

namespace faultline {
namespace {

// struct virtio_net_hdr, whose header C++ cannot read: what the kernel has yet to do to the packet.
constexpr size_t kOffloadHeaderBytes = 10;
constexpr size_t kMaxFrameBytes = 65536 + 64 + kOffloadHeaderBytes;
constexpr size_t kMaxHeldBytes = size_t{192} << 20;
constexpr size_t kKeepWholeFrom = 16384;  // smaller frames are copied out of the read buffer
constexpr int64_t kFedAheadNs = 250'000'000;
constexpr int64_t kMaxSleepNs = 50'000'000;
constexpr int kBatch = 64;
constexpr size_t kDevicesMax = 16;
constexpr double kOffloadAboveBytesPerS = 50e6;
constexpr double kRateLimitSeconds = 0.2;  // what may wait for a rate unless said otherwise

int64_t NowNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

struct Tap {
  int fd = -1;
  std::string name;
  unsigned ifindex = 0;
  std::shared_ptr<uint64_t> alive_until_ns;
  DetourSchedule schedule;
};

struct Held {
  int64_t release_ns;
  uint64_t sequence;
  size_t tap;
  std::vector<char> frame;
};
struct Later {
  bool operator()(const Held& a, const Held& b) const {
    return a.release_ns != b.release_ns ? a.release_ns > b.release_ns : a.sequence > b.sequence;
  }
};

Result<void> Control(int fd, unsigned long request, void* argument, std::string_view what) {
  if (ioctl(fd, request, argument) != 0) return FailErrno(errno, "{} of the detour", what);
  return {};
}

// An address of its own would make the device speak; it must only carry.
void Silence(const std::string& name) {
  std::ofstream("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6") << "1";
}

Result<void> OpenTap(Tap& tap, bool offload) {
  tap.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap.fd < 0) return FailErrno(errno, "unsupported: no TUN devices on this node");
  ifreq request{};
  tap.name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  FAULTLINE_TRY(Control(tap.fd, TUNSETIFF, &request, "make the device"));
  const unsigned long features = offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN : 0;
  if (ioctl(tap.fd, TUNSETOFFLOAD, features) != 0) return FailErrno(errno, "offload of the detour");
  int buffer_bytes = 1 << 30;
  FAULTLINE_TRY(Control(tap.fd, TUNSETSNDBUF, &buffer_bytes, "buffer"));
  Silence(tap.name);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return FailErrno(errno, "socket for the detour");
  const auto set = [&]() -> Result<void> {
    request.ifr_qlen = 8192;
    FAULTLINE_TRY(Control(fd, SIOCSIFTXQLEN, &request, "queue"));
    request.ifr_mtu = 65521;
    if (ioctl(fd, SIOCSIFMTU, &request) != 0) {
      request.ifr_mtu = 65520;
      (void)ioctl(fd, SIOCSIFMTU, &request);
    }
    request.ifr_flags = IFF_UP | IFF_NOARP;
    return Control(fd, SIOCSIFFLAGS, &request, "bring up the device");
  };
  const Result<void> done = set();
  close(fd);
  tap.ifindex = if_nametoindex(tap.name.c_str());
  return done;
}

class Detour {
 public:
  Detour(const ServiceCall& call, NetworkAsked asked)
      : call_(call), asked_(std::move(asked)), rules_(DnsRulesOf(call.plan.spec)) {}

  Result<void> Open() {
    const std::string prefix = FaultTag(call_.host.journal_folder, call_.plan.spec.uid);
    const auto handle = static_cast<uint32_t>(ParseUint(call_.plan.State("handle")).value_or(0));
    const bool offload =
        asked_.rate_bytes_per_s == 0 || asked_.rate_bytes_per_s > kOffloadAboveBytesPerS;
    for (const NetDevice& device : PlannedDevices(call_.plan)) {
      for (const bool egress : {true, false}) {
        if (!(egress ? asked_.to : asked_.from)) continue;
        if (taps_.size() == kDevicesMax)
          return Fail(ErrorCode::kResourceExhausted, "more than {} devices", kDevicesMax);
        Tap tap{-1, fmt::format("{:.13}{:x}", prefix, taps_.size()), 0, nullptr,
                DetourSchedule(asked_, handle + taps_.size())};
        FAULTLINE_TRY(OpenTap(tap, offload));
        TrafficFilter filter = PlannedFilter(call_.plan, asked_, device);
        filter.config.detour_ifindex = tap.ifindex;
        FAULTLINE_ASSIGN(tap.alive_until_ns,
                         AttachFilter(device.index, egress, handle, std::move(filter)));
        taps_.push_back(std::move(tap));
      }
    }
    return {};
  }

  void Run() {
    buffer_.resize(kMaxFrameBytes);
    std::vector<pollfd> events;
    for (const Tap& tap : taps_) events.push_back({tap.fd, POLLIN, 0});
    events.push_back({call_.stop_fd, POLLIN, 0});
    KeepFed();
    call_.ready();
    while (events.back().revents == 0) {
      KeepFed();
      int64_t sleep_ns = kMaxSleepNs;
      if (!held_.empty())
        sleep_ns = std::clamp<int64_t>(held_.top().release_ns - NowNs(), 0, kMaxSleepNs);
      const timespec timeout{0, sleep_ns};
      if (ppoll(events.data(), events.size(), &timeout, nullptr) < 0 && errno != EINTR) return;
      for (size_t i = 0; i < taps_.size(); ++i) {
        if (events[i].revents != 0) Take(i);
      }
      Release(NowNs());
    }
    for (const Tap& tap : taps_) *tap.alive_until_ns = 0;
    for (size_t i = 0; i < taps_.size(); ++i) Take(i);
    Release(INT64_MAX);  // what waits goes on at once rather than being lost
  }

 private:
  void KeepFed() {
    for (const Tap& tap : taps_) *tap.alive_until_ns = static_cast<uint64_t>(NowNs() + kFedAheadNs);
  }

  void Take(size_t at) {
    Tap& tap = taps_[at];
    for (int i = 0; i < kBatch; ++i) {
      const ssize_t n = read(tap.fd, buffer_.data(), buffer_.size());
      if (n <= static_cast<ssize_t>(kOffloadHeaderBytes)) return;
      const size_t bytes = static_cast<size_t>(n);
      if (asked_.answers_dns && Answer(tap, bytes)) continue;
      const auto release = tap.schedule.Release(NowNs(), bytes - kOffloadHeaderBytes);
      if (!release || held_bytes_ + bytes > kMaxHeldBytes) {
        ++dropped_;
        continue;
      }
      Held held{*release, sequence_++, at, {}};
      if (bytes >= kKeepWholeFrom) {
        buffer_.resize(bytes);
        held.frame = std::move(buffer_);
        buffer_ = Fresh();
      } else {
        held.frame.assign(buffer_.begin(), buffer_.begin() + n);
      }
      held_bytes_ += bytes;
      held_.push(std::move(held));
    }
  }

  // The question goes no further; what we write is addressed to the device itself, so that the
  // classifier's way back lets the device receive it.
  bool Answer(const Tap& tap, size_t bytes) {
    const std::string_view frame(buffer_.data() + kOffloadHeaderBytes, bytes - kOffloadHeaderBytes);
    if (const auto answer = AnswerDns(frame, rules_, random_)) {
      Write(tap, *answer);
      return true;
    }
    const auto taken = dns_tcp_.Take(frame, rules_, random_);
    if (!taken) return false;
    for (const std::string& one : taken->back) Write(tap, one);
    for (const std::string& one : taken->on) Write(tap, one);
    return true;
  }
  void Write(const Tap& tap, const std::string& frame) {
    const std::string whole = std::string(kOffloadHeaderBytes, '\0') + frame;
    if (write(tap.fd, whole.data(), whole.size()) < 0) ++dropped_;
  }

  std::vector<char> Fresh() {
    if (spare_.empty()) return std::vector<char>(kMaxFrameBytes);
    std::vector<char> buffer = std::move(spare_.back());
    spare_.pop_back();
    buffer.resize(kMaxFrameBytes);
    return buffer;
  }

  void Release(int64_t now_ns) {
    while (!held_.empty() && held_.top().release_ns <= now_ns) {
      Held& held = const_cast<Held&>(held_.top());  // it is taken off right away
      if (write(taps_[held.tap].fd, held.frame.data(), held.frame.size()) < 0) ++dropped_;
      held_bytes_ -= held.frame.size();
      if (held.frame.capacity() >= kMaxFrameBytes && spare_.size() < 256)
        spare_.push_back(std::move(held.frame));
      held_.pop();
    }
  }

  const ServiceCall& call_;
  const NetworkAsked asked_;
  const DnsRules rules_;
  DnsTcp dns_tcp_;
  std::minstd_rand random_{std::random_device()()};
  std::vector<Tap> taps_;
  std::priority_queue<Held, std::vector<Held>, Later> held_;
  std::vector<char> buffer_;
  std::vector<std::vector<char>> spare_;
  size_t held_bytes_ = 0;
  uint64_t sequence_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace

DetourSchedule::DetourSchedule(const NetworkAsked& asked, uint64_t seed)
    : asked_(asked), random_(static_cast<uint32_t>(seed)) {}

bool DetourSchedule::Decide(const Chance& chance, bool& last) {
  std::uniform_real_distribution<double> percent(0, 100);
  if (chance.correlation_percent > 0 && percent(random_) < chance.correlation_percent) return last;
  return last = percent(random_) < chance.percent;
}

int64_t DetourSchedule::DelayNs() {
  if (asked_.jitter_ns == 0) return asked_.latency_ns;
  std::uniform_real_distribution<double> share(-1, 1);
  std::uniform_real_distribution<double> percent(0, 100);
  if (percent(random_) >= asked_.delay_correlation_percent) last_jitter_ = share(random_);
  const double jitter = last_jitter_ * static_cast<double>(asked_.jitter_ns);
  return std::max<int64_t>(asked_.latency_ns + std::llround(jitter), 0);
}

std::optional<int64_t> DetourSchedule::Release(int64_t now_ns, size_t bytes) {
  int64_t at_ns = now_ns;
  ++in_order_;
  // As netem: of every `gap` packets one may go ahead of those that wait, with that chance.
  const bool ahead = asked_.reorder.percent > 0 &&
                     in_order_ >= std::max<int64_t>(asked_.reorder_gap, 1) &&
                     Decide(asked_.reorder, last_reorder_);
  if (ahead) {
    in_order_ = 0;
  } else {
    at_ns += DelayNs();
  }
  if (asked_.rate_bytes_per_s <= 0) return at_ns;
  const auto ns = [&](double many) { return many * 1e9 / asked_.rate_bytes_per_s; };
  const double limit_ns = asked_.limit_bytes > 0 ? ns(asked_.limit_bytes) : kRateLimitSeconds * 1e9;
  // A bucket of `buffer` bytes, kept as the time at which it would be full again.
  const auto idle_ns = at_ns - static_cast<int64_t>(ns(asked_.buffer_bytes));
  const int64_t from_ns = std::max(busy_until_ns_, idle_ns);
  const int64_t until_ns = from_ns + static_cast<int64_t>(ns(static_cast<double>(bytes)));
  if (static_cast<double>(until_ns - at_ns) > limit_ns + ns(static_cast<double>(bytes)))
    return std::nullopt;
  busy_until_ns_ = until_ns;
  int64_t release_ns = std::max(at_ns, until_ns);
  if (asked_.peak_bytes_per_s > 0) {  // a second bucket behind the first
    const double size = static_cast<double>(bytes);
    const auto peak_ns = [&](double many) {
      return static_cast<int64_t>(many * 1e9 / asked_.peak_bytes_per_s);
    };
    const int64_t full_ns = release_ns - peak_ns(std::max(asked_.min_burst_bytes, size));
    peak_until_ns_ = std::max(peak_until_ns_, full_ns) + peak_ns(size);
    release_ns = std::max(release_ns, peak_until_ns_);
  }
  return release_ns;
}

Result<void> ServeDetour(const ServiceCall& call) {
  FAULTLINE_ASSIGN(NetworkAsked asked, PlannedAsked(call.plan));
  prctl(PR_SET_TIMERSLACK, 1000UL);
  (void)setpriority(PRIO_PROCESS, 0, -20);
  const auto inode = ParseUint(call.plan.State("netns"));
  return InNamespace(inode.value_or(0), call.host, [&]() -> Result<void> {
    Detour detour(call, std::move(asked));
    FAULTLINE_TRY(detour.Open());
    detour.Run();
    return {};
  });
}

}  // namespace faultline
