// A port that is taken, a device that is down, a flood of packets to a host of one's own.
#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "agent/faults/fault_service.h"
#include "agent/faults/network_asked.h"
#include "agent/faults/network_namespace.h"
#include "agent/faults/network_target.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kDatagramBytes = 1200;
constexpr double kMaxFloodBytesPerS = 1.25e9;

std::string Whom(const FaultSpec& spec, const NetNamespace& network) {
  if (!spec.target.cgroup().empty()) return "cgroup " + spec.target.cgroup();
  if (network.pids.empty()) return "the node";
  return fmt::format("pid {}", network.pid);
}

Result<void> InPlanned(const FaultPlan& plan, const FaultHost& host,
                       const std::function<Result<void>()>& work) {
  return InNamespace(ParseUint(plan.State("netns")).value_or(0), host, work);
}

// Nobody of the target's network can listen there while it is ours. 0: we can, so it is free.
int ErrorOfBinding(uint16_t port, int* held) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int off = 0;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  int error = 0;
  if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 16) != 0)
    error = errno;
  if (error == 0 && held != nullptr) {
    *held = fd;
  } else if (fd >= 0) {
    close(fd);
  }
  return error;
}

class ServedFault : public Fault {
 public:
  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    return StartFaultService(plan, host);
  }
  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return EndFaultServices(*host.host, plan.spec.uid);
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    for (const LiveProcess& service : FindFaultServices(*host.host, plan.spec.uid))
      residue.push_back(fmt::format("service pid {}", service.pid));
    return residue;
  }
};

class OccupiedPort final : public ServedFault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const NetNamespace network, TargetNamespace(spec.target, host));
    const auto port = static_cast<uint16_t>(spec.Integer("port"));
    if (std::find(host.protected_ports.begin(), host.protected_ports.end(), port) !=
        host.protected_ports.end())
      return Fail(ErrorCode::kPermissionDenied, "parameters.port: {} is protected", port);
    FaultPlan plan;
    plan.spec = spec;
    plan.state["netns"] = std::to_string(network.inode);
    FAULTLINE_TRY(InNetworkNamespace(network.file, [&]() -> Result<void> {
      if (const int error = ErrorOfBinding(port, nullptr); error != 0)
        return Fail(ErrorCode::kConflict, "parameters.port: {} is taken already: {}", port,
                    std::strerror(error));
      return {};
    }));
    plan.victims.push_back(fmt::format("{}: TCP port {} (network namespace {})",
                                       Whom(spec, network), port, network.inode));
    return plan;
  }
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    int error = 0;
    FAULTLINE_TRY(InPlanned(plan, host, [&]() -> Result<void> {
      error = ErrorOfBinding(static_cast<uint16_t>(plan.spec.Integer("port")), nullptr);
      return {};
    }));
    v1::Effect effect;
    AddMeasurement(effect, plan, "bind_refused", error == EADDRINUSE ? 1 : 0, 1);
    effect.set_verdict(error == EADDRINUSE ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(error == 0 ? "the port can be bound" : std::strerror(error));
    return effect;
  }
};

// Devices that carry the node's own way out are left alone.
class DeviceDown final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const NetNamespace network, TargetNamespace(spec.target, host));
    FaultPlan plan;
    plan.spec = spec;
    plan.state["netns"] = std::to_string(network.inode);
    const std::string name = spec.Text("device");
    FAULTLINE_TRY(InNetworkNamespace(network.file, [&]() -> Result<void> {
      const auto all = ListDevices();
      const auto device = std::find_if(all.begin(), all.end(),
                                       [&](const NetDevice& one) { return one.name == name; });
      if (device == all.end())
        return Fail(ErrorCode::kInvalidArgument,
                    "parameters.device: '{}' is not in the network namespace of the target", name);
      if (network.is_node && (device->is_loopback || name == DefaultRouteDevice()))
        return Fail(ErrorCode::kPermissionDenied, "parameters.device: {} is the node's own way out",
                    name);
      if (network.is_node && !network.pids.empty())
        return Fail(ErrorCode::kUnsupported,
                    "unsupported: the target shares the node's network; name the node itself");
      if (!device->is_up)
        return Fail(ErrorCode::kConflict, "parameters.device: {} is down already", name);
      plan.state["index"] = std::to_string(device->index);
      const std::string routes = FsRoot("/").Read("/proc/thread-self/net/route").value_or("");
      RememberRoutes(plan, routes, name);
      return {};
    }));
    plan.victims.push_back(fmt::format("{}: device {} (network namespace {})", Whom(spec, network),
                                       name, network.inode));
    plan.claims[fmt::format("link:{}:{}", network.file, name)];
    return plan;
  }
  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    return InPlanned(plan, host, [&] { return SetDeviceUp(plan.spec.Text("device"), false); });
  }
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    bool up = false;
    std::string state;
    FAULTLINE_TRY(InPlanned(plan, host, [&]() -> Result<void> {
      const std::string name = plan.spec.Text("device");
      for (const NetDevice& device : ListDevices())
        up = up || (device.name == name && device.is_up);
      return {};
    }));
    v1::Effect effect;
    AddMeasurement(effect, plan, "up", up ? 1 : 0, 0);
    effect.set_verdict(up ? v1::VERDICT_FALSE : v1::VERDICT_TRUE);
    effect.set_reason(fmt::format("{} is {}", plan.spec.Text("device"), up ? "up" : "down"));
    return effect;
  }
  // Up again, and the routes that went with it (IPv4; the kernel makes its own again).
  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    const auto done = InPlanned(plan, host, [&]() -> Result<void> {
      const std::string name = plan.spec.Text("device");
      if (if_nametoindex(name.c_str()) != ParseUint(plan.State("index")).value_or(0)) return {};
      FAULTLINE_TRY(SetDeviceUp(name, true));
      return RestoreRoutes(plan);
    });
    if (!done && done.error().code != ErrorCode::kNotFound) return done;
    return {};
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    const auto effect = Verify(plan, host);
    if (!effect || effect->verdict() != v1::VERDICT_TRUE) return {};
    return {effect->reason()};
  }

 private:
  // Routes through a gateway are lost when a device goes down: "destination gateway mask metric".
  static void RememberRoutes(FaultPlan& plan, std::string_view table, const std::string& name) {
    std::string_view line;
    while (NextLine(table, line)) {
      if (NextWord(line) != name) continue;
      const std::string_view destination = NextWord(line);
      const std::string_view gateway = NextWord(line);
      NextWord(line);  // flags
      NextWord(line);  // references
      NextWord(line);  // use
      const std::string_view metric = NextWord(line);
      const std::string_view mask = NextWord(line);
      if (gateway != "00000000")
        plan.state["routes"] += fmt::format("{} {} {} {}\n", destination, gateway, mask, metric);
    }
  }
  static Result<void> RestoreRoutes(const FaultPlan& plan);
};

