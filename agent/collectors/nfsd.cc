// What this node served as an NFS server: /proc/net/rpc/nfsd. Procedures come by number; a name
// left empty is skipped.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kRequests =
    Counter("node_nfsd_requests_total", "Requests served, by version and name.");

// A number of a line, by its place. Without a name it is skipped.
struct Column {
  MetricFamily family;
  std::string_view label = {}, value = {};
};
struct Line {
  std::string_view key;
  std::span<const Column> columns;
};
constexpr Column kSkip{};
constexpr Column kReplyCache[] = {
    {Counter("node_nfsd_reply_cache_hits_total", "Requests answered again from the reply cache.")},
    {Counter("node_nfsd_reply_cache_misses_total", "Requests whose reply was cached.")},
    {Counter("node_nfsd_reply_cache_nocache_total", "Requests whose reply need not be cached.")}};
constexpr Column kFileHandles[] = {
    {Counter("node_nfsd_file_handles_stale_total", "Stale file handles.")}};
constexpr Column kInputOutput[] = {
    {Counter("node_nfsd_disk_bytes_read_total", "Bytes read.")},
    {Counter("node_nfsd_disk_bytes_written_total", "Bytes written.")}};
constexpr Column kThreads[] = {{Gauge("node_nfsd_server_threads", "Threads of the server.")}};
constexpr Column kReadAhead[] = {
    {Gauge("node_nfsd_read_ahead_cache_size_blocks", "Size of the read-ahead cache.")},
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    kSkip,
    {Counter("node_nfsd_read_ahead_cache_not_found_total",
             "Look-ups that the read-ahead cache could not answer.")}};
constexpr Column kNetwork[] = {
    kSkip,
    {Counter("node_nfsd_packets_total", "Packets by protocol."), "proto", "udp"},
    {Counter("node_nfsd_packets_total", "Packets by protocol."), "proto", "tcp"},
    {Counter("node_nfsd_connections_total", "TCP connections accepted.")}};
constexpr Column kCalls[] = {
    {Counter("node_nfsd_server_rpcs_total", "Calls served.")},
    kSkip,
    {Counter("node_nfsd_rpc_errors_total", "Bad calls by error."), "error", "fmt"},
    {Counter("node_nfsd_rpc_errors_total", "Bad calls by error."), "error", "auth"},
    {Counter("node_nfsd_rpc_errors_total", "Bad calls by error."), "error", "cInt"}};
constexpr Line kLines[] = {{"rc", kReplyCache}, {"fh", kFileHandles}, {"io", kInputOutput},
                           {"th", kThreads},    {"ra", kReadAhead},   {"net", kNetwork},
                           {"rpc", kCalls}};

constexpr std::string_view kVersion2[] = {
    "",       "GetAttr", "SetAttr", "Root", "Lookup",  "ReadLink", "Read",  "WrCache", "Write",
    "Create", "Remove",  "Rename",  "Link", "SymLink", "MkDir",    "RmDir", "ReadDir", "FsStat"};
constexpr std::string_view kVersion3[] = {
    "",        "GetAttr",     "SetAttr", "Lookup", "Access",   "ReadLink", "Read",   "Write",
    "Create",  "MkDir",       "SymLink", "MkNod",  "Remove",   "RmDir",    "Rename", "Link",
    "ReadDir", "ReadDirPlus", "FsStat",  "FsInfo", "PathConf", "Commit"};
constexpr std::string_view kVersion4[] = {"",
                                          "",
                                          "",
                                          "Access",
                                          "Close",
                                          "Commit",
                                          "Create",
                                          "DelegPurge",
                                          "DelegReturn",
                                          "GetAttr",
                                          "GetFH",
                                          "Link",
                                          "Lock",
                                          "Lockt",
                                          "Locku",
                                          "Lookup",
                                          "LookupRoot",
                                          "Nverify",
                                          "Open",
                                          "OpenAttr",
                                          "OpenConfirm",
                                          "OpenDgrd",
                                          "PutFH",
                                          "",
                                          "",
                                          "Read",
                                          "ReadDir",
                                          "ReadLink",
                                          "Remove",
                                          "Rename",
                                          "Renew",
                                          "RestoreFH",
                                          "SaveFH",
                                          "SecInfo",
                                          "SetAttr",
                                          "",
                                          "",
                                          "Verify",
                                          "Write",
                                          "RelLockOwner"};
struct Version {
  std::string_view key, name;
  std::span<const std::string_view> methods;
};
constexpr Version kVersions[] = {
    {"proc2", "2", kVersion2}, {"proc3", "3", kVersion3}, {"proc4ops", "4", kVersion4}};

double Number(std::string_view& line) { return ParseDouble(NextWord(line)).value_or(0); }

class NfsdCollector final : public Collector {
 public:
  explicit NfsdCollector(const HostView& host) : file_(host.fs.Path("/proc/net/rpc/nfsd")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    while (NextLine(text, line)) {
      const std::string_view key = NextWord(line);
      for (const Line& known : kLines) {
        if (known.key == key) EmitLine(out, known, line);
      }
      for (const Version& known : kVersions) {
        if (known.key == key) EmitRequests(out, known, line);
      }
    }
    return {};
  }

 private:
  static void EmitLine(Emitter& out, const Line& known, std::string_view line) {
    for (const Column& column : known.columns) {
      const double value = Number(line);
      if (column.family.name.empty()) continue;
      const LabelView label[] = {{column.label, column.value}};
      out.Sample(column.family, LabelViews(label, column.label.empty() ? 0 : 1), value);
    }
  }

  static void EmitRequests(Emitter& out, const Version& version, std::string_view line) {
    Number(line);  // how many follow
    for (const std::string_view method : version.methods) {
      const double value = Number(line);
      if (!method.empty())
        out.Sample(kRequests, {{"proto", version.name}, {"method", method}}, value);
    }
  }

  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeNfsd(const LeafContext& context) {
  return std::make_unique<NfsdCollector>(context.host);
}

}  // namespace faultline
