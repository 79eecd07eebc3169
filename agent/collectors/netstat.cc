// Counters of the IP stack: /proc/net/snmp and /proc/net/netstat (a line of names, then a line of
// numbers) and /proc/net/snmp6 (one pair per line). Only those that dashboards use; the rest is
// skipped unparsed.
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kWantedEverywhere[] = {"InErrors", "InErrs"};
constexpr std::string_view kWantedTcp[] = {"ActiveOpens",  "InSegs",      "OutSegs",  "OutRsts",
                                           "PassiveOpens", "RetransSegs", "CurrEstab"};
constexpr std::string_view kWantedUdp[] = {"InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors",
                                           "SndbufErrors"};

template <typename List>
bool Contains(const List& list, std::string_view name) {
  for (const std::string_view entry : list) {
    if (entry == name) return true;
  }
  return false;
}

bool Wanted(std::string_view protocol, std::string_view name) {
  if (Contains(kWantedEverywhere, name)) return true;
  if (protocol == "Ip" && name == "Forwarding") return true;
  if (protocol == "Ip6" || protocol == "IpExt") return name == "InOctets" || name == "OutOctets";
  if (protocol == "Icmp" || protocol == "Icmp6") return name == "InMsgs" || name == "OutMsgs";
  if (protocol == "Tcp") return Contains(kWantedTcp, name);
  if (protocol == "Udp" || protocol == "Udp6") return Contains(kWantedUdp, name);
  return protocol == "TcpExt" && (name.starts_with("Listen") || name.starts_with("Syncookies") ||
                                  name == "TCPSynRetrans" || name == "TCPTimeouts");
}

OwnedFamily MakeFamily(std::string_view protocol, std::string_view name) {
  return {fmt::format("node_netstat_{}_{}", protocol, MetricName(name)), v1::METRIC_TYPE_UNTYPED,
          fmt::format("{} of {}, counted by the kernel's network stack.", name, protocol)};
}

// A file of line pairs. The header is compared as one string; only when it changes is it taken
// apart.
class PairedFile {
 public:
  explicit PairedFile(std::string path) : file_(std::move(path)) {}

  Result<void> Collect(Emitter& out) {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view names, numbers;
    for (size_t index = 0; NextLine(text, names) && NextLine(text, numbers); ++index) {
      if (index == tables_.size()) tables_.emplace_back();
      Table& table = tables_[index];
      if (table.header != names) Learn(table, names);
      size_t column = 0;
      for (const Column& wanted : table.columns) {
        std::string_view word;
        for (; column <= wanted.index; ++column) word = NextWord(numbers);
        const auto value = ParseDouble(word);
        if (!value) {
          return Fail(ErrorCode::kCorruption, "{}: {} has no number '{}'", file_.path(),
                      wanted.family.name, word);
        }
        out.Sample({wanted.family.name, wanted.family.type, wanted.family.help}, {}, *value);
      }
    }
    return {};
  }

 private:
  struct Column {
    size_t index = 0;  // of the word in the line; the first is the protocol
    OwnedFamily family;
  };
  struct Table {
    std::string header;
    std::vector<Column> columns;
  };

  static void Learn(Table& table, std::string_view names) {
    table.header = names;
    table.columns.clear();
    std::string_view protocol = NextWord(names);
    if (!protocol.empty()) protocol.remove_suffix(1);
    size_t index = 1;
    for (std::string_view name = NextWord(names); !name.empty(); name = NextWord(names), ++index) {
      if (Wanted(protocol, name)) table.columns.push_back({index, MakeFamily(protocol, name)});
    }
  }

  PolledFile file_;
  std::vector<Table> tables_;
};

class NetstatCollector final : public Collector {
 public:
  explicit NetstatCollector(const HostView& host)
      : snmp_(host.fs.Path("/proc/net/snmp")),
        netstat_(host.fs.Path("/proc/net/netstat")),
        snmp6_(host.fs.Path("/proc/net/snmp6")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(netstat_.Collect(out));
    FAULTLINE_TRY(snmp_.Collect(out));
    return CollectSnmp6(out);
  }

 private:
  Result<void> CollectSnmp6(Emitter& out) {
    auto read = snmp6_.Read();
    if (!read && read.error().code == ErrorCode::kNotFound) return {};  // no IPv6
    FAULTLINE_ASSIGN(std::string_view text, std::move(read));
    families_.Begin();
    std::string_view line;
    while (NextLine(text, line)) {
      const std::string_view key = NextWord(line);
      const MetricFamily* family = families_.Get(key, MakeFamily6);
      if (family == nullptr) continue;
      const auto value = ParseDouble(Trim(line));
      if (!value) return Fail(ErrorCode::kCorruption, "{}: {} is no number", snmp6_.path(), key);
      out.Sample(*family, {}, *value);
    }
    return {};
  }

  // "Udp6InDatagrams": the protocol ends behind its 6.
  static std::optional<OwnedFamily> MakeFamily6(std::string_view key) {
    const size_t six = key.find('6');
    if (six == std::string_view::npos || six == 0) return std::nullopt;
    const std::string_view protocol = key.substr(0, six + 1), name = key.substr(six + 1);
    if (!Wanted(protocol, name)) return std::nullopt;
    return MakeFamily(protocol, name);
  }

  PairedFile snmp_;
  PairedFile netstat_;
  PolledFile snmp6_;
  FamilyCache families_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeNetstat(const LeafContext& context) {
  return std::make_unique<NetstatCollector>(context.host);
}

}  // namespace faultline
