// Energy that packages, cores and memory used, as the processor counts it
// (/sys/class/powercap/intel-rapl*).
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kFolder = "/sys/class/powercap";

class RaplCollector final : public Collector {
 public:
  explicit RaplCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> names, fs_.List(kFolder));
    families_.Begin();
    std::vector<std::pair<std::string, size_t>> unnumbered;  // zones of one name are counted
    for (const std::string& folder : names) {
      const std::string path = fmt::format("{}/{}", kFolder, folder);
      const auto name = fs_.ReadTrimmed(path + "/name");
      if (!folder.starts_with("intel-rapl") || !name) continue;
      const auto energy = fs_.ReadInt(path + "/energy_uj");
      // Only root may read it since it was found to leak secrets.
      if (!energy && energy.error().code == ErrorCode::kPermissionDenied) {
        return Fail(ErrorCode::kNotFound, "{}/energy_uj is for root only", path);
      }
      if (!energy) continue;
      const auto [zone, index] = ZoneOf(*name, unnumbered);
      const MetricFamily* family = families_.Get(zone, [](std::string_view key) {
        return std::optional(OwnedFamily{"node_rapl_" + MetricName(key) + "_joules_total",
                                         v1::METRIC_TYPE_COUNTER,
                                         fmt::format("Energy that {} used.", key)});
      });
      if (family == nullptr) continue;
      out.Sample(*family, {{"index", index}, {"path", path}}, static_cast<double>(*energy) / 1e6);
    }
    return {};
  }

 private:
  // "package-1" is zone package with index 1; zones without a number get the next free one.
  static std::pair<std::string, std::string> ZoneOf(
      const std::string& name, std::vector<std::pair<std::string, size_t>>& unnumbered) {
    const size_t dash = name.rfind('-');
    if (dash != std::string::npos && ParseUint(std::string_view(name).substr(dash + 1))) {
      return {name.substr(0, dash), name.substr(dash + 1)};
    }
    for (auto& [known, next] : unnumbered) {
      if (known == name) return {name, std::to_string(next++)};
    }
    unnumbered.emplace_back(name, 1);
    return {name, "0"};
  }

  const FsRoot& fs_;
  FamilyCache families_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeRapl(const LeafContext& context) {
  return std::make_unique<RaplCollector>(context.host);
}

}  // namespace faultline
