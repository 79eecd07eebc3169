// Datagrams that UDP sockets of every container lost because their buffers were full
// (bpf/udp.bpf.c).
#include <cstddef>

#include "agent/probes/counts_probe.h"
#include "bpf/udp.h"
#include "udp.skel.h"

namespace faultline {
namespace {

constexpr WordSeries kSeries[] = {
    {offsetof(udp_counts, receive_drops),
     {"container_udp_receive_drops_total", v1::METRIC_TYPE_COUNTER,
      "Datagrams that came for a UDP socket of the container and found its buffer full."},
     {}},
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeUdpProbe(const LeafContext& context) {
  return CountsProbe<udp_bpf, udp_counts>::Make("udp", context, size_t{1} << 20, 1024, kSeries, {});
}

}  // namespace faultline
