// Bits of randomness the kernel has at hand.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kAvailable = {"node_entropy_available_bits", v1::METRIC_TYPE_GAUGE,
                                     "Bits of entropy that are available."};
constexpr MetricFamily kPoolSize = {"node_entropy_pool_size_bits", v1::METRIC_TYPE_GAUGE,
                                    "Bits that the entropy pool can hold."};

class EntropyCollector final : public Collector {
 public:
  explicit EntropyCollector(const HostView& host)
      : available_(host.fs.Path("/proc/sys/kernel/random/entropy_avail")),
        pool_size_(host.fs.Path("/proc/sys/kernel/random/poolsize")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(Emit(out, kAvailable, available_));
    return Emit(out, kPoolSize, pool_size_);
  }

 private:
  static Result<void> Emit(Emitter& out, const MetricFamily& family, PolledFile& file) {
    FAULTLINE_ASSIGN(const std::string_view text, file.Read());
    const auto bits = ParseUint(Trim(text));
    if (!bits) return Fail(ErrorCode::kCorruption, "{}: no number", file.path());
    out.Sample(family, {}, static_cast<double>(*bits));
    return {};
  }

  PolledFile available_, pool_size_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeEntropy(const LeafContext& context) {
  return std::make_unique<EntropyCollector>(context.host);
}

}  // namespace faultline
