// Who made this machine, as its firmware says: /sys/class/dmi/id, read once.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kFamily = {
    "node_dmi_info", v1::METRIC_TYPE_GAUGE,
    "Always 1; the labels say what the firmware says of the machine."};
constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
    {"bios_date", "bios_date"},
    {"bios_release", "bios_release"},
    {"bios_vendor", "bios_vendor"},
    {"bios_version", "bios_version"},
    {"board_asset_tag", "board_asset_tag"},
    {"board_name", "board_name"},
    {"board_serial", "board_serial"},
    {"board_vendor", "board_vendor"},
    {"board_version", "board_version"},
    {"chassis_asset_tag", "chassis_asset_tag"},
    {"chassis_serial", "chassis_serial"},
    {"chassis_vendor", "chassis_vendor"},
    {"chassis_version", "chassis_version"},
    {"product_family", "product_family"},
    {"product_name", "product_name"},
    {"product_serial", "product_serial"},
    {"product_sku", "product_sku"},
    {"product_uuid", "product_uuid"},
    {"product_version", "product_version"},
    {"sys_vendor", "system_vendor"}};

class DmiCollector final : public Collector {
 public:
  explicit DmiCollector(const FsRoot& fs) {
    for (const auto& [file, label] : kFiles) {
      // Serial numbers are for root only: what cannot be read is left out.
      const auto text = fs.ReadTrimmed(fmt::format("/sys/class/dmi/id/{}", file));
      if (text) values_.emplace_back(label, ReplaceInvalidUtf8(*text));
    }
    for (const auto& [label, value] : values_) labels_.push_back({label, value});
  }

  Result<void> Collect(Emitter& out) override {
    if (labels_.empty()) return Fail(ErrorCode::kNotFound, "no /sys/class/dmi/id");
    out.Sample(kFamily, LabelViews(labels_), 1);
    return {};
  }

 private:
  std::vector<std::pair<std::string_view, std::string>> values_;
  std::vector<LabelView> labels_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeDmi(const LeafContext& context) {
  return std::make_unique<DmiCollector>(context.host.fs);
}

}  // namespace faultline
