// Traffic of every container that has a network of its own, with cAdvisor's names:
// /proc/<pid>/net/dev of one of its processes. A network shared by the containers of a pod is told
// once, of the pod's sandbox if it is known, else of the first by path; what lives in the host's
// network is told by node_network_* alone.
#include <unistd.h>

#include <map>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Column {
  size_t at;  // in a line of net/dev, behind the interface
  MetricFamily family;
};
constexpr MetricFamily Total(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr Column kColumns[] = {
    {0, Total("container_network_receive_bytes_total", "Cumulative count of bytes received.")},
    {1, Total("container_network_receive_packets_total", "Cumulative count of packets received.")},
    {2, Total("container_network_receive_errors_total",
              "Cumulative count of errors encountered while receiving.")},
    {3, Total("container_network_receive_packets_dropped_total",
              "Cumulative count of packets dropped while receiving.")},
    {8, Total("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted.")},
    {9,
     Total("container_network_transmit_packets_total", "Cumulative count of packets transmitted.")},
    {10, Total("container_network_transmit_errors_total",
               "Cumulative count of errors encountered while transmitting.")},
    {11, Total("container_network_transmit_packets_dropped_total",
               "Cumulative count of packets dropped while transmitting.")},
};
constexpr size_t kColumnCount = 16;

class ContainerNetwork final : public Collector {
 public:
  explicit ContainerNetwork(const LeafContext& context)
      : host_(context.host), index_(*context.containers) {}

  Result<void> Collect(Emitter& out) override {
    if (passes_++ % kLookEvery == 0) FAULTLINE_TRY(FindOwners());
    for (const auto& [network, owner] : owners_) Emit(owner, out);
    return {};
  }

 private:
  // Containers rarely change their network, and finding it out means asking each for its processes.
  static constexpr uint64_t kLookEvery = 5;
  struct Owner {
    std::string cgroup_path;
    uint32_t pid = 0;
    bool is_sandbox = false;
  };

  Result<void> FindOwners() {
    owners_.clear();
    // Without leave to look at init, our own is the best guess: agents run in the host's network.
    std::string of_host = NetworkOf("1");
    if (of_host.empty()) of_host = NetworkOf("self");
    if (of_host.empty()) {
      return Fail(ErrorCode::kPermissionDenied, "read {}: the host's network is not known",
                  host_.fs.Path("/proc/1/ns/net"));
    }
    for (const ContainerIdentity& container : index_.containers()) {
      const auto pids = index_.Pids(container.cgroup_path);
      if (!pids || pids->empty()) continue;
      const std::string network = NetworkOf(std::to_string(pids->front()));
      if (network.empty() || network == of_host) continue;
      const bool is_sandbox = container.container == "POD";
      const auto [owner, is_new] = owners_.try_emplace(network);
      if (is_new || (is_sandbox && !owner->second.is_sandbox)) {
        owner->second = {container.cgroup_path, pids->front(), is_sandbox};
      }
    }
    return {};
  }

  // `net:[4026531840]`; empty if it cannot be read.
  std::string NetworkOf(std::string_view pid) const {
    char target[64];
    const std::string path = host_.fs.Path(fmt::format("/proc/{}/ns/net", pid));
    const ssize_t length = readlink(path.c_str(), target, sizeof target);
    return length > 0 ? std::string(target, static_cast<size_t>(length)) : "";
  }

  void Emit(const Owner& owner, Emitter& out) const {
    const auto text = host_.fs.Read(fmt::format("/proc/{}/net/dev", owner.pid));
    if (!text) return;
    const Origin origin{.cgroup_path = owner.cgroup_path};
    std::string_view rest = *text, line;
    while (NextLine(rest, line)) {
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;  // the two lines of headings
      const std::string_view interface = Trim(line.substr(0, colon));
      if (interface == "lo") continue;
      line.remove_prefix(colon + 1);
      std::optional<uint64_t> values[kColumnCount];
      for (auto& value : values) value = ParseUint(NextWord(line));
      for (const Column& column : kColumns) {
        if (!values[column.at]) continue;
        out.SampleOf(origin, column.family, {{"interface", interface}},
                     static_cast<double>(*values[column.at]));
      }
    }
  }

  const HostView& host_;
  ContainerIndex& index_;
  uint64_t passes_ = 0;
  std::map<std::string, Owner> owners_;  // network namespace -> whom it is told of
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeContainerNetwork(const LeafContext& context) {
  if (context.containers == nullptr) {
    return Fail(ErrorCode::kUnsupported, "containers are off, or no cgroup file system is mounted");
  }
  return std::make_unique<ContainerNetwork>(context);
}

}  // namespace faultline
