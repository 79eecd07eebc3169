#include <gtest/gtest.h>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(ContainerPressureTest, SomeWaitsAndFullStalls) {
  TempTree tree;
  tree.File("/proc/self/mountinfo",
            "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  tree.File("/sys/fs/cgroup/unified/web/cpu.pressure",
            "some avg10=1.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 "
            "avg300=0.00 total=2\n");
  tree.File("/sys/fs/cgroup/unified/web/io.pressure", "nonsense\n");
  CollectorPass pass("container_pressure", tree.root());
  EXPECT_EQ(pass.Run(), R"(# TYPE container_pressure_cpu_stalled_seconds_total counter
container_pressure_cpu_stalled_seconds_total 2e-06
# TYPE container_pressure_cpu_waiting_seconds_total counter
container_pressure_cpu_waiting_seconds_total 1.5
)");
}

TEST(ContainerPressureTest, V1AloneHasNone) {
  TempTree tree;
  tree.File("/proc/self/mountinfo",
            "37 31 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n");
  CollectorPass pass("container_pressure", tree.root());
  EXPECT_EQ(pass.result().error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace faultline
