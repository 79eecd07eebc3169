// The body of a remote write, as it comes from the network.
#include <cstdint>
#include <string_view>

#include "aggregator/api/routes/remote_write.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  (void)faultline::routes::DecodeRemoteWrite({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
