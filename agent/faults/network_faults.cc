// Delay, loss, duplicates, corruption, partition, bandwidth: what happens to packets that enter or
// leave a target's network namespace. Loss and the like are decided in the kernel by a classifier
// (traffic_filter.h), what must wait goes on a detour (network_detour.h). Works wherever clsact,
// BPF and TUN are: no netem, no iptables, no queueing discipline of the target is touched. A target
// that shares the node's namespace is told by its v2 cgroup, and only what it sends.
#include <algorithm>

#include "agent/faults/fault_service.h"
#include "agent/faults/fault_tag.h"
#include "agent/faults/network_effect.h"
#include "agent/faults/network_fault.h"
#include "agent/faults/network_namespace.h"
#include "agent/faults/target_cgroups.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr ParameterRow kDelayRows[] = {
    {"latency", ParameterKind::kDuration, {}, "how long packets wait", true, 1000, 60e9},
    {"jitter", ParameterKind::kDuration, "0ms", "and up to so much more or less", false, 0, 60e9},
    {"correlation", ParameterKind::kPercent, "0", "how often a packet waits as the one before"},
    {"reorder.reorder", ParameterKind::kPercent, "0", "how many go ahead of those that wait"},
    {"reorder.correlation", ParameterKind::kPercent, "0", "how often as the one before"},
    {"reorder.gap", ParameterKind::kInteger, "0", "at most one of so many goes ahead", false, 0,
     1e6},
    {"accept-tcp-flags", ParameterKind::kText, {}, "TCP packets left alone: \"SYN,ACK SYN,ACK\""},
};
constexpr ParameterRow kLossRows[] = {
    {"loss", ParameterKind::kPercent, {}, "packets lost"},
    {"percent", ParameterKind::kPercent, "1", "the same by chaosd's name"},
    {"correlation", ParameterKind::kPercent, "0", "how often the last decision is taken again"},
};
constexpr ParameterRow kDuplicateRows[] = {
    {"duplicate", ParameterKind::kPercent, {}, "packets sent twice"},
    {"percent", ParameterKind::kPercent, "1", "the same by chaosd's name"},
    {"correlation", ParameterKind::kPercent, "0", "how often the last decision is taken again"},
};
constexpr ParameterRow kCorruptRows[] = {
    {"corrupt", ParameterKind::kPercent, {}, "packets damaged so that checksums find it"},
    {"percent", ParameterKind::kPercent, "1", "the same by chaosd's name"},
    {"correlation", ParameterKind::kPercent, "0", "how often the last decision is taken again"},
};
constexpr ParameterRow kPartitionRows[] = {
    {"accept-tcp-flags", ParameterKind::kText, {}, "TCP packets that pass: \"SYN,ACK SYN,ACK\""},
};
constexpr ParameterRow kBandwidthRows[] = {
    {"rate", ParameterKind::kRate, {}, "bytes per second that pass: 1mbit, 1mbps", true, 125, 1e11},
    {"limit", ParameterKind::kBytes, "2097152", "bytes that may wait", false, 1, 1e9},
    {"buffer", ParameterKind::kBytes, "20000", "bytes that may pass at once", false, 1, 1e9},
    {"peakrate", ParameterKind::kRate, {}, "how fast the bucket may be emptied", false, 125, 1e11},
    {"minburst", ParameterKind::kBytes, {}, "what may pass at once at the peak rate", false, 1, 1e9},
};
constexpr ParameterRow kRateRows[] = {
    {"rate", ParameterKind::kRate, {}, "bytes per second that pass: 1mbit, 1mbps", true, 125, 1e11},
};
constexpr ParameterRow kNetemRows[] = {
    {"delay.latency", ParameterKind::kDuration, "0ms", "how long packets wait", false, 0, 60e9},
    {"delay.jitter", ParameterKind::kDuration, "0ms", "and up to so much more or less", false, 0,
     60e9},
    {"delay.correlation", ParameterKind::kPercent, "0", "how often as the packet before"},
    {"delay.reorder.reorder", ParameterKind::kPercent, "0", "how many go ahead"},
    {"delay.reorder.correlation", ParameterKind::kPercent, "0", "how often as the one before"},
    {"delay.reorder.gap", ParameterKind::kInteger, "0", "at most one of so many", false, 0, 1e6},
    {"loss.loss", ParameterKind::kPercent, "0", "packets lost"},
    {"loss.correlation", ParameterKind::kPercent, "0", "how often as the packet before"},
    {"duplicate.duplicate", ParameterKind::kPercent, "0", "packets sent twice"},
    {"duplicate.correlation", ParameterKind::kPercent, "0", "how often as the packet before"},
    {"corrupt.corrupt", ParameterKind::kPercent, "0", "packets damaged"},
    {"corrupt.correlation", ParameterKind::kPercent, "0", "how often as the packet before"},
    {"rate.rate", ParameterKind::kRate, {}, "bytes per second that pass", false, 125, 1e11},
};
constexpr auto kDelay = WithWhose(kDelayRows);
constexpr auto kLoss = WithWhose(kLossRows);
constexpr auto kDuplicate = WithWhose(kDuplicateRows);
constexpr auto kCorrupt = WithWhose(kCorruptRows);
constexpr auto kPartition = WithWhose(kPartitionRows);
constexpr auto kBandwidth = WithWhose(kBandwidthRows);
constexpr auto kRate = WithWhose(kRateRows);
constexpr auto kNetem = WithWhose(kNetemRows);

