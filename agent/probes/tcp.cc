// TCP of every container: opens, bytes, round trips, retransmitted segments, resets, sockets by
// state, and who calls whom (bpf/tcp.bpf.c).
#include <array>
#include <cstddef>

#include "agent/probes/counts_probe.h"
#include "agent/probes/tcp_edges.h"
#include "bpf/tcp.h"
#include "tcp.skel.h"

namespace faultline {
namespace {

constexpr size_t kWords = sizeof(tcp_counts) / sizeof(uint64_t);
constexpr size_t kFirstState = offsetof(tcp_counts, sockets) / sizeof(uint64_t);

constexpr MetricFamily Total(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily kResets =
    Total("container_tcp_resets_total", "TCP resets of the container's connections.");
constexpr WordSeries kSeries[] = {
    {offsetof(tcp_counts, connects),
     Total("container_tcp_connects_total", "Connections the container opened."),
     {}},
    {offsetof(tcp_counts, connect_failures),
     Total("container_tcp_connect_failures_total",
           "Connections the container tried to open in vain."),
     {}},
    {offsetof(tcp_counts, accepts),
     Total("container_tcp_accepts_total", "Connections opened to the container."),
     {}},
    {offsetof(tcp_counts, retransmits),
     Total("container_tcp_retransmits_total", "TCP segments of the container sent again."),
     {}},
    {offsetof(tcp_counts, resets_sent), kResets, {"direction", "sent"}},
    {offsetof(tcp_counts, resets_received), kResets, {"direction", "received"}},
    {offsetof(tcp_counts, sent_bytes),
     Total("container_tcp_sent_bytes_total",
           "Bytes that the container sent in connections that ended."),
     {}},
    {offsetof(tcp_counts, received_bytes),
     Total("container_tcp_received_bytes_total",
           "Bytes that the container received in connections that ended."),
     {}},
};
constexpr WordTimes kTimes[] = {
    {offsetof(tcp_counts, connect),
     TimeHistogram("container_tcp_connect_duration_seconds_bucket",
                   "container_tcp_connect_duration_seconds_sum",
                   "container_tcp_connect_duration_seconds_count",
                   "Time from the first SYN of the container to the answer."),
     {}},
    {offsetof(tcp_counts, rtt),
     TimeHistogram("container_tcp_rtt_seconds_bucket", "container_tcp_rtt_seconds_sum",
                   "container_tcp_rtt_seconds_count",
                   "Smoothed round trip time of the container's connections as they ended."),
     {}},
};
constexpr MetricFamily kSockets = {
    "container_tcp_sockets", v1::METRIC_TYPE_GAUGE,
    "TCP sockets by state that the container opened since the probe runs."};
// As in include/net/tcp_states.h; what a full socket is never in has no name here.
constexpr std::array<std::string_view, 12> kStates = {
    "", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "",
    "", "close_wait",  "last_ack", "listen",   "closing"};

class TcpProbe final : public Collector {
 public:
  TcpProbe(const LeafContext& context, SkeletonPtr<tcp_bpf> skeleton)
      : skeleton_(std::move(skeleton)),
        counts_(bpf_map__fd(skeleton_->maps.counts), kWords, *context.containers),
        edges_(skeleton_->maps.edges, skeleton_->maps.services, *context.containers),
        books_("tcp", skeleton_->obj, skeleton_->bss->accounts) {
    MakeSheddable(books_, *skeleton_);
  }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    FAULTLINE_ASSIGN(const CgroupCounts::Tally tally, counts_.Read());
    uint64_t pending = tally.pending;
    FAULTLINE_TRY(edges_.Read(pending, books_));
    books_.Delivered(tally.delivered);
    books_.Pending(pending);
    if (tally.given_up > 0) books_.Dropped("unattributed", tally.given_up);
    for (const auto& [path, words] : counts_.totals()) {
      EmitWords(path, words, kSeries, kTimes, out);
      for (size_t state = 0; state < kStates.size(); ++state) {
        if (kStates[state].empty()) continue;
        const LabelView label{"state", kStates[state]};
        const auto count = static_cast<int64_t>(words[kFirstState + state]);
        SampleOfOwner(path, kSockets, LabelViews(&label, 1), static_cast<double>(count), out);
      }
    }
    edges_.Emit(out);
    books_.Emit(out);
    return {};
  }

 private:
  SkeletonPtr<tcp_bpf> skeleton_;
  CgroupCounts counts_;
  TcpEdges edges_;
  ProbeBooks books_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeTcpProbe(const LeafContext& context) {
  FAULTLINE_TRY(NeedContainers(context));
  const ProgramSet alternatives[] = {{}};
  FAULTLINE_ASSIGN(auto skeleton, LoadProbe<tcp_bpf>("tcp", alternatives, [](tcp_bpf& object) {
                     bpf_map__set_max_entries(
                         object.maps.counts,
                         EntriesWithin(size_t{4} << 20, sizeof(tcp_counts), 1024));
                     bpf_map__set_max_entries(
                         object.maps.edges, EntriesWithin(size_t{4} << 20, sizeof(tcp_edge), 4096));
                   }));
  return std::make_unique<TcpProbe>(context, std::move(skeleton));
}

}  // namespace faultline
