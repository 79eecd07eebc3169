// Hardware sensors: temperatures, fans, voltages, currents, power (/sys/class/hwmon). A file
// <type><number>_<property> becomes node_hwmon_<type>[_<property>]_<unit>.
#include <algorithm>
#include <filesystem>
#include <map>

#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kChipNames = {"node_hwmon_chip_names", v1::METRIC_TYPE_GAUGE,
                                     "Always 1; the labels give the chip a readable name."};
constexpr MetricFamily kSensorLabel = {"node_hwmon_sensor_label", v1::METRIC_TYPE_GAUGE,
                                       "Always 1; the labels give the sensor a readable name."};
constexpr std::string_view kTypes[] = {
    "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
    "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};
constexpr std::string_view kFolder = "/sys/class/hwmon/";
namespace stdfs = std::filesystem;

// Lower case; what cannot be part of a name becomes _, but not at the ends.
std::string CleanName(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  name = MetricName(name);
  const size_t first = name.find_first_not_of('_');
  if (first == std::string::npos) return "";
  return name.substr(first, name.find_last_not_of('_') - first + 1);
}

struct SensorFile {
  std::string_view type, number, property;
};
// "temp1_crit_alarm" → temp, 1, crit_alarm; "pwm1" → pwm, 1, "".
std::optional<SensorFile> ParseFile(std::string_view name) {
  const size_t digits = name.find_first_of("0123456789");
  SensorFile file{name.substr(0, digits), "", ""};
  if (digits != std::string_view::npos) {
    size_t end = name.find_first_not_of("0123456789", digits);
    if (end == std::string_view::npos) end = name.size();
    file.number = name.substr(digits, end - digits);
    if (end < name.size()) {
      if (name[end] != '_') return std::nullopt;
      file.property = name.substr(end + 1);
    }
  }
  if (std::find(std::begin(kTypes), std::end(kTypes), file.type) == std::end(kTypes))
    return std::nullopt;
  return file;
}

struct Shape {
  std::string name;
  v1::MetricType type = v1::METRIC_TYPE_GAUGE;
  double factor = 1;
};

Shape ShapeOf(std::string_view type, std::string_view property, bool has_bare_value) {
  const std::string prefix = "node_hwmon_";
  if (type == "beep_enable") return {prefix + "beep_enabled"};
  if (type == "vrm") return {prefix + "voltage_regulator_version"};
  if (type == "update_interval")
    return {prefix + "update_interval_seconds", v1::METRIC_TYPE_GAUGE, 1e-3};
  std::string name = prefix + std::string(type);
  if (property == "input") {
    if (has_bare_value) name += "_input";
  } else if (!property.empty()) {
    name += "_" + CleanName(property);
  }
  const auto with = [&](std::string_view suffix, double factor) {
    return Shape{name + std::string(suffix), v1::METRIC_TYPE_GAUGE, factor};
  };
  if (property == "fault" || property == "alarm") return with("", 1);
  if (property == "beep") return with("_enabled", 1);
  if (type == "in" || type == "cpu") return with("_volts", 1e-3);
  if (type == "temp" && property != "type") return with("_celsius", 1e-3);
  if (type == "curr") return with("_amps", 1e-3);
  if (type == "energy") return {name + "_joule_total", v1::METRIC_TYPE_COUNTER, 1e-6};
  if (type == "power" && property == "accuracy") return with("", 1e-6);
  if (type == "power" && property.starts_with("average_interval")) return with("_seconds", 1e-3);
  if (type == "power") return with("_watt", 1e-6);
  if (type == "humidity") return with("", 1e-6);
  if (type == "fan" &&
      (property == "input" || property == "min" || property == "max" || property == "target")) {
    return with("_rpm", 1);
  }
  if (type == "freq" && property == "input") return with("_freq_mhz", 1e-6);
  return with("", 1);
}

class HwmonCollector final : public Collector {
 public:
  explicit HwmonCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> chips, fs_.List(kFolder));
    families_.Begin();
    for (const std::string& chip : chips) Chip(out, std::string(kFolder) + chip);
    return {};
  }

 private:
  using Properties = std::map<std::string, std::string, std::less<>>;

  void Chip(Emitter& out, const std::string& folder) {
    const std::string chip = ChipName(folder);
    const std::string name = CleanName(fs_.ReadTrimmed(folder + "/name").value_or(""));
    if (chip.empty()) return;
    std::map<std::string, Properties> sensors;  // "temp1" -> property -> text
    for (const std::string& place : {folder, folder + "/device"}) {
      for (const std::string& file : fs_.List(place).value_or(std::vector<std::string>())) {
        const auto parsed = ParseFile(file);
        auto text = parsed ? fs_.ReadTrimmed(place + "/" + file)
                           : Result<std::string>(Fail(ErrorCode::kNotFound, ""));
        if (!text) continue;
        const std::string number(parsed->number.empty() ? "0" : parsed->number);
        sensors[std::string(parsed->type) + number][std::string(parsed->property)] =
            *std::move(text);
      }
    }
    if (!name.empty()) out.Sample(kChipNames, {{"chip", chip}, {"chip_name", name}}, 1);
    for (const auto& [sensor, properties] : sensors) Sensor(out, chip, sensor, properties);
  }

  void Sensor(Emitter& out, const std::string& chip, const std::string& sensor,
              const Properties& properties) {
    const std::string_view type =
        std::string_view(sensor).substr(0, sensor.find_first_of("0123456789"));
    const bool has_bare_value = properties.contains("");
    for (const auto& [property, text] : properties) {
      if (property == "label") {
        const std::string label = ReplaceInvalidUtf8(text);
        if (!label.empty())
          out.Sample(kSensorLabel, {{"chip", chip}, {"sensor", sensor}, {"label", label}}, 1);
        continue;
      }
      const auto value = ParseDouble(text);
      if (!value) continue;
      const Shape shape = ShapeOf(type, property, has_bare_value);
      const MetricFamily* family = families_.Get(shape.name, [&](std::string_view name) {
        return std::optional(OwnedFamily{
            std::string(name), shape.type,
            fmt::format("{} {} of the sensor.", type, property.empty() ? "value" : property)});
      });
      if (family != nullptr)
        out.Sample(*family, {{"chip", chip}, {"sensor", sensor}}, *value * shape.factor);
    }
  }

  // hwmon numbers change from boot to boot; the path of the device behind does not.
  std::string ChipName(const std::string& folder) const {
    std::error_code error;
    const stdfs::path device = stdfs::canonical(fs_.Path(folder + "/device"), error);
    if (!error) {
      const std::string name = CleanName(device.filename().string());
      const std::string bus = CleanName(device.parent_path().filename().string());
      if (!name.empty()) return bus.empty() ? name : bus + "_" + name;
    }
    const std::string name = CleanName(fs_.ReadTrimmed(folder + "/name").value_or(""));
    if (!name.empty()) return name;
    return CleanName(stdfs::canonical(fs_.Path(folder), error).filename().string());
  }

  const FsRoot& fs_;
  FamilyCache families_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeHwmon(const LeafContext& context) {
  return std::make_unique<HwmonCollector>(context.host);
}

}  // namespace faultline
