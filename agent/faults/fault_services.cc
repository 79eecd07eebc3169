// Which faults have a part that must live as long as they do (fault_service.h); the first that fits.
#include "agent/faults/fault_service.h"

namespace faultline {

Result<void> ServeDetour(const ServiceCall& call);
Result<void> ServeDiskLoad(const ServiceCall& call);
Result<void> ServeFlood(const ServiceCall& call);
Result<void> ServeHttpProxy(const ServiceCall& call);
Result<void> ServeIo(const ServiceCall& call);
Result<void> ServeOccupiedPort(const ServiceCall& call);
Result<void> ServeSyscalls(const ServiceCall& call);

std::span<const FaultServiceRow> FaultServices() {
  static constexpr FaultServiceRow kServices[] = {
      {"disk_", ServeDiskLoad},
      {"dns_", ServeDetour},
      {"http_", ServeHttpProxy},
      {"io_", ServeIo},
      {"network_flood", ServeFlood},
      {"network_port_occupied", ServeOccupiedPort},
      {"syscall_", ServeSyscalls},
      {"network_", ServeDetour},
  };
  return kServices;
}

}  // namespace faultline
