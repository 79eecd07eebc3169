// The body of a remote read, as it comes from the network.
#include <cstdint>
#include <string_view>

#include "aggregator/api/routes/remote_read.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  (void)faultline::routes::DecodeRemoteRead({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
