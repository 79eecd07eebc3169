// Whether SELinux is on, and in which mode it was configured and runs (-1 disabled, 0 permissive, 1
// enforcing).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kEnabled = {"node_selinux_enabled", v1::METRIC_TYPE_GAUGE,
                                   "1 if SELinux is on, 0 if not."};
constexpr MetricFamily kConfigMode = {
    "node_selinux_config_mode", v1::METRIC_TYPE_GAUGE,
    "Configured SELinux mode: -1 disabled, 0 permissive, 1 enforcing."};
constexpr MetricFamily kCurrentMode = {
    "node_selinux_current_mode", v1::METRIC_TYPE_GAUGE,
    "SELinux mode in force: -1 disabled, 0 permissive, 1 enforcing."};

double ConfiguredMode(const FsRoot& fs) {
  const std::string text = fs.Read("/etc/selinux/config").value_or("");
  std::string_view rest = text, line;
  while (NextLine(rest, line)) {
    line = Trim(line);
    if (!line.starts_with("SELINUX=")) continue;
    const std::string_view mode = Trim(line.substr(8));
    return mode == "enforcing" ? 1 : mode == "permissive" ? 0 : -1;
  }
  return -1;
}

class SelinuxCollector final : public Collector {
 public:
  explicit SelinuxCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    const auto enforcing = fs_.ReadInt("/sys/fs/selinux/enforce");
    out.Sample(kEnabled, {}, enforcing ? 1 : 0);
    if (!enforcing) return {};
    out.Sample(kConfigMode, {}, ConfiguredMode(fs_));
    out.Sample(kCurrentMode, {}, static_cast<double>(*enforcing));
    return {};
  }

 private:
  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSelinux(const LeafContext& context) {
  return std::make_unique<SelinuxCollector>(context.host);
}

}  // namespace faultline
