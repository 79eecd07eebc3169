#include "agent/faults/network_asked.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <cmath>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

// The kernel ends it by itself so much after its time: the agent and its guardians go first.
constexpr int64_t kKernelGraceNs = 2 * kNsPerSecond;

constexpr size_t kMaxRemotes = NETWORK_FAULT_MAX_REMOTES;

RemoteAddress FromV4(const in_addr& address) {
  RemoteAddress remote;
  remote.address[10] = remote.address[11] = 0xff;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&address.s_addr);
  std::copy(bytes, bytes + 4, remote.address.begin() + 12);
  return remote;
}

RemoteAddress FromV6(const in6_addr& address) {
  RemoteAddress remote;
  std::copy(std::begin(address.s6_addr), std::end(address.s6_addr), remote.address.begin());
  return remote;
}

// name or name:port
Result<std::vector<RemoteAddress>> Resolve(std::string_view text) {
  uint16_t port = 0;
  std::string name(text);
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    const auto number = ParseUint(text.substr(colon + 1));
    if (!number || *number == 0 || *number > 65535)
      return Fail(ErrorCode::kInvalidArgument, "'{}' is no address, prefix or name", text);
    port = static_cast<uint16_t>(*number);
    name = text.substr(0, colon);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int refused = getaddrinfo(name.c_str(), nullptr, &hints, &found); refused != 0)
    return Fail(ErrorCode::kInvalidArgument, "'{}': {}", name, gai_strerror(refused));
  std::vector<RemoteAddress> remotes;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    RemoteAddress remote =
        one->ai_family == AF_INET
            ? FromV4(reinterpret_cast<const sockaddr_in*>(one->ai_addr)->sin_addr)
            : FromV6(reinterpret_cast<const sockaddr_in6*>(one->ai_addr)->sin6_addr);
    remote.port = port;
    remotes.push_back(remote);
  }
  freeaddrinfo(found);
  return remotes;
}

Result<void> AddRemotes(const FaultSpec& spec, const std::string& name, NetworkAsked& asked) {
  for (const std::string& text : spec.List(name)) {
    if (const auto remote = ParseRemote(text)) {
      asked.remotes.push_back(*remote);
    } else {
      const auto resolved = Resolve(text);
      if (!resolved) return Within(fmt::format("parameters.{}", name), resolved.error());
      asked.remotes.insert(asked.remotes.end(), resolved->begin(), resolved->end());
    }
  }
  if (asked.remotes.size() > kMaxRemotes)
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}: more than {} addresses", name,
                kMaxRemotes);
  return {};
}

Result<std::vector<network_fault_ports>> ReadPorts(const FaultSpec& spec, const std::string& name) {
  std::vector<network_fault_ports> ranges;
  for (const std::string& text : spec.List(name)) {
    const size_t colon = text.find(':');
    const auto first = ParseUint(text.substr(0, colon));
    const auto last = colon == std::string::npos ? first : ParseUint(text.substr(colon + 1));
    if (!first || !last || *first == 0 || *last > 65535 || *last < *first) {
      return Fail(ErrorCode::kInvalidArgument, "parameters.{}: '{}' is no port or range a:b", name,
                  text);
    }
    ranges.push_back({static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)});
  }
  if (ranges.size() > NETWORK_FAULT_PORT_RANGES)
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}: more than {} ranges", name,
                NETWORK_FAULT_PORT_RANGES);
  return ranges;
}

