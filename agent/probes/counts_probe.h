// A probe whose programs only count by cgroup (bpf/include/counts.h), told by two tables: which
// word of the counters is which series.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "agent/probes/cgroup_counts.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/series_owner.h"
#include "agent/probes/time_histogram.h"

namespace faultline {

struct WordSeries {
  size_t offset;  // of a 64-bit word in the counters
  MetricFamily family;
  LabelView label;   // empty name: none
  double scale = 1;  // 1e-9 for nanoseconds
};
struct WordTimes {
  size_t offset;  // of a time_sums
  HistogramFamily family;
  LabelView label;
};

void EmitWords(std::string_view path, const CgroupCounts::Words& words,
               std::span<const WordSeries> series, std::span<const WordTimes> times, Emitter& out);

Result<void> NeedContainers(const LeafContext& context);

// `Skeleton` has a map `counts` of `Counts`.
template <typename Skeleton, typename Counts>
class CountsProbe final : public Collector {
 public:
  static constexpr size_t kWords = sizeof(Counts) / sizeof(uint64_t);

  CountsProbe(std::string_view name, const LeafContext& context, SkeletonPtr<Skeleton> skeleton,
              std::span<const WordSeries> series, std::span<const WordTimes> times)
      : series_(series),
        times_(times),
        skeleton_(std::move(skeleton)),
        counts_(bpf_map__fd(skeleton_->maps.counts), kWords, *context.containers),
        books_(name, skeleton_->obj, skeleton_->bss->accounts) {
    MakeSheddable(books_, *skeleton_);
  }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    FAULTLINE_ASSIGN(const CgroupCounts::Tally tally, counts_.Read());
    books_.Delivered(tally.delivered);
    books_.Pending(tally.pending);
    if (tally.given_up > 0) books_.Dropped("unattributed", tally.given_up);
    for (const auto& [path, words] : counts_.totals()) EmitWords(path, words, series_, times_, out);
    books_.Emit(out);
    return {};
  }

  // Limits the map to `budget_bytes` over all CPUs.
  static Result<std::unique_ptr<Collector>> Make(std::string_view name, const LeafContext& context,
                                                 size_t budget_bytes, uint32_t most,
                                                 std::span<const WordSeries> series,
                                                 std::span<const WordTimes> times) {
    FAULTLINE_TRY(NeedContainers(context));
    const ProgramSet alternatives[] = {{}};  // one way only: all programs load by themselves
    FAULTLINE_ASSIGN(auto skeleton, LoadProbe<Skeleton>(name, alternatives, [&](Skeleton& object) {
                       bpf_map__set_max_entries(object.maps.counts,
                                                EntriesWithin(budget_bytes, sizeof(Counts), most));
                     }));
    return std::make_unique<CountsProbe>(name, context, std::move(skeleton), series, times);
  }

 private:
  const std::span<const WordSeries> series_;
  const std::span<const WordTimes> times_;
  SkeletonPtr<Skeleton> skeleton_;
  CgroupCounts counts_;
  ProbeBooks books_;
};

}  // namespace faultline
