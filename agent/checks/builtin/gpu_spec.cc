#include "agent/checks/builtin/gpu_spec.h"

namespace faultline {

const GpuSpec& GpuSpecOf(uint32_t pci_id) {
  static constexpr GpuSpec kSpecs[] = {
      {0, "any", 0, 0, 0, 80, 95, 512, 4, ""},
      {0x233010de, "H100 SXM", 1980, 2619, 18, 75, 95, 512, 4, "535.129.03"},
      {0x233510de, "H200 SXM", 1980, 3201, 18, 75, 95, 512, 4, "550.54.14"},
      {0x232410de, "H800 SXM", 1980, 2619, 8, 75, 95, 512, 4, "535.129.03"},
      {0x20b210de, "A100 SXM 80GB", 1410, 1593, 12, 75, 95, 512, 4, "450.80.02"},
      {0x20b010de, "A100 SXM 40GB", 1410, 1215, 12, 75, 95, 512, 4, "450.80.02"},
  };
  for (const GpuSpec& spec : kSpecs) {
    if (spec.pci_id == pci_id && pci_id != 0) return spec;
  }
  return kSpecs[0];
}

}  // namespace faultline
