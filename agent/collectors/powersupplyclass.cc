// Batteries and mains: /sys/class/power_supply. Only what a supply has is emitted.
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Row {
  std::string_view file;
  std::string_view name;
  double factor = 1;
};
constexpr double kMicro = 1e-6, kTenth = 0.1;
constexpr Row kRows[] = {{"authentic", "authentic"},
                         {"calibrate", "calibrate"},
                         {"capacity", "capacity"},
                         {"capacity_alert_max", "capacity_alert_max"},
                         {"capacity_alert_min", "capacity_alert_min"},
                         {"cycle_count", "cyclecount"},
                         {"online", "online"},
                         {"present", "present"},
                         {"time_to_empty_now", "time_to_empty_seconds"},
                         {"time_to_full_now", "time_to_full_seconds"},
                         {"current_boot", "current_boot", kMicro},
                         {"current_max", "current_max", kMicro},
                         {"current_now", "current_ampere", kMicro},
                         {"energy_empty", "energy_empty", kMicro},
                         {"energy_empty_design", "energy_empty_design", kMicro},
                         {"energy_full", "energy_full", kMicro},
                         {"energy_full_design", "energy_full_design", kMicro},
                         {"energy_now", "energy_watthour", kMicro},
                         {"voltage_boot", "voltage_boot", kMicro},
                         {"voltage_max", "voltage_max", kMicro},
                         {"voltage_max_design", "voltage_max_design", kMicro},
                         {"voltage_min", "voltage_min", kMicro},
                         {"voltage_min_design", "voltage_min_design", kMicro},
                         {"voltage_now", "voltage_volt", kMicro},
                         {"voltage_ocv", "voltage_ocv", kMicro},
                         {"charge_control_limit", "charge_control_limit", kMicro},
                         {"charge_control_limit_max", "charge_control_limit_max", kMicro},
                         {"charge_counter", "charge_counter", kMicro},
                         {"charge_empty", "charge_empty", kMicro},
                         {"charge_empty_design", "charge_empty_design", kMicro},
                         {"charge_full", "charge_full", kMicro},
                         {"charge_full_design", "charge_full_design", kMicro},
                         {"charge_now", "charge_ampere", kMicro},
                         {"charge_term_current", "charge_term_current", kMicro},
                         {"constant_charge_current", "constant_charge_current", kMicro},
                         {"constant_charge_current_max", "constant_charge_current_max", kMicro},
                         {"constant_charge_voltage", "constant_charge_voltage", kMicro},
                         {"constant_charge_voltage_max", "constant_charge_voltage_max", kMicro},
                         {"precharge_current", "precharge_current", kMicro},
                         {"input_current_limit", "input_current_limit", kMicro},
                         {"power_now", "power_watt", kMicro},
                         {"temp", "temp_celsius", kTenth},
                         {"temp_alert_max", "temp_alert_max_celsius", kTenth},
                         {"temp_alert_min", "temp_alert_min_celsius", kTenth},
                         {"temp_ambient", "temp_ambient_celsius", kTenth},
                         {"temp_ambient_alert_max", "temp_ambient_max_celsius", kTenth},
                         {"temp_ambient_alert_min", "temp_ambient_min_celsius", kTenth},
                         {"temp_max", "temp_max_celsius", kTenth},
                         {"temp_min", "temp_min_celsius", kTenth}};
constexpr std::string_view kTexts[] = {
    "capacity_level", "charge_type", "health",     "manufacturer", "model_name", "scope",
    "serial_number",  "status",      "technology", "type",         "usb_type"};
constexpr MetricFamily kInfo = {"node_power_supply_info", v1::METRIC_TYPE_GAUGE,
                                "Always 1; the labels say what the supply is."};
constexpr std::string_view kFolder = "/sys/class/power_supply";

class PowerSupplyCollector final : public Collector {
 public:
  explicit PowerSupplyCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> supplies, fs_.List(kFolder));
    for (const std::string& supply : supplies) {
      const std::string folder = fmt::format("{}/{}/", kFolder, supply);
      families_.Begin();
      for (const Row& row : kRows) {
        const auto value = fs_.ReadInt(folder + std::string(row.file));
        if (!value) continue;
        const MetricFamily* family = families_.Get(row.name, [](std::string_view name) {
          return std::optional(OwnedFamily{fmt::format("node_power_supply_{}", name),
                                           v1::METRIC_TYPE_GAUGE,
                                           fmt::format("{} of the supply.", name)});
        });
        out.Sample(*family, {{"power_supply", supply}}, static_cast<double>(*value) * row.factor);
      }
      std::string values[std::size(kTexts)];
      LabelView labels[std::size(kTexts) + 1] = {{"power_supply", supply}};
      for (size_t i = 0; i < std::size(kTexts); ++i) {
        values[i] =
            ReplaceInvalidUtf8(fs_.ReadTrimmed(folder + std::string(kTexts[i])).value_or(""));
        labels[i + 1] = {kTexts[i], values[i]};
      }
      out.Sample(kInfo, LabelViews(labels), 1);
    }
    return {};
  }

 private:
  const FsRoot& fs_;
  FamilyCache families_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakePowerSupply(const LeafContext& context) {
  return std::make_unique<PowerSupplyCollector>(context.host);
}

}  // namespace faultline
