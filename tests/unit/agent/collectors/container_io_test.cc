#include <gtest/gtest.h>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

constexpr char kExpected[] = R"(# TYPE container_fs_reads_bytes_total counter
container_fs_reads_bytes_total{device="/dev/vda"} 4096
# TYPE container_fs_reads_total counter
container_fs_reads_total{device="/dev/vda"} 1
# TYPE container_fs_writes_bytes_total counter
container_fs_writes_bytes_total{device="/dev/vda"} 8192
# TYPE container_fs_writes_total counter
container_fs_writes_total{device="/dev/vda"} 2
)";

TEST(ContainerIoTest, V1) {
  TempTree tree;
  tree.File("/proc/self/mountinfo",
            "36 31 0:33 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n");
  tree.File("/sys/dev/block/254:0/uevent", "MAJOR=254\nDEVNAME=vda\n");
  const std::string folder = "/sys/fs/cgroup/blkio/web/";
  tree.File(folder + "blkio.throttle.io_service_bytes_recursive",
            "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 1\n254:0 Total 12288\nTotal 12288\n");
  tree.File(folder + "blkio.throttle.io_serviced_recursive",
            "254:0 Read 1\n254:0 Write 2\nTotal 3\n");
  EXPECT_EQ(CollectorPass("container_io", tree.root()).Run(), kExpected);
}

TEST(ContainerIoTest, V2) {
  TempTree tree;
  tree.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree.File("/sys/dev/block/254:0/uevent", "DEVNAME=vda\n");
  tree.File("/sys/fs/cgroup/web/io.stat",
            "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n");
  EXPECT_EQ(CollectorPass("container_io", tree.root()).Run(), kExpected);
}

TEST(ContainerIoTest, AnUnknownDeviceKeepsItsNumber) {
  TempTree tree;
  tree.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree.File("/sys/fs/cgroup/web/io.stat", "9:1 rbytes=1 wbytes=x garbage\n\n");
  EXPECT_EQ(CollectorPass("container_io", tree.root()).Run(),
            "# TYPE container_fs_reads_bytes_total "
            "counter\ncontainer_fs_reads_bytes_total{device=\"9:1\"} 1\n");
}

}  // namespace
}  // namespace faultline
