#include "agent/probes/series_owner.h"

#include <algorithm>
#include <array>

#include "common/assert.h"

namespace faultline {

void SampleOfOwner(std::string_view path, const MetricFamily& family, LabelViews labels,
                   double value, Emitter& out) {
  if (path.empty()) return out.Sample(family, labels, value);
  if (path != "/") return out.SampleOf(Origin{.cgroup_path = path}, family, labels, value);
  std::array<LabelView, 9> with_id = {{{"id", "/"}}};
  FAULTLINE_ASSERT(labels.size() < with_id.size(), "more labels than a probe's series have");
  std::copy(labels.begin(), labels.end(), with_id.begin() + 1);
  out.Sample(family, LabelViews(with_id.data(), labels.size() + 1), value);
}

}  // namespace faultline