uint32_t HandleOf(const FaultPlan& plan) {
  return static_cast<uint32_t>(ParseUint(plan.State("handle")).value_or(0));
}

Result<void> InPlannedNamespace(const FaultPlan& plan, const FaultHost& host,
                                const std::function<Result<void>()>& work) {
  return InNamespace(ParseUint(plan.State("netns")).value_or(0), host, work);
}

bool IsListed(const std::string& words, std::string_view word) {
  const auto all = Split(words, ' ');
  return std::find(all.begin(), all.end(), word) != all.end();
}

Result<std::vector<NetDevice>> ChooseDevices(const NetworkAsked& asked) {
  std::vector<NetDevice> chosen;
  const std::vector<NetDevice> all = ListDevices();
  for (const NetDevice& device : all) {
    if (asked.devices.empty() && device.is_up && !device.name.starts_with("flt") &&
        (asked.answers_dns || !device.is_loopback))
      chosen.push_back(device);
  }
  for (const std::string& name : asked.devices) {
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const NetDevice& device) { return device.name == name; });
    if (at == all.end()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.device: '{}' is not in the network namespace of the target", name);
    }
    chosen.push_back(*at);
  }
  if (chosen.empty())
    return Fail(ErrorCode::kNotFound, "the target has no network device that is up");
  for (const NetDevice& device : chosen) {
    if (asked.NeedsDetour() && !device.has_ethernet_header)
      return Fail(ErrorCode::kUnsupported,
                  "unsupported: {} has no Ethernet header, packets of it cannot take a detour",
                  device.name);
  }
  return chosen;
}

// A process of the node's own namespace: what it sends is told by its cgroup.
Result<void> NarrowToCgroup(const NetNamespace& network, const NetworkAsked& asked,
                            const FaultHost& host, FaultPlan& plan) {
  if (network.cgroup.empty()) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: the target shares the node's network and has no v2 cgroup of its own "
                "by which its packets could be told");
  }
  if (asked.from || asked.answers_dns) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: the target shares the node's network; only what it sends can be told "
                "from what others send (direction: to)");
  }
  const std::string below = network.cgroup.substr(host.mounts.unified.size());
  plan.state["cgroup"] = fmt::format("{} {}", FolderInode(*host.host, network.cgroup),
                                     std::count(below.begin(), below.end(), '/'));
  return {};
}

std::string Whom(const FaultSpec& spec, const NetNamespace& network) {
  if (!spec.target.cgroup().empty()) return "cgroup " + spec.target.cgroup();
  if (!spec.target.container_id().empty()) return "container " + spec.target.container_id();
  if (network.pids.empty()) return "the node";
  return fmt::format("pid {}", network.pid);
}

std::unique_ptr<Fault> Make() { return std::make_unique<NetworkFault>(); }

}  // namespace

Result<FaultPlan> NetworkFault::Plan(const FaultSpec& spec, const FaultHost& host) {
  FAULTLINE_ASSIGN(const NetworkAsked asked, ReadNetworkAsked(spec));
  FAULTLINE_ASSIGN(const NetNamespace network, TargetNamespace(spec.target, host));
  FaultPlan plan;
  plan.spec = spec;
  plan.state["netns"] = std::to_string(network.inode);
  plan.state["handle"] = std::to_string(FilterHandle(host.journal_folder, spec.uid));
  RememberRemotes(asked, plan);
  if (network.is_node) {
    if (network.pids.empty() && asked.devices.empty())
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.device: is needed when the node itself is the target");
    if (!network.pids.empty()) FAULTLINE_TRY(NarrowToCgroup(network, asked, host, plan));
    std::string exempt;
    for (const uint16_t port : host.protected_ports)
      exempt += (exempt.empty() ? "" : " ") + std::to_string(port);
    plan.state["exempt_ports"] = exempt;
  }
  std::vector<NetDevice> devices;
  FAULTLINE_TRY(InNetworkNamespace(network.file, [&]() -> Result<void> {
    FAULTLINE_ASSIGN(devices, ChooseDevices(asked));
    for (const NetDevice& device : devices) {
      if (ReadClsact(device.index) == ClsactState::kForeign)
        plan.state["foreign_clsact"] += " " + device.name;
    }
    return {};
  }));
  RememberDevices(devices, plan);
  plan.state["mechanism"] = asked.NeedsDetour() ? "tc-bpf, detour through a TAP device" : "tc-bpf";
  for (const NetDevice& device : devices) {
    const std::string whom = plan.State("cgroup").empty()
                                 ? Whom(spec, network)
                                 : "all that cgroup " + network.cgroup + " sends";
    plan.victims.push_back(fmt::format("{}: device {} (network namespace {}): {}", whom,
                                       device.name, network.inode, Describe(asked)));
    plan.claims[fmt::format("qdisc:{}:{}", network.file, device.name)];
  }
  return plan;
}

