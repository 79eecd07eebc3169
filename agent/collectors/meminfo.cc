// What the memory is used for: every line of /proc/meminfo, in bytes where the kernel counts in kB.
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

// "Active(anon):" with a unit is node_memory_Active_anon_bytes.
OwnedFamily MakeFamily(std::string_view key, bool in_bytes) {
  key.remove_suffix(1);
  std::string name;
  for (const char c : key) {
    if (c == ')') continue;
    name += c == '(' ? '_' : c;
  }
  if (in_bytes) name += "_bytes";
  return {"node_memory_" + MetricName(name), v1::METRIC_TYPE_GAUGE,
          fmt::format("{} as /proc/meminfo gives it{}.", key, in_bytes ? ", in bytes" : "")};
}

class MeminfoCollector final : public Collector {
 public:
  explicit MeminfoCollector(const HostView& host) : file_(host.fs.Path("/proc/meminfo")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    families_.Begin();
    std::string_view line;
    while (NextLine(text, line)) {
      const std::string_view key = NextWord(line);
      const std::string_view number = NextWord(line);
      const bool in_bytes = NextWord(line) == "kB";
      if (key.empty()) continue;
      const auto value = ParseUint(number);
      if (!value || key.back() != ':') {
        return Fail(ErrorCode::kCorruption, "{}: '{} {}' is no amount", file_.path(), key, number);
      }
      const MetricFamily* family = families_.Get(
          key, [&](std::string_view k) { return std::optional(MakeFamily(k, in_bytes)); });
      if (family == nullptr) continue;
      out.Sample(*family, {}, static_cast<double>(*value) * (in_bytes ? 1024.0 : 1.0));
    }
    return {};
  }

 private:
  PolledFile file_;
  FamilyCache families_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeMeminfo(const LeafContext& context) {
  return std::make_unique<MeminfoCollector>(context.host);
}

}  // namespace faultline
