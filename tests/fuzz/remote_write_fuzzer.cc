// The body of a remote write, as it comes from the network; and what is below snappy, which a
// mutation of the compressed form rarely reaches.
#include <cstdint>
#include <string_view>

#include "aggregator/api/routes/remote_write.h"

namespace {

void Read(std::string_view request) {
  (void)faultline::routes::ReadRemoteWrite(
      request,
      [](const faultline::routes::WrittenSeries& series) -> faultline::Result<void> {
        (void)faultline::routes::LabelsOfWritten(series.labels);
        return {};
      },
      [](const faultline::v1::RemoteMetadata&) -> faultline::Result<void> { return {}; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  if (const auto request = faultline::routes::UncompressRemoteWrite(input)) Read(*request);
  Read(input);
  return 0;
}
