// What the faults read that they did not write: parameters, the vDSO of a process, routing tables, claims.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/faults/fault.h"
#include "agent/faults/network_addresses.h"
#include "agent/faults/vdso_patch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes + 1), size - 1);
  (void)faultline::ParseVdso(text, 0x7fff00000000);
  (void)faultline::LocalAddresses(text);
  (void)faultline::ParseList(text);
  (void)faultline::ParseSize(text);
  (void)faultline::ParseSignedDurationNs(text);
  (void)faultline::ParseRateBytesPerS(text);
  const auto rows = faultline::FaultCatalogue();
  const faultline::FaultRow& row = rows[bytes[0] % rows.size()];
  if (row.parameters.empty()) return 0;
  const auto& parameter = row.parameters[size % row.parameters.size()];
  (void)faultline::AcceptParameters(row.parameters, {{std::string(parameter.name), std::string(text)}}, row.name);
  return 0;
}
