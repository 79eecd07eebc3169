// Memory errors that the memory controllers corrected or could not correct
// (/sys/devices/system/edac).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily kCorrected =
    Counter("node_edac_correctable_errors_total", "Memory errors the controller corrected.");
constexpr MetricFamily kUncorrected = Counter("node_edac_uncorrectable_errors_total",
                                              "Memory errors the controller could not correct.");
constexpr MetricFamily kRowCorrected = Counter("node_edac_csrow_correctable_errors_total",
                                               "Memory errors corrected in this row of chips.");
constexpr MetricFamily kRowUncorrected =
    Counter("node_edac_csrow_uncorrectable_errors_total",
            "Memory errors in this row of chips that could not be corrected.");
constexpr std::string_view kFolder = "/sys/devices/system/edac/mc/";

class EdacCollector final : public Collector {
 public:
  explicit EdacCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    for (const std::string& name : fs_.List(kFolder).value_or(std::vector<std::string>())) {
      if (name.starts_with("mc") && ParseUint(name.substr(2))) {
        FAULTLINE_TRY(Controller(out, std::string(kFolder) + name, name.substr(2)));
      }
    }
    return {};
  }

 private:
  Result<void> Controller(Emitter& out, const std::string& folder,
                          const std::string& number) const {
    FAULTLINE_TRY(Emit(out, kCorrected, folder + "/ce_count", number, ""));
    FAULTLINE_TRY(Emit(out, kRowCorrected, folder + "/ce_noinfo_count", number, "unknown"));
    FAULTLINE_TRY(Emit(out, kUncorrected, folder + "/ue_count", number, ""));
    FAULTLINE_TRY(Emit(out, kRowUncorrected, folder + "/ue_noinfo_count", number, "unknown"));
    FAULTLINE_ASSIGN(const std::vector<std::string> names, fs_.List(folder));
    for (const std::string& name : names) {
      if (!name.starts_with("csrow") || !ParseUint(name.substr(5))) continue;
      FAULTLINE_TRY(
          Emit(out, kRowCorrected, folder + "/" + name + "/ce_count", number, name.substr(5)));
      FAULTLINE_TRY(
          Emit(out, kRowUncorrected, folder + "/" + name + "/ue_count", number, name.substr(5)));
    }
    return {};
  }

  Result<void> Emit(Emitter& out, const MetricFamily& family, const std::string& path,
                    std::string_view controller, std::string_view row) const {
    FAULTLINE_ASSIGN(const int64_t count, fs_.ReadInt(path));
    const LabelView labels[] = {{"controller", controller}, {"csrow", row}};
    out.Sample(family, LabelViews(labels, row.empty() ? 1 : 2), static_cast<double>(count));
    return {};
  }

  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeEdac(const LeafContext& context) {
  return std::make_unique<EdacCollector>(context.host);
}

}  // namespace faultline
