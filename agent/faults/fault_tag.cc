#include "agent/faults/fault_tag.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace faultline {

std::string HomeTag(std::string_view home) {
  return fmt::format("flt{:04x}", XXH64(home.data(), home.size(), 0) & 0xffff);
}

std::string FaultTag(std::string_view home, std::string_view fault_uid) {
  return fmt::format("{}{:08x}", HomeTag(home),
                     XXH64(fault_uid.data(), fault_uid.size(), 0) & 0xffffffff);
}

}  // namespace faultline
