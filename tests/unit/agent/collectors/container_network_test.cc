#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

constexpr char kDev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n"
    "    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
    "  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n";

class ContainerNetworkTest : public testing::Test {
 protected:
  ContainerNetworkTest() {
    tree_.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    Process(1, "net:[1]");
  }
  void Process(int pid, const std::string& network) {
    const std::string folder = "/proc/" + std::to_string(pid);
    tree_.File(folder + "/net/dev", kDev);
    tree_.Folder(folder + "/ns");
    std::filesystem::create_symlink(network, tree_.root() + folder + "/ns/net");
  }
  TempTree tree_;
};

TEST_F(ContainerNetworkTest, OncePerNetworkAndNotTheHosts) {
  Process(5, "net:[2]");
  Process(6, "net:[2]");
  Process(7, "net:[1]");
  tree_.File("/sys/fs/cgroup/pod/a/cgroup.procs", "5\n");
  tree_.File("/sys/fs/cgroup/pod/b/cgroup.procs", "6\n");
  tree_.File("/sys/fs/cgroup/hostly/cgroup.procs", "7\n");
  CollectorPass pass("container_network", tree_.root());
  EXPECT_EQ(pass.Run(), R"(# TYPE container_network_receive_bytes_total counter
container_network_receive_bytes_total{interface="eth0"} 1000
# TYPE container_network_receive_errors_total counter
container_network_receive_errors_total{interface="eth0"} 1
# TYPE container_network_receive_packets_dropped_total counter
container_network_receive_packets_dropped_total{interface="eth0"} 2
# TYPE container_network_receive_packets_total counter
container_network_receive_packets_total{interface="eth0"} 10
# TYPE container_network_transmit_bytes_total counter
container_network_transmit_bytes_total{interface="eth0"} 2000
# TYPE container_network_transmit_errors_total counter
container_network_transmit_errors_total{interface="eth0"} 3
# TYPE container_network_transmit_packets_dropped_total counter
container_network_transmit_packets_dropped_total{interface="eth0"} 4
# TYPE container_network_transmit_packets_total counter
container_network_transmit_packets_total{interface="eth0"} 20
)");
  EXPECT_EQ(pass.out.samples.front().origin.cgroup_path, "/pod/a");
}

}  // namespace
}  // namespace faultline
