#include "agent/faults/process_identity.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/faults/protected_processes.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(LiveProcess, NameMayHoldAnything) {
  TempTree root;
  root.File("proc/42/stat",
            "42 (a) b (\xff) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 7788 100 200 18446");
  const SystemClock clock;
  const HostView host = HostView::Real(root.root(), &clock);
  const auto process = ReadLiveProcess(host, 42);
  ASSERT_TRUE(process) << process.error().message;
  EXPECT_EQ(process->comm, "a) b (\xef\xbf\xbd");
  EXPECT_EQ(process->state, 'S');
  EXPECT_EQ(process->parent, 1u);
  EXPECT_EQ(process->start_ticks, 7788u);
  EXPECT_FALSE(process->kernel_thread);
  root.File("proc/42/stat", "42 (x) S 1");
  EXPECT_EQ(ReadLiveProcess(host, 42).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(ReadLiveProcess(host, 43).error().code, ErrorCode::kNotFound);
}

TEST(ProcessIdentity, SignalsNeverReachAnotherProcess) {
  const SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  const auto stat = ReadLiveProcess(host, static_cast<uint32_t>(child));
  ASSERT_TRUE(stat);
  ProcessIdentity other = ProcessIdentity::Of(host, *stat);
  ++other.start_ticks;  // the same number, another process
  EXPECT_EQ(SignalProcess(host, other, SIGKILL).error().code, ErrorCode::kNotFound);
  ProcessIdentity earlier = ProcessIdentity::Of(host, *stat);
  earlier.boot_id = "an earlier boot";
  EXPECT_EQ(SignalProcess(host, earlier, SIGKILL).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(kill(child, 0), 0);
  const auto same = ProcessIdentity::Parse(ProcessIdentity::Of(host, *stat).Text());
  ASSERT_TRUE(same);
  EXPECT_TRUE(SignalProcess(host, *same, SIGKILL));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(SignalProcess(host, *same, SIGKILL));
}

TEST(ProtectedProcesses, NamesAndReasons) {
  FaultHost host;
  host.protected_pids = {77};
  LiveProcess stat;
  const auto why = [&](uint32_t pid, const std::string& comm) {
    stat.pid = pid;
    stat.comm = comm;
    return WhyProtected(stat, host);
  };
  EXPECT_EQ(why(4242, "nginx"), "");
  EXPECT_NE(why(1, "nginx"), "");
  EXPECT_NE(why(77, "nginx"), "");
  for (const char* name :
       {"kubelet", "containerd", "containerd-shim", "sshd", "systemd", "faultline-agent"}) {
    EXPECT_NE(why(4242, name), "") << name;
  }
  stat.kernel_thread = true;
  EXPECT_NE(why(4242, "kworker/0:1"), "");
}

}  // namespace
}  // namespace faultline
