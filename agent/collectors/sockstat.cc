// Sockets by protocol and state: /proc/net/sockstat and sockstat6. Memory comes in pages and is
// given in bytes too.
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

class SockstatCollector final : public Collector {
 public:
  explicit SockstatCollector(const HostView& host)
      : v4_(host.fs.Path("/proc/net/sockstat")),
        v6_(host.fs.Path("/proc/net/sockstat6")),
        page_size_(static_cast<double>(host.page_size)) {}

  Result<void> Collect(Emitter& out) override {
    families_.Begin();
    FAULTLINE_TRY(CollectFile(out, v4_));
    const auto v6 = CollectFile(out, v6_);
    return !v6 && v6.error().code == ErrorCode::kNotFound ? Result<void>() : v6;  // no IPv6
  }

 private:
  Result<void> CollectFile(Emitter& out, PolledFile& file) {
    FAULTLINE_ASSIGN(std::string_view text, file.Read());
    std::string_view line;
    while (NextLine(text, line)) {
      std::string_view protocol = NextWord(line);
      if (protocol.empty()) continue;
      protocol.remove_suffix(1);
      for (std::string_view state = NextWord(line); !state.empty(); state = NextWord(line)) {
        const std::string_view word = NextWord(line);
        const auto value = ParseInt(word);
        if (!value)
          return Fail(ErrorCode::kCorruption, "{}: {} {} '{}'", file.path(), protocol, state, word);
        Emit(out, protocol, state, static_cast<double>(*value));
        if (state == "mem")
          Emit(out, protocol, "mem_bytes", static_cast<double>(*value) * page_size_);
      }
    }
    return {};
  }

  void Emit(Emitter& out, std::string_view protocol, std::string_view state, double value) {
    key_.assign(protocol).append("_").append(state);
    const MetricFamily* family = families_.Get(key_, [&](std::string_view key) {
      return std::optional(OwnedFamily{"node_sockstat_" + MetricName(key), v1::METRIC_TYPE_GAUGE,
                                       protocol == "sockets"
                                           ? std::string("Sockets of all protocols in use.")
                                           : fmt::format("{} sockets: {}.", protocol, state)});
    });
    if (family != nullptr) out.Sample(*family, {}, value);
  }

  PolledFile v4_, v6_;
  double page_size_;
  FamilyCache families_;
  std::string key_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSockstat(const LeafContext& context) {
  return std::make_unique<SockstatCollector>(context.host);
}

}  // namespace faultline
