// What this node asked NFS servers for: /proc/net/rpc/nfs. The kernel lists procedures by number;
// their names are here.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily kPackets = Counter("node_nfs_packets_total", "Packets by protocol.");
constexpr MetricFamily kConnections =
    Counter("node_nfs_connections_total", "TCP connections made.");
constexpr MetricFamily kCalls = Counter("node_nfs_rpcs_total", "Calls made.");
constexpr MetricFamily kRetransmissions =
    Counter("node_nfs_rpc_retransmissions_total", "Calls sent again.");
constexpr MetricFamily kRefreshes =
    Counter("node_nfs_rpc_authentication_refreshes_total", "Credentials renewed.");
constexpr MetricFamily kRequests =
    Counter("node_nfs_requests_total", "Procedures called, by version and name.");

constexpr std::string_view kVersion2[] = {
    "Null",   "GetAttr", "SetAttr", "Root", "Lookup",  "ReadLink", "Read",  "WrCache", "Write",
    "Create", "Remove",  "Rename",  "Link", "SymLink", "MkDir",    "RmDir", "ReadDir", "FsStat"};
constexpr std::string_view kVersion3[] = {
    "Null",    "GetAttr",     "SetAttr", "Lookup", "Access",   "ReadLink", "Read",   "Write",
    "Create",  "MkDir",       "SymLink", "MkNod",  "Remove",   "RmDir",    "Rename", "Link",
    "ReadDir", "ReadDirPlus", "FsStat",  "FsInfo", "PathConf", "Commit"};
constexpr std::string_view kVersion4[] = {"Null",
                                          "Read",
                                          "Write",
                                          "Commit",
                                          "Open",
                                          "OpenConfirm",
                                          "OpenNoattr",
                                          "OpenDowngrade",
                                          "Close",
                                          "Setattr",
                                          "FsInfo",
                                          "Renew",
                                          "SetClientID",
                                          "SetClientIDConfirm",
                                          "Lock",
                                          "Lockt",
                                          "Locku",
                                          "Access",
                                          "Getattr",
                                          "Lookup",
                                          "LookupRoot",
                                          "Remove",
                                          "Rename",
                                          "Link",
                                          "Symlink",
                                          "Create",
                                          "Pathconf",
                                          "StatFs",
                                          "ReadLink",
                                          "ReadDir",
                                          "ServerCaps",
                                          "DelegReturn",
                                          "GetACL",
                                          "SetACL",
                                          "FsLocations",
                                          "ReleaseLockowner",
                                          "Secinfo",
                                          "FsidPresent",
                                          "ExchangeID",
                                          "CreateSession",
                                          "DestroySession",
                                          "Sequence",
                                          "GetLeaseTime",
                                          "ReclaimComplete",
                                          "LayoutGet",
                                          "GetDeviceInfo",
                                          "LayoutCommit",
                                          "LayoutReturn",
                                          "SecinfoNoName",
                                          "TestStateID",
                                          "FreeStateID",
                                          "GetDeviceList",
                                          "BindConnToSession",
                                          "DestroyClientID",
                                          "Seek",
                                          "Allocate",
                                          "DeAllocate",
                                          "LayoutStats",
                                          "Clone"};

double Number(std::string_view& line) {
  return static_cast<double>(ParseUint(NextWord(line)).value_or(0));
}

// The first number says how many follow; an older kernel has fewer of them, a newer one more.
void Requests(Emitter& out, std::string_view line, std::string_view version,
              std::span<const std::string_view> names) {
  Number(line);
  for (const std::string_view name : names) {
    out.Sample(kRequests, {{"proto", version}, {"method", name}}, Number(line));
  }
}

class NfsCollector final : public Collector {
 public:
  explicit NfsCollector(const HostView& host) : file_(host.fs.Path("/proc/net/rpc/nfs")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    while (NextLine(text, line)) {
      const std::string_view key = NextWord(line);
      if (key == "net") {
        Number(line);
        out.Sample(kPackets, {{"protocol", "udp"}}, Number(line));
        out.Sample(kPackets, {{"protocol", "tcp"}}, Number(line));
        out.Sample(kConnections, {}, Number(line));
      } else if (key == "rpc") {
        out.Sample(kCalls, {}, Number(line));
        out.Sample(kRetransmissions, {}, Number(line));
        out.Sample(kRefreshes, {}, Number(line));
      } else if (key == "proc2") {
        Requests(out, line, "2", kVersion2);
      } else if (key == "proc3") {
        Requests(out, line, "3", kVersion3);
      } else if (key == "proc4") {
        Requests(out, line, "4", kVersion4);
      }
    }
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeNfs(const LeafContext& context) {
  return std::make_unique<NfsCollector>(context.host);
}

}  // namespace faultline
