// A socket that nobody reads: what does not fit is counted by the probe and by the socket itself.
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr int kDatagrams = 500;

class UdpProbeTest : public ProbePass {};

// What comes to `drops` is what the kernel's own counter of the socket says.
int Overflow(int drops) {
  const int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
  const int room = 4096;
  setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(receiver, reinterpret_cast<sockaddr*>(&address), length) != 0) return 1;
  getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &length);
  const char bytes[512] = {};
  for (int i = 0; i < kDatagrams; ++i)
    sendto(sender, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&address), length);
  uint32_t memory[SK_MEMINFO_VARS] = {};
  socklen_t bytes_of_memory = sizeof memory;
  if (getsockopt(receiver, SOL_SOCKET, SO_MEMINFO, memory, &bytes_of_memory) != 0) return 2;
  return write(drops, &memory[SK_MEMINFO_DROPS], sizeof memory[0]) == sizeof memory[0] ? 0 : 3;
}

TEST_F(UdpProbeTest, DropsEqualTheSocketsOwnCount) {
  if (!Make("udp")) return;
  if (index_->mounts().unified.empty()) GTEST_SKIP() << "no unified cgroup hierarchy";
  OwnCgroup cgroup(index_->mounts(), "udp", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  int drops_pipe[2];
  ASSERT_EQ(pipe(drops_pipe), 0);
  EXPECT_EQ(cgroup.Run([&] { return Overflow(drops_pipe[1]); }), 0);
  uint32_t drops = 0;
  ASSERT_EQ(read(drops_pipe[0], &drops, sizeof drops), ssize_t{sizeof drops});
  Collect();
  EXPECT_GT(drops, 0U);
  EXPECT_EQ(Value(cgroup.path(), "container_udp_receive_drops_total"), drops);
  ExpectBooksBalance("udp");
  for (const int file : drops_pipe) close(file);
}

}  // namespace
}  // namespace faultline
