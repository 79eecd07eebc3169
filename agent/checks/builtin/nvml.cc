#include "agent/checks/builtin/nvml.h"

#include <dlfcn.h>

#include <mutex>

#include "common/clock.h"

namespace faultline {
namespace {

using Device = void*;
using Return = int;
constexpr Return kSuccess = 0;
constexpr Return kGpuIsLost = 15;
constexpr unsigned kTemperatureGpu = 0;
constexpr unsigned kClockGraphics = 0, kClockSm = 1, kClockMemory = 2;
constexpr unsigned kCorrected = 0, kUncorrected = 1, kVolatile = 0, kAggregate = 1;
constexpr unsigned kMaxLinks = 18;
constexpr unsigned kFieldMemoryTemperature = 82;

struct PciIds {  // nvmlPciInfo_t, version 3
  char old_bus_id[16];
  unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
  char bus_id[32];
};
struct Memory {
  unsigned long long total, free, used;
};
struct Utilization {
  unsigned gpu, memory;
};
struct FieldValue {  // nvmlFieldValue_t
  unsigned field_id, scope_id;
  long long timestamp, latency_us;
  unsigned value_type;
  Return result;
  union {
    double d;
    unsigned ui;
    unsigned long ul;
    unsigned long long ull;
    long long sll;
  } value;
};

class Library final : public Nvml {
 public:
  explicit Library(void* handle) : handle_(handle) {}
  ~Library() override {
    // Never unloaded: the driver's threads may still be in it.
    Call("nvmlShutdown");
  }

  template <typename... Args>
  Return Call(const char* name, Args... args) {
    void* symbol = dlsym(handle_, name);
    if (symbol == nullptr) return 13;  // function not found
    return reinterpret_cast<Return (*)(Args...)>(symbol)(args...);
  }

  std::string DriverVersion() override {
    char text[96] = {};
    return Call("nvmlSystemGetDriverVersion", text, unsigned{sizeof(text)}) == kSuccess ? text : "";
  }

  std::vector<GpuState> Look() override {
    std::vector<GpuState> gpus;
    unsigned count = 0;
    if (Call("nvmlDeviceGetCount_v2", &count) != kSuccess) return gpus;
    for (unsigned i = 0; i < count && i < 64; ++i) {
      GpuState& gpu = gpus.emplace_back();
      gpu.index = i;
      Device device = nullptr;
      const Return got = Call("nvmlDeviceGetHandleByIndex_v2", i, &device);
      if (got != kSuccess) {
        gpu.lost = got == kGpuIsLost;
        gpu.error = fmt::format("the driver answers {}", got);
        continue;
      }
      Identify(device, gpu);
      LookAtClocks(device, gpu);
      LookAtMemory(device, gpu);
      LookAtLinks(device, gpu);
    }
    return gpus;
  }

 private:
  template <typename... Args>
  std::optional<unsigned> Number(const char* name, Device device, Args... args) {
    unsigned value = 0;
    return Call(name, device, args..., &value) == kSuccess ? std::optional(value) : std::nullopt;
  }
  std::optional<uint64_t> Count(const char* name, Device device, unsigned kind, unsigned counter) {
    unsigned long long value = 0;
    return Call(name, device, kind, counter, &value) == kSuccess ? std::optional<uint64_t>(value)
                                                                 : std::nullopt;
  }

  void Identify(Device device, GpuState& gpu) {
    char text[96] = {};
    if (Call("nvmlDeviceGetUUID", device, text, unsigned{sizeof(text)}) == kSuccess)
      gpu.uuid = text;
    if (Call("nvmlDeviceGetName", device, text, unsigned{sizeof(text)}) == kSuccess)
      gpu.name = text;
    PciIds pci{};
    if (Call("nvmlDeviceGetPciInfo_v3", device, &pci) == kSuccess) {
      gpu.pci_id = pci.pci_device_id;
      gpu.bus_id = std::string(pci.bus_id, strnlen(pci.bus_id, sizeof(pci.bus_id)));
    }
    unsigned value = 0;
    const Return got = Call("nvmlDeviceGetTemperature", device, kTemperatureGpu, &value);
    if (got == kSuccess) gpu.temperature = value;
    gpu.lost = got == kGpuIsLost;
    FieldValue field{};
    field.field_id = kFieldMemoryTemperature;
    if (Call("nvmlDeviceGetFieldValues", device, 1, &field) == kSuccess &&
        field.result == kSuccess) {
      gpu.memory_temperature = field.value.ui;
    }
    gpu.persistence = Number("nvmlDeviceGetPersistenceMode", device);
    gpu.performance = Number("nvmlDeviceGetPerformanceState", device);
    gpu.power_mw = Number("nvmlDeviceGetPowerUsage", device);
    gpu.power_limit_mw = Number("nvmlDeviceGetEnforcedPowerLimit", device);
    Utilization use{};
    if (Call("nvmlDeviceGetUtilizationRates", device, &use) == kSuccess) {
      gpu.utilization = use.gpu;
      gpu.memory_utilization = use.memory;
    }
  }