Result<void> DeviceDown::RestoreRoutes(const FaultPlan& plan) {
  const std::string routes = plan.State("routes");
  std::string_view rest = routes;
  std::string_view line;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return FailErrno(errno, "socket for routes");
  Result<void> done;
  std::string device = plan.spec.Text("device");
  while (NextLine(rest, line)) {
    rtentry route{};
    const auto fill = [](sockaddr& place, std::string_view hex) {
      auto& address = reinterpret_cast<sockaddr_in&>(place);
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = static_cast<in_addr_t>(ParseUint(hex, 16).value_or(0));
    };
    fill(route.rt_dst, NextWord(line));
    fill(route.rt_gateway, NextWord(line));
    fill(route.rt_genmask, NextWord(line));
    route.rt_metric = static_cast<short>(ParseUint(NextWord(line)).value_or(0) + 1);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    route.rt_dev = device.data();
    if (ioctl(fd, SIOCADDRT, &route) != 0 && errno != EEXIST)
      done = FailErrno(errno, "restore a route of {}", device);
  }
  close(fd);
  return done;
}

// Only to where one's own hosts are: private, shared, link-local and loopback addresses.
bool IsOwnHost(const RemoteAddress& remote) {
  const auto& a = remote.address;
  const bool v4 = a[10] == 0xff && a[11] == 0xff && a[0] == 0;
  if (v4) {
    return a[12] == 10 || a[12] == 127 || (a[12] == 172 && (a[13] & 0xf0) == 16) ||
           (a[12] == 192 && a[13] == 168) || (a[12] == 169 && a[13] == 254) ||
           (a[12] == 100 && (a[13] & 0xc0) == 64);
  }
  return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) ||
         (std::all_of(a.begin(), a.begin() + 15, [](uint8_t b) { return b == 0; }) && a[15] == 1);
}

double SentBytes() {
  const std::string text = FsRoot("/").Read("/proc/thread-self/net/dev").value_or("");
  double sum = 0;
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    line.remove_prefix(colon + 1);
    for (int column = 0; column < 8; ++column) NextWord(line);
    sum += ParseDouble(NextWord(line)).value_or(0);
  }
  return sum;
}

class Flood final : public ServedFault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    const auto remote = ParseRemote(spec.Text("ip"));
    if (!remote || remote->prefix_bits != 128)
      return Fail(ErrorCode::kInvalidArgument, "parameters.ip: '{}' is no address",
                  spec.Text("ip"));
    if (!IsOwnHost(*remote))
      return Fail(ErrorCode::kPermissionDenied,
                  "parameters.ip: {} is no private address; floods go to own hosts only",
                  spec.Text("ip"));
    FAULTLINE_ASSIGN(const NetNamespace network, TargetNamespace(spec.target, host));
    FaultPlan plan;
    plan.spec = spec;
    plan.state["netns"] = std::to_string(network.inode);
    plan.victims.push_back(fmt::format("{}: {} bytes/s to {} port {} (UDP)", Whom(spec, network),
                                       spec.RateBytesPerS("rate"), spec.Text("ip"),
                                       spec.Integer("port")));
    return plan;
  }
  // By the devices' own counters of what was sent.
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    double rate = 0;
    FAULTLINE_TRY(InPlanned(plan, host, [&]() -> Result<void> {
      const double first = SentBytes();
      std::this_thread::sleep_for(std::chrono::milliseconds(1000));
      rate = SentBytes() - first;
      return {};
    }));
    const auto before = plan.before.find("sent_bytes_per_s");
    const double more = rate - (before == plan.before.end() ? 0 : before->second);
    const double asked = plan.spec.RateBytesPerS("rate");
    v1::Effect effect;
    AddMeasurement(effect, plan, "sent_bytes_per_s", rate, asked);
    effect.set_verdict(more >= 0.85 * asked  ? v1::VERDICT_TRUE
                       : more >= 0.1 * asked ? v1::VERDICT_INCONCLUSIVE
                                             : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("{:.0f} bytes/s more are sent, {:.0f} asked", more, asked));
    return effect;
  }
};

