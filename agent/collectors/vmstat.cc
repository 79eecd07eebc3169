// Paging and OOM kills since boot: the few lines of /proc/vmstat that dashboards use.
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

// oom_kill*, pgpg*, pswp*, pg*fault*
bool Wanted(std::string_view key) {
  return key.starts_with("oom_kill") || key.starts_with("pgpg") || key.starts_with("pswp") ||
         (key.starts_with("pg") && key.find("fault", 2) != std::string_view::npos);
}

std::optional<OwnedFamily> MakeFamily(std::string_view key) {
  if (!Wanted(key)) return std::nullopt;
  return OwnedFamily{"node_vmstat_" + MetricName(key), v1::METRIC_TYPE_UNTYPED,
                     fmt::format("{} as /proc/vmstat counts it.", key)};
}

class VmstatCollector final : public Collector {
 public:
  explicit VmstatCollector(const HostView& host) : file_(host.fs.Path("/proc/vmstat")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    families_.Begin();
    std::string_view line;
    while (NextLine(text, line)) {
      // Most lines start otherwise: this is the cheapest way past them.
      if (!line.starts_with('p') && !line.starts_with('o')) continue;
      const std::string_view key = NextWord(line);
      const MetricFamily* family = families_.Get(key, MakeFamily);
      if (family == nullptr) continue;
      const auto value = ParseUint(Trim(line));
      if (!value) return Fail(ErrorCode::kCorruption, "{}: {} is no number", file_.path(), key);
      out.Sample(*family, {}, static_cast<double>(*value));
    }
    return {};
  }

 private:
  PolledFile file_;
  FamilyCache families_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeVmstat(const LeafContext& context) {
  return std::make_unique<VmstatCollector>(context.host);
}

}  // namespace faultline
