// What a healthy GPU of each model looks like: sichek's thresholds where it has them. Keyed by PCI
// id (device << 16 | vendor).
#pragma once

#include <cstdint>

namespace faultline {

struct GpuSpec {
  uint32_t pci_id;
  const char* model;
  unsigned max_sm_clock;  // MHz; 0: as the driver says
  unsigned max_memory_clock;
  unsigned nvlinks;          // 0: none
  unsigned max_temperature;  // °C
  unsigned max_memory_temperature;
  unsigned max_remapped_uncorrected;
  unsigned max_aggregate_uncorrected;
  const char* min_driver;
};

// The spec of that model, or the one that fits every model.
const GpuSpec& GpuSpecOf(uint32_t pci_id);

}  // namespace faultline