constexpr ParameterRow kPortRows[] = {
    {.name = "port",
     .kind = ParameterKind::kInteger,
     .doc = "TCP port",
     .required = true,
     .min = 1,
     .max = 65535},
};
constexpr ParameterRow kDownRows[] = {{.name = "device", .doc = "a device", .required = true}};
constexpr ParameterRow kFloodRows[] = {
    {.name = "ip", .doc = "a private address", .required = true},
    {.name = "port",
     .kind = ParameterKind::kInteger,
     .doc = "UDP port",
     .required = true,
     .min = 1,
     .max = 65535},
    {.name = "rate",
     .kind = ParameterKind::kRate,
     .doc = "of all together",
     .required = true,
     .min = 1000,
     .max = kMaxFloodBytesPerS},
    {.name = "parallel",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "flows",
     .min = 1,
     .max = 64},
};

}  // namespace

Result<void> ServeOccupiedPort(const ServiceCall& call) {
  return InPlanned(call.plan, call.host, [&]() -> Result<void> {
    int held = -1;
    const auto port = static_cast<uint16_t>(call.plan.spec.Integer("port"));
    if (const int error = ErrorOfBinding(port, &held); error != 0)
      return FailErrno(error, "take port {}", port);
    call.ready();
    pollfd stop{call.stop_fd, POLLIN, 0};
    while (poll(&stop, 1, -1) < 0) {
    }
    close(held);
    return {};
  });
}

Result<void> ServeFlood(const ServiceCall& call) {
  FAULTLINE_ASSIGN(const RemoteAddress remote, ParseRemote(call.plan.spec.Text("ip")));
  return InPlanned(call.plan, call.host, [&]() -> Result<void> {
    const bool v4 = remote.address[10] == 0xff && remote.address[0] == 0;
    std::vector<int> flows;
    for (int64_t i = 0; i < call.plan.spec.Integer("parallel"); ++i) {
      const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      sockaddr_in a4{};
      a4.sin_family = AF_INET;
      a4.sin_port = htons(static_cast<uint16_t>(call.plan.spec.Integer("port")));
      std::copy_n(remote.address.begin() + 12, 4, reinterpret_cast<uint8_t*>(&a4.sin_addr));
      sockaddr_in6 a6{};
      a6.sin6_family = AF_INET6;
      a6.sin6_port = a4.sin_port;
      std::copy(remote.address.begin(), remote.address.end(), a6.sin6_addr.s6_addr);
      const auto* address =
          v4 ? reinterpret_cast<const sockaddr*>(&a4) : reinterpret_cast<const sockaddr*>(&a6);
      if (fd < 0 || connect(fd, address, v4 ? sizeof a4 : sizeof a6) != 0)
        return FailErrno(errno, "reach {}", call.plan.spec.Text("ip"));
      flows.push_back(fd);
    }
    call.ready();
    const double rate = call.plan.spec.RateBytesPerS("rate");
    const std::string datagram(kDatagramBytes, 'f');
    const auto begin = std::chrono::steady_clock::now();
    double sent = 0;
    pollfd stop{call.stop_fd, POLLIN, 0};
    for (size_t flow = 0; poll(&stop, 1, 1) == 0;) {
      const double due =
          rate * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (due - sent > rate) sent = due - rate;  // what could not be sent is not made up for
      while (sent < due) {
        (void)send(flows[flow++ % flows.size()], datagram.data(), datagram.size(), 0);
        sent += static_cast<double>(kDatagramBytes + 42);
      }
    }
    return {};
  });
}

extern const FaultRow kNetworkPortOccupied = {
    .name = "network_port_occupied",
    .doc = "A TCP port is taken.",
    .parameters = kPortRows,
    .make = [] { return std::unique_ptr<Fault>(new OccupiedPort); },
    .example = "port=4711",
};
extern const FaultRow kNetworkDown = {
    .name = "network_down",
    .doc = "A network device is down.",
    .parameters = kDownRows,
    .make = [] { return std::unique_ptr<Fault>(new DeviceDown); },
    .example = "device={device}",
};
extern const FaultRow kNetworkFlood = {
    .name = "network_flood",
    .doc = "UDP packets without a rest, to a host of one's own.",
    .parameters = kFloodRows,
    .make = [] { return std::unique_ptr<Fault>(new Flood); },
    .example = "ip={peer} port=9 rate=8mbit",
};

}  // namespace faultline