// iptables' way: "SYN,ACK SYN" = of these flags exactly those are set.
Result<unsigned> ReadFlags(std::string_view text) {
  static constexpr std::string_view kFlags[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  unsigned flags = 0;
  for (const std::string_view word : Split(text, ',')) {
    if (word == "NONE") continue;
    if (word == "ALL") {
      flags = 0x3f;
      continue;
    }
    const auto at = std::find(std::begin(kFlags), std::end(kFlags), word);
    if (at == std::end(kFlags))
      return Fail(ErrorCode::kInvalidArgument, "parameters.accept-tcp-flags: '{}' is no flag",
                  word);
    flags |= 1U << (at - std::begin(kFlags));
  }
  return flags;
}

Result<void> ReadWhose(const FaultSpec& spec, NetworkAsked& asked) {
  asked.devices = spec.List("device");
  const std::string direction = spec.Text("direction");
  asked.to = direction != "from";
  asked.from = direction == "from" || direction == "both";
  for (const char* name : {"externalTargets", "targets", "ip-address"})
    FAULTLINE_TRY(AddRemotes(spec, name, asked));
  if (spec.Has("hostname")) {
    const auto resolved = Resolve(spec.Text("hostname"));
    if (!resolved) return Within("parameters.hostname", resolved.error());
    asked.remotes.insert(asked.remotes.end(), resolved->begin(), resolved->end());
  }
  const std::string protocol = spec.Text("ip-protocol");
  if (asked.answers_dns) {
    asked.remote_ports = {{53, 53}};  // UDP and TCP
    return {};
  }
  asked.protocol = protocol == "tcp" ? 6 : protocol == "udp" ? 17 : protocol == "icmp" ? 1 : 0;
  FAULTLINE_ASSIGN(asked.local_ports, ReadPorts(spec, "source-port"));
  FAULTLINE_ASSIGN(asked.remote_ports, ReadPorts(spec, "egress-port"));
  if (asked.HasPortFilter() && asked.protocol == 1)
    return Fail(ErrorCode::kInvalidArgument, "parameters.ip-protocol: icmp has no ports");
  if (spec.Has("accept-tcp-flags")) {
    const std::string flags = spec.Text("accept-tcp-flags");
    std::string_view rest = flags;
    FAULTLINE_ASSIGN(asked.accept_flags_mask, ReadFlags(NextWord(rest)));
    FAULTLINE_ASSIGN(asked.accept_flags_value, ReadFlags(Trim(rest)));
  }
  return {};
}

// `block` is "" for an action of its own, "delay." and so on inside network_netem.
Chance ReadChance(const FaultSpec& spec, const std::string& block, const std::string& name) {
  Chance chance;
  chance.percent = spec.Number(spec.Has(block + name) ? block + name : "percent");
  chance.correlation_percent = spec.Number(block + "correlation");
  return chance;
}

void ReadDelay(const FaultSpec& spec, const std::string& block, NetworkAsked& asked) {
  asked.latency_ns = spec.DurationNs(block + "latency");
  asked.jitter_ns = spec.DurationNs(block + "jitter");
  asked.delay_correlation_percent = spec.Number(block + "correlation");
  asked.reorder.percent = spec.Number(block + "reorder.reorder");
  asked.reorder.correlation_percent = spec.Number(block + "reorder.correlation");
  asked.reorder_gap = spec.Integer(block + "reorder.gap");
}

uint64_t Fixed(double percent) {
  return static_cast<uint64_t>(std::llround(percent / 100 * NETWORK_FAULT_ALWAYS));
}

network_fault_chance ChanceOf(const Chance& chance) {
  return {Fixed(chance.percent), Fixed(chance.correlation_percent)};
}

Result<void> ReadWhat(const FaultSpec& spec, NetworkAsked& asked) {
  const std::string& fault = spec.fault;
  const bool all = fault == "network_netem";
  if (all || fault == "network_delay") ReadDelay(spec, all ? "delay." : "", asked);
  if (all || fault == "network_loss") asked.loss = ReadChance(spec, all ? "loss." : "", "loss");
  if (all || fault == "network_duplicate")
    asked.duplicate = ReadChance(spec, all ? "duplicate." : "", "duplicate");
  if (all || fault == "network_corrupt")
    asked.corrupt = ReadChance(spec, all ? "corrupt." : "", "corrupt");
  asked.partition = fault == "network_partition";
  if (asked.partition) asked.loss.percent = 100;
  asked.answers_dns = fault.starts_with("dns_");
  if (asked.answers_dns) return {};
  asked.rate_bytes_per_s = spec.RateBytesPerS(all ? "rate.rate" : "rate");
  if (fault == "network_bandwidth") {
    asked.limit_bytes = static_cast<double>(spec.Bytes("limit"));
    asked.buffer_bytes = static_cast<double>(spec.Bytes("buffer"));
    asked.peak_bytes_per_s = spec.RateBytesPerS("peakrate");
    if (asked.peak_bytes_per_s > 0 && asked.peak_bytes_per_s < asked.rate_bytes_per_s)
      return Fail(ErrorCode::kInvalidArgument, "parameters.peakrate: is below the rate");
    asked.min_burst_bytes = static_cast<double>(spec.Bytes("minburst"));
    if (asked.min_burst_bytes > 0 && asked.peak_bytes_per_s == 0)
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.minburst: is the bucket of a peakrate, and none is asked for");
  }
  const double most =
      std::max({asked.loss.percent, asked.duplicate.percent, asked.corrupt.percent});
  const std::string first = fault.substr(fault.find('_') + 1);
  if (!asked.NeedsDetour() && most == 0) {
    const std::string name = all ? "delay.latency" : first == "delay" ? "latency" : first;
    return Fail(ErrorCode::kInvalidArgument,
                "parameters.{}: nothing is asked for that would have an effect", name);
  }
  return {};
}

}  // namespace

