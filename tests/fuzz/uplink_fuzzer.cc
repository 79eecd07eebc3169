// What the aggregator's end of the wire may send an agent: frames of 2-byte length and bytes. The uplink must survive
// any of them, and go on to say hello and send.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>

#include "agent/uplink.h"
#include "common/assert.h"
#include "common/log.h"

namespace {

using namespace faultline;

class FuzzedTransport final : public ClientTransport {
 public:
  int fd() const override { return -1; }
  Result<void> Send(const WireMessage&) override { return {}; }
  std::optional<Result<WireMessage>> Receive() override {
    if (rest.size() < 2) return std::nullopt;
    const size_t size = std::min<size_t>(static_cast<uint8_t>(rest[0]) | static_cast<uint8_t>(rest[1]) << 8, rest.size() - 2);
    const std::string_view frame = rest.substr(2, size);
    rest.remove_prefix(2 + size);
    return DecodeFrame(frame);
  }
  Result<void> Reconnect() override { return {}; }
  std::string_view rest;
};

// Made once: opening a spool costs more than a thousand inputs.
struct World {
  ManualClock clock{1'700'000'000 * kNsPerSecond};
  FuzzedTransport transport;
  std::unique_ptr<Spool> spool = *Spool::Open({.folder = ""});
  World() {
    spdlog::set_level(spdlog::level::off);
    google::protobuf::SetLogHandler(nullptr);
    v1::Batch batch;
    batch.add_series()->set_ref(1);
    FAULTLINE_ASSERT(spool->Put(batch, 1), "put");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static World& world = *new World;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  (void)Decompress(text, 1 << 20);
  Uplink uplink({.node = "n"}, &world.clock, &world.transport, world.spool.get(), nullptr);
  world.transport.rest = {};
  uplink.Step();
  world.transport.rest = text;
  for (int i = 0; i < 4; ++i) {
    FAULTLINE_ASSERT(uplink.Step() > 0, "a time to be called again");
    world.clock.Advance(kNsPerSecond);
  }
  return 0;
}