  void LookAtClocks(Device device, GpuState& gpu) {
    gpu.graphics_clock = Number("nvmlDeviceGetClockInfo", device, kClockGraphics);
    gpu.sm_clock = Number("nvmlDeviceGetClockInfo", device, kClockSm);
    gpu.memory_clock = Number("nvmlDeviceGetClockInfo", device, kClockMemory);
    gpu.max_graphics_clock = Number("nvmlDeviceGetMaxClockInfo", device, kClockGraphics);
    gpu.max_sm_clock = Number("nvmlDeviceGetMaxClockInfo", device, kClockSm);
    gpu.max_memory_clock = Number("nvmlDeviceGetMaxClockInfo", device, kClockMemory);
    gpu.app_graphics_clock = Number("nvmlDeviceGetApplicationsClock", device, kClockGraphics);
    gpu.app_memory_clock = Number("nvmlDeviceGetApplicationsClock", device, kClockMemory);
    unsigned long long reasons = 0;
    if (Call("nvmlDeviceGetCurrentClocksThrottleReasons", device, &reasons) == kSuccess)
      gpu.throttle_reasons = reasons;
    gpu.pcie_generation = Number("nvmlDeviceGetCurrPcieLinkGeneration", device);
    gpu.max_pcie_generation = Number("nvmlDeviceGetMaxPcieLinkGeneration", device);
    gpu.pcie_width = Number("nvmlDeviceGetCurrPcieLinkWidth", device);
    gpu.max_pcie_width = Number("nvmlDeviceGetMaxPcieLinkWidth", device);
  }

  void LookAtMemory(Device device, GpuState& gpu) {
    constexpr const char* kErrors = "nvmlDeviceGetTotalEccErrors";
    gpu.ecc_volatile_corrected = Count(kErrors, device, kCorrected, kVolatile);
    gpu.ecc_volatile_uncorrected = Count(kErrors, device, kUncorrected, kVolatile);
    gpu.ecc_aggregate_corrected = Count(kErrors, device, kCorrected, kAggregate);
    gpu.ecc_aggregate_uncorrected = Count(kErrors, device, kUncorrected, kAggregate);
    unsigned mode = 0, pending_mode = 0;
    if (Call("nvmlDeviceGetEccMode", device, &mode, &pending_mode) == kSuccess) gpu.ecc_mode = mode;
    unsigned corrected = 0, uncorrected = 0, pending = 0, failed = 0;
    if (Call("nvmlDeviceGetRemappedRows", device, &corrected, &uncorrected, &pending, &failed) ==
        kSuccess) {
      gpu.remapped_corrected = corrected;
      gpu.remapped_uncorrected = uncorrected;
      gpu.remap_pending = pending;
      gpu.remap_failed = failed;
    }
    gpu.retired_pages_pending = Number("nvmlDeviceGetRetiredPagesPendingStatus", device);
    Memory memory{};
    if (Call("nvmlDeviceGetMemoryInfo", device, &memory) == kSuccess) {
      gpu.memory_total = memory.total;
      gpu.memory_used = memory.used;
    }
  }

  void LookAtLinks(Device device, GpuState& gpu) {
    unsigned links = 0, active = 0;
    uint64_t errors = 0;
    for (unsigned link = 0; link < kMaxLinks; ++link) {
      const auto state = Number("nvmlDeviceGetNvLinkState", device, link);
      if (!state) continue;
      ++links;
      active += *state == 1 ? 1 : 0;
      for (unsigned counter = 0; counter < 4; ++counter) {
        errors += Count("nvmlDeviceGetNvLinkErrorCounter", device, link, counter).value_or(0);
      }
    }
    if (links == 0) return;
    gpu.nvlinks = links;
    gpu.nvlinks_active = active;
    gpu.nvlink_errors = errors;
  }

  void* const handle_;
};

struct Shared {
  std::mutex mutex;
  std::shared_ptr<Nvml> nvml;
  Error error;
  int64_t tried_ns = 0;
  int64_t looked_ns = 0;
  std::vector<GpuState> gpus;
};

Shared& TheShared() {
  static auto* const kShared = new Shared;  // a thread that hangs in the driver may outlive main
  return *kShared;
}

constexpr int64_t kFreshNs = 5 * kNsPerSecond;
constexpr int64_t kTryAgainNs = 60 * kNsPerSecond;

}  // namespace

Result<std::shared_ptr<Nvml>> Nvml::Open() {
  void* handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return Fail(ErrorCode::kNotFound, "libnvidia-ml.so.1 is not here");
  auto library = std::make_shared<Library>(handle);
  if (const Return started = library->Call("nvmlInit_v2"); started != kSuccess) {
    return Fail(ErrorCode::kUnavailable, "NVML does not start: {}", started);
  }
  return library;
}

Result<std::vector<GpuState>> LookAtGpus() {
  Shared& shared = TheShared();
  const std::lock_guard lock(shared.mutex);
  const int64_t now = SystemClock().SteadyNs();
  if (shared.nvml == nullptr) {
    if (shared.tried_ns != 0 && now - shared.tried_ns < kTryAgainNs)
      return std::unexpected(shared.error);
    shared.tried_ns = now;
    auto opened = Nvml::Open();
    if (!opened) {
      shared.error = opened.error();
      return std::unexpected(opened.error());
    }
    shared.nvml = *std::move(opened);
  }
  if (shared.looked_ns == 0 || now - shared.looked_ns >= kFreshNs) {
    shared.gpus = shared.nvml->Look();
    shared.looked_ns = now;
  }
  return shared.gpus;
}

std::string GpuDriverVersion() {
  Shared& shared = TheShared();
  const std::lock_guard lock(shared.mutex);
  return shared.nvml == nullptr ? "" : shared.nvml->DriverVersion();
}

}  // namespace faultline