Result<RemoteAddress> ParseRemote(std::string_view text) {
  std::string_view address = text;
  uint16_t port = 0;
  const bool bracketed = text.starts_with('[');
  const size_t close = text.find(']');
  const size_t colon = text.rfind(':');
  const bool is_v6 = !bracketed && std::count(text.begin(), text.end(), ':') > 1;
  if (colon != std::string_view::npos && !is_v6 && (!bracketed || colon == close + 1)) {
    const auto number = ParseUint(text.substr(colon + 1));
    if (!number || *number == 0 || *number > 65535)
      return Fail(ErrorCode::kInvalidArgument, "'{}' has no good port", text);
    port = static_cast<uint16_t>(*number);
    address = text.substr(0, colon);
  }
  if (bracketed) {
    if (close == std::string_view::npos)
      return Fail(ErrorCode::kInvalidArgument, "'{}' is no address", text);
    address = address.substr(1, address.find(']') - 1);
  }
  const size_t slash = address.find('/');
  const auto bits = slash == std::string_view::npos ? std::optional<uint64_t>()
                                                    : ParseUint(address.substr(slash + 1));
  const std::string plain(address.substr(0, slash));
  in_addr v4{};
  in6_addr v6{};
  RemoteAddress remote;
  if (inet_pton(AF_INET, plain.c_str(), &v4) == 1) {
    if (slash != std::string_view::npos && (!bits || *bits > 32))
      return Fail(ErrorCode::kInvalidArgument, "'{}' is no prefix", text);
    remote = FromV4(v4);
    remote.prefix_bits = 96 + static_cast<unsigned>(bits.value_or(32));
  } else if (inet_pton(AF_INET6, plain.c_str(), &v6) == 1) {
    if (slash != std::string_view::npos && (!bits || *bits > 128))
      return Fail(ErrorCode::kInvalidArgument, "'{}' is no prefix", text);
    remote = FromV6(v6);
    remote.prefix_bits = static_cast<unsigned>(bits.value_or(128));
  } else {
    return Fail(ErrorCode::kInvalidArgument, "'{}' is no address or prefix", text);
  }
  remote.port = port;
  return remote;
}

std::string FormatRemote(const RemoteAddress& remote) {
  char text[INET6_ADDRSTRLEN] = {};
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool v4 = std::equal(std::begin(kMapped), std::end(kMapped), remote.address.begin());
  inet_ntop(v4 ? AF_INET : AF_INET6, remote.address.data() + (v4 ? 12 : 0), text, sizeof text);
  std::string formatted = text;
  if (remote.prefix_bits < 128)
    formatted += fmt::format("/{}", v4 ? remote.prefix_bits - 96 : remote.prefix_bits);
  if (remote.port != 0)
    formatted = fmt::format(fmt::runtime(v4 ? "{}:{}" : "[{}]:{}"), formatted, remote.port);
  return formatted;
}

Result<NetworkAsked> ReadNetworkAsked(const FaultSpec& spec) {
  NetworkAsked asked;
  FAULTLINE_TRY(ReadWhat(spec, asked));
  FAULTLINE_TRY(ReadWhose(spec, asked));
  return asked;
}

Result<NetworkAsked> PlannedAsked(const FaultPlan& plan) {
  FaultSpec named = plan.spec;
  for (const char* name : {"externalTargets", "targets", "ip-address", "hostname"})
    named.parameters.erase(name);
  FAULTLINE_ASSIGN(NetworkAsked asked, ReadNetworkAsked(named));
  const std::string remotes = plan.State("remotes");
  for (const std::string_view text : Split(remotes, ' ')) {
    if (text.empty()) continue;
    FAULTLINE_ASSIGN(const RemoteAddress remote, ParseRemote(text));
    asked.remotes.push_back(remote);
  }
  return asked;
}

void RememberRemotes(const NetworkAsked& asked, FaultPlan& plan) {
  std::string text;
  for (const RemoteAddress& remote : asked.remotes)
    text += (text.empty() ? "" : " ") + FormatRemote(remote);
  plan.state["remotes"] = text;
}

void RememberDevices(const std::vector<NetDevice>& devices, FaultPlan& plan) {
  std::string text;
  for (const NetDevice& device : devices) {
    uint64_t mac = 0;
    for (const uint8_t byte : device.mac) mac = mac << 8 | byte;
    text += fmt::format("{} {} {} {} {:x}\n", device.name, device.index,
                        device.has_ethernet_header ? 1 : 0, device.is_loopback ? 1 : 0, mac);
  }
  plan.state["devices"] = text;
}

