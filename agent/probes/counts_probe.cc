#include "agent/probes/counts_probe.h"

namespace faultline {

void EmitWords(std::string_view path, const CgroupCounts::Words& words,
               std::span<const WordSeries> series, std::span<const WordTimes> times, Emitter& out) {
  for (const WordSeries& row : series) {
    const LabelViews labels(&row.label, row.label.name.empty() ? 0 : 1);
    SampleOfOwner(path, row.family, labels,
                  static_cast<double>(words[row.offset / sizeof(uint64_t)]) * row.scale, out);
  }
  for (const WordTimes& row : times) {
    const LabelViews labels(&row.label, row.label.name.empty() ? 0 : 1);
    const size_t at = row.offset / sizeof(uint64_t);
    EmitTimes(path, row.family, labels, words[at],
              std::span<const uint64_t>(words).subspan(at + 1, TIME_BUCKETS), out);
  }
}

Result<void> NeedContainers(const LeafContext& context) {
  if (context.containers != nullptr) return {};
  return Fail(ErrorCode::kUnsupported,
              "unsupported: containers are off, or no cgroup file system is mounted");
}

}  // namespace faultline
