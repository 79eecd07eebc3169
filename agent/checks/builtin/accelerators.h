// Accelerators and their network as sysfs shows them.
#pragma once

#include <string>
#include <vector>

#include "common/host_view.h"

namespace faultline {

struct IbPort {
  std::string device;  // mlx5_0
  std::string name;    // mlx5_0/1
  std::string folder;
  std::string kind;  // InfiniBand or Ethernet (RoCE)
};

inline std::vector<IbPort> ReadIbPorts(const HostView& host) {
  std::vector<IbPort> found;
  const auto devices = host.fs.List("/sys/class/infiniband");
  for (size_t i = 0; devices && i < devices->size(); ++i) {
    const std::string ports = "/sys/class/infiniband/" + (*devices)[i] + "/ports";
    const auto numbers = host.fs.List(ports);
    for (size_t k = 0; numbers && k < numbers->size(); ++k) {
      const std::string folder = ports + "/" + (*numbers)[k];
      found.push_back({(*devices)[i], (*devices)[i] + "/" + (*numbers)[k], folder,
                       host.fs.ReadTrimmed(folder + "/link_layer").value_or("InfiniBand")});
    }
  }
  return found;
}

// An NVIDIA 3D or display controller on the PCI bus.
inline bool HasAccelerator(const HostView& host) {
  const auto devices = host.fs.List("/sys/bus/pci/devices");
  for (size_t i = 0; devices && i < devices->size(); ++i) {
    const std::string folder = "/sys/bus/pci/devices/" + (*devices)[i];
    if (host.fs.ReadTrimmed(folder + "/vendor").value_or("") == "0x10de" &&
        host.fs.ReadTrimmed(folder + "/class").value_or("").starts_with("0x03")) {
      return true;
    }
  }
  return false;
}

}  // namespace faultline