std::vector<NetDevice> PlannedDevices(const FaultPlan& plan) {
  std::vector<NetDevice> devices;
  const std::string text = plan.State("devices");
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    NetDevice device;
    device.name = NextWord(line);
    device.index = static_cast<unsigned>(ParseUint(NextWord(line)).value_or(0));
    device.has_ethernet_header = NextWord(line) == "1";
    device.is_loopback = NextWord(line) == "1";
    const uint64_t mac = ParseUint(NextWord(line), 16).value_or(0);
    for (size_t i = 0; i < device.mac.size(); ++i)
      device.mac[i] = static_cast<uint8_t>(mac >> (40 - 8 * i));
    if (device.index != 0) devices.push_back(std::move(device));
  }
  return devices;
}

TrafficFilter PlannedFilter(const FaultPlan& plan, const NetworkAsked& asked,
                            const NetDevice& device) {
  TrafficFilter filter;
  network_fault_config& config = filter.config;
  config.l2_bytes = device.has_ethernet_header ? 14 : 0;
  config.protocol = asked.protocol;
  config.until_ns = static_cast<unsigned long long>(
      SystemClock().SteadyNs() + plan.spec.duration_ms * kNsPerMs + kKernelGraceNs);
  config.accept_flags_mask = asked.accept_flags_mask;
  config.accept_flags_value = asked.accept_flags_value;
  config.loss = ChanceOf(asked.loss);
  config.duplicate = ChanceOf(asked.duplicate);
  config.corrupt = ChanceOf(asked.corrupt);
  config.local_ranges = static_cast<unsigned>(asked.local_ports.size());
  config.remote_ranges = static_cast<unsigned>(asked.remote_ports.size());
  std::copy(asked.local_ports.begin(), asked.local_ports.end(), config.local);
  std::copy(asked.remote_ports.begin(), asked.remote_ports.end(), config.remote);
  const std::string exempt = plan.State("exempt_ports");
  for (const std::string_view text : Split(exempt, ' ')) {
    const auto port = ParseUint(text);
    if (port && config.exempt_count < NETWORK_FAULT_PORT_RANGES)
      config.exempt[config.exempt_count++] = static_cast<uint16_t>(*port);
  }
  const std::string cgroup = plan.State("cgroup");
  std::string_view words = cgroup;
  config.cgroup_id = ParseUint(NextWord(words)).value_or(0);
  config.cgroup_level = static_cast<unsigned>(ParseUint(Trim(words)).value_or(0));
  config.answers = asked.answers_dns && !device.is_loopback ? 1 : 0;
  std::copy(device.mac.begin(), device.mac.end(), config.device_mac);
  filter.remotes = asked.remotes;
  return filter;
}

std::string Describe(const NetworkAsked& asked) {
  std::string text;
  const auto add = [&](std::string part) { text += (text.empty() ? "" : ", ") + part; };
  const auto ms = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  if (asked.latency_ns > 0 || asked.jitter_ns > 0) {
    add(asked.jitter_ns > 0
            ? fmt::format("delay {:g} ms ± {:g} ms", ms(asked.latency_ns), ms(asked.jitter_ns))
            : fmt::format("delay {:g} ms", ms(asked.latency_ns)));
  }
  if (asked.reorder.percent > 0) add(fmt::format("reorder {:g} %", asked.reorder.percent));
  if (asked.partition) {
    add("nothing passes");
  } else if (asked.loss.percent > 0) {
    add(fmt::format("loss {:g} %", asked.loss.percent));
  }
  if (asked.duplicate.percent > 0) add(fmt::format("duplicate {:g} %", asked.duplicate.percent));
  if (asked.corrupt.percent > 0) add(fmt::format("corrupt {:g} %", asked.corrupt.percent));
  if (asked.rate_bytes_per_s > 0) add(fmt::format("{:g} bytes/s", asked.rate_bytes_per_s));
  if (asked.answers_dns) add("names are answered by us");
  std::string whose = asked.to ? (asked.from ? "to and from " : "to ") : "from ";
  if (asked.remotes.empty()) whose += "everybody";
  for (size_t i = 0; i < std::min<size_t>(asked.remotes.size(), 8); ++i)
    whose += (i > 0 ? " " : "") + FormatRemote(asked.remotes[i]);
  if (asked.remotes.size() > 8) whose += fmt::format(" and {} more", asked.remotes.size() - 8);
  return text + ", " + whose;
}

}  // namespace faultline
