// TCP of every container: opens, retransmitted segments, resets, sockets by state (bpf/tcp.bpf.c).
#include <array>
#include <iterator>

#include "agent/probes/cgroup_counts.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/series_owner.h"
#include "bpf/tcp.h"
#include "tcp.skel.h"

namespace faultline {
namespace {

constexpr size_t kWords = sizeof(tcp_counts) / sizeof(uint64_t);
constexpr size_t kFirstState = offsetof(tcp_counts, sockets) / sizeof(uint64_t);

constexpr MetricFamily Total(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
struct Series {
  size_t offset;  // in tcp_counts
  MetricFamily family;
  LabelView label;  // empty name: none
};
constexpr Series kSeries[] = {
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
    {offsetof(tcp_counts, resets_sent),
     Total("container_tcp_resets_total", "TCP resets of the container's connections."),
     {"direction", "sent"}},
    {offsetof(tcp_counts, resets_received),
     Total("container_tcp_resets_total", "TCP resets of the container's connections."),
     {"direction", "received"}},
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
        books_("tcp", skeleton_->obj, skeleton_->bss->accounts) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const CgroupCounts::Tally tally, counts_.Read());
    books_.Delivered(tally.delivered);
    books_.Pending(tally.pending);
    if (tally.given_up > 0) books_.Dropped("unattributed", tally.given_up);
    for (const auto& [path, words] : counts_.totals()) Emit(path, words, out);
    books_.Emit(out);
    return {};
  }

 private:
  static void Emit(std::string_view path, const CgroupCounts::Words& words, Emitter& out) {
    for (const Series& series : kSeries) {
      const LabelViews labels(&series.label, series.label.name.empty() ? 0 : 1);
      SampleOfOwner(path, series.family, labels,
                    static_cast<double>(words[series.offset / sizeof(uint64_t)]), out);
    }
    for (size_t state = 0; state < kStates.size(); ++state) {
      if (kStates[state].empty()) continue;
      const LabelView label{"state", kStates[state]};
      const auto count = static_cast<int64_t>(words[kFirstState + state]);
      SampleOfOwner(path, kSockets, LabelViews(&label, 1), static_cast<double>(count), out);
    }
  }

  SkeletonPtr<tcp_bpf> skeleton_;
  CgroupCounts counts_;
  ProbeBooks books_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeTcpProbe(const LeafContext& context) {
  if (context.containers == nullptr) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: containers are off, or no cgroup file system is mounted");
  }
  const ProgramSet alternatives[] = {
      {}};  // there is one way only, and all of its programs load by themselves
  FAULTLINE_ASSIGN(auto skeleton, LoadProbe<tcp_bpf>("tcp", alternatives, [](tcp_bpf& object) {
                     bpf_map__set_max_entries(
                         object.maps.counts,
                         EntriesWithin(size_t{4} << 20, sizeof(tcp_counts), 1024));
                   }));
  return std::make_unique<TcpProbe>(context, std::move(skeleton));
}

}  // namespace faultline
