// NVIDIA's management library, loaded when it is there (libnvidia-ml.so.1). Declarations are our
// own, of its stable interface: names of functions, and layouts that never changed. A function that
// an older driver lacks is an empty answer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace faultline {

// What one GPU says now; what it does not know is empty.
struct GpuState {
  unsigned index = 0;
  std::string uuid;
  std::string name;
  std::string bus_id;
  uint32_t pci_id = 0;  // device << 16 | vendor, 0x233010de is an H100
  bool lost = false;    // it does not answer any more
  std::string error;
  std::optional<unsigned> temperature;
  std::optional<unsigned> memory_temperature;
  std::optional<unsigned> persistence;  // 1: on
  std::optional<unsigned> performance;  // 0 is the greatest
  std::optional<uint64_t> throttle_reasons;
  std::optional<unsigned> sm_clock, memory_clock, graphics_clock;  // MHz
  std::optional<unsigned> max_sm_clock, max_memory_clock, max_graphics_clock;
  std::optional<unsigned> app_graphics_clock, app_memory_clock;
  std::optional<unsigned> pcie_generation, max_pcie_generation, pcie_width, max_pcie_width;
  std::optional<uint64_t> ecc_volatile_corrected, ecc_volatile_uncorrected;
  std::optional<uint64_t> ecc_aggregate_corrected, ecc_aggregate_uncorrected;
  std::optional<unsigned> ecc_mode;
  std::optional<unsigned> remapped_corrected, remapped_uncorrected, remap_pending, remap_failed;
  std::optional<unsigned> retired_pages_pending;
  std::optional<unsigned> nvlinks, nvlinks_active;
  std::optional<uint64_t> nvlink_errors;  // CRC, replay and recovery errors of all links
  std::optional<unsigned> utilization, memory_utilization;
  std::optional<unsigned> power_mw, power_limit_mw;
  std::optional<uint64_t> memory_total, memory_used;
};

class Nvml {
 public:
  // kNotFound: there is no library; kUnavailable: there is, and it does not start (no driver).
  static Result<std::shared_ptr<Nvml>> Open();
  virtual ~Nvml() = default;
  virtual std::string DriverVersion() = 0;
  virtual std::vector<GpuState> Look() = 0;
};

// One look for all GPU checks that ask within a few seconds; opens the library again when it was
// away.
Result<std::vector<GpuState>> LookAtGpus();
std::string GpuDriverVersion();

}  // namespace faultline
