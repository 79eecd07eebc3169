// The kernel and machine this node runs: uname(2).
#include <sys/utsname.h>

#include <cerrno>

#include "agent/collectors/collector.h"

namespace faultline {
namespace {

constexpr MetricFamily kFamily = {"node_uname_info", v1::METRIC_TYPE_GAUGE,
                                  "Always 1; the labels say which kernel runs on which machine."};

class UnameCollector final : public Collector {
 public:
  Result<void> Collect(Emitter& out) override {
    utsname name{};
    if (uname(&name) != 0) return FailErrno(errno, "uname");
    out.Sample(kFamily,
               {{"sysname", name.sysname},
                {"release", name.release},
                {"version", name.version},
                {"machine", name.machine},
                {"nodename", name.nodename},
                {"domainname", name.domainname}},
               1);
    return {};
  }
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeUname(const LeafContext&) {
  return std::make_unique<UnameCollector>();
}

}  // namespace faultline
