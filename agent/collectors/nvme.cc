// NVMe controllers: model, serial number, firmware and state (/sys/class/nvme).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kFamily = {"node_nvme_info", v1::METRIC_TYPE_GAUGE,
                                  "Always 1; the labels say what the controller is."};
constexpr std::string_view kFolder = "/sys/class/nvme";

class NvmeCollector final : public Collector {
 public:
  explicit NvmeCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> devices, fs_.List(kFolder));
    for (const std::string& device : devices) {
      const auto text = [&](std::string_view file) {
        return fs_.ReadTrimmed(fmt::format("{}/{}/{}", kFolder, device, file)).value_or("");
      };
      out.Sample(kFamily,
                 {{"device", device},
                  {"firmware_revision", text("firmware_rev")},
                  {"model", text("model")},
                  {"serial", text("serial")},
                  {"state", text("state")}},
                 1);
    }
    return {};
  }

 private:
  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeNvme(const LeafContext& context) {
  return std::make_unique<NvmeCollector>(context.host);
}

}  // namespace faultline