Result<void> NetworkFault::Inject(const FaultPlan& plan, const FaultHost& host) {
  FAULTLINE_ASSIGN(const NetworkAsked asked, PlannedAsked(plan));
  if (asked.NeedsDetour()) return StartFaultService(plan, host);
  return InPlannedNamespace(plan, host, [&]() -> Result<void> {
    for (const NetDevice& device : PlannedDevices(plan)) {
      for (const bool egress : {true, false}) {
        if (!(egress ? asked.to : asked.from)) continue;
        FAULTLINE_TRY(
            AttachFilter(device.index, egress, HandleOf(plan), PlannedFilter(plan, asked, device)));
      }
    }
    return {};
  });
}

Result<v1::Effect> NetworkFault::Verify(const FaultPlan& plan, const FaultHost& host) {
  FAULTLINE_ASSIGN(const NetworkAsked asked, PlannedAsked(plan));
  return MeasureNetwork(plan, asked, host);
}

// First the classifier: then nothing new comes to the service, which lets go of what waits. Then
// once more, for what a service attached that was just being ended.
Result<void> NetworkFault::Recover(const FaultPlan& plan, const FaultHost& host) {
  const auto detach = [&]() -> Result<void> {
    const auto detached = InPlannedNamespace(plan, host, [&]() -> Result<void> {
      const std::vector<NetDevice> now = ListDevices();
      for (const NetDevice& device : PlannedDevices(plan)) {
        const bool there = std::any_of(now.begin(), now.end(), [&](const NetDevice& one) {
          return one.index == device.index && one.name == device.name;
        });
        if (!there) continue;
        FAULTLINE_TRY(DetachFilters(device.index, HandleOf(plan),
                                    !IsListed(plan.State("foreign_clsact"), device.name)));
      }
      return {};
    });
    if (!detached && detached.error().code != ErrorCode::kNotFound) return detached;
    return {};
  };
  FAULTLINE_TRY(detach());
  if (FindFaultServices(*host.host, plan.spec.uid).empty()) return {};
  FAULTLINE_TRY(EndFaultServices(*host.host, plan.spec.uid));
  return detach();
}

std::vector<std::string> NetworkFault::Residue(const FaultPlan& plan, const FaultHost& host) {
  std::vector<std::string> residue;
  for (const LiveProcess& service : FindFaultServices(*host.host, plan.spec.uid))
    residue.push_back(fmt::format("service pid {}", service.pid));
  (void)InPlannedNamespace(plan, host, [&]() -> Result<void> {
    for (const NetDevice& device : PlannedDevices(plan)) {
      if (HasFilter(device.index, HandleOf(plan)))
        residue.push_back("classifier on device " + device.name);
    }
    return {};
  });
  return residue;
}

std::vector<std::string> NetworkFault::Sweep(const FaultHost& host) {
  std::vector<std::string> removed;
  const uint32_t ours = FilterHandle(host.journal_folder, "") & kHomeOfHandle;
  std::vector<uint32_t> kept;
  for (const FaultPlan& other : host.others) kept.push_back(HandleOf(other));
  for (const std::string& file : NetworkNamespaces(*host.host)) {
    (void)InNetworkNamespace(file, [&]() -> Result<void> {
      for (const NetDevice& device : ListDevices()) {
        for (const uint32_t handle : OurHandles(device.index)) {
          const bool in_force = std::find(kept.begin(), kept.end(), handle) != kept.end();
          if ((handle & kHomeOfHandle) != ours || in_force) continue;
          if (DetachFilters(device.index, handle, ReadClsact(device.index) == ClsactState::kOurs))
            removed.push_back(fmt::format("classifier {:x} on device {}", handle, device.name));
        }
      }
      return {};
    });
  }
  return removed;
}

extern const FaultRow kNetworkDelay = {"network_delay", "Packets wait before they go on.", kDelay,
                                       Make, "latency=100ms device={device}"};
extern const FaultRow kNetworkLoss = {"network_loss", "Packets are lost.", kLoss, Make,
                                      "loss=50 device={device}"};
extern const FaultRow kNetworkDuplicate = {"network_duplicate", "Packets arrive twice.", kDuplicate,
                                           Make, "duplicate=50 device={device}"};
extern const FaultRow kNetworkCorrupt = {"network_corrupt", "Packets arrive damaged.", kCorrupt,
                                         Make, "corrupt=50 device={device}"};
extern const FaultRow kNetworkPartition = {"network_partition", "No packet comes through.",
                                           kPartition, Make, "direction=both device={device}"};
extern const FaultRow kNetworkBandwidth = {"network_bandwidth",
                                           "Only so many bytes per second pass, with a bucket.",
                                           kBandwidth, Make, "rate=8mbit device={device}"};
extern const FaultRow kNetworkRate = {"network_rate", "Only so many bytes per second pass.", kRate,
                                      Make, "rate=8mbit device={device}"};
extern const FaultRow kNetworkNetem = {"network_netem", "Several of the above on the same packets.",
                                       kNetem, Make,
                                       "delay.latency=50ms loss.loss=20 device={device}"};

}  // namespace faultline
