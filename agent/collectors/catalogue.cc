// The list of what is collected from the host, by name. A new leaf is one line in each of the two lists.
#include "agent/collectors/collector.h"

namespace faultline {

#define FAULTLINE_COLLECTOR(Make) \
  Result<std::unique_ptr<Collector>> Make(const LeafContext&)

FAULTLINE_COLLECTOR(MakeLoadavg);

namespace {

constexpr CollectorRow kRows[] = {
    {"loadavg", "load averages, from /proc/loadavg", true, false, MakeLoadavg},
};

}  // namespace

std::span<const CollectorRow> CollectorCatalogue() { return kRows; }

}  // namespace faultline
