// A mount that never answers, for real: a FUSE filesystem whose server does nothing. It lives in a
// mount namespace of this process alone, so that nobody else on the machine meets it.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

using SteadyClock = std::chrono::steady_clock;

class DeadMount {
 public:
  // The reason why there can be none here; empty when it is mounted.
  std::string MountAt(const std::string& folder) {
    if (unshare(CLONE_NEWNS) != 0) return fmt::format("unshare: {}", std::strerror(errno));
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return "cannot make mounts private";
    fd_ = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd_ < 0) return fmt::format("/dev/fuse: {}", std::strerror(errno));
    const std::string options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", fd_);
    if (mount("dead", folder.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
      return fmt::format("mount: {}", std::strerror(errno));
    }
    folder_ = folder;
    return "";
  }
  // The server is gone: whoever waits for it gets an error.
  void GiveUp() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  ~DeadMount() {
    GiveUp();
    if (!folder_.empty()) umount2(folder_.c_str(), MNT_DETACH);
  }

 private:
  int fd_ = -1;
  std::string folder_;
};

size_t Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(DeadMount, IsReportedAndHoldsNobodyUp) {
  TempTree tree;
  tree.Folder("/dead");
  tree.Folder("/live");
  tree.File("/proc/1/mounts",
            "one /live ext4 rw 0 0\ndead /dead fuse.dead rw 0 0\ntwo / ext4 rw 0 0\n");
  DeadMount dead;
  if (const std::string reason = dead.MountAt(tree.root() + "/dead"); !reason.empty()) {
    GTEST_SKIP() << "no FUSE mount here: " << reason;
  }
  CollectorPass pass("filesystem", tree.root());
  const std::string on_dead =
      R"(node_filesystem_device_error{device="dead",fstype="fuse.dead",mountpoint="/dead"})";
  const std::string on_live =
      R"(node_filesystem_device_error{device="one",fstype="ext4",mountpoint="/live"})";
  const std::string on_root =
      R"(node_filesystem_device_error{device="two",fstype="ext4",mountpoint="/"})";
  const auto begin = SteadyClock::now();
  pass.Run();
  EXPECT_LT(SteadyClock::now() - begin,
            std::chrono::seconds(5));  // half a second of patience, once
  EXPECT_EQ(pass.out.Value(on_dead), 1);
  EXPECT_EQ(pass.out.Value(on_live), 0);
  EXPECT_EQ(pass.out.Value(on_root), 0);

  pass.Run();  // the worker that asks the live ones is there now
  const size_t threads = Threads();
  for (int round = 0; round < 1000; ++round) {
    pass.Run();
    ASSERT_EQ(pass.out.Value(on_dead), 1);
    ASSERT_EQ(pass.out.Value(on_live), 0);
  }
  EXPECT_EQ(Threads(), threads);

  dead.GiveUp();
  const auto deadline = SteadyClock::now() + std::chrono::seconds(10);
  while (Threads() >= threads && SteadyClock::now() < deadline) {
    pass.Run();
    std::this_thread::yield();
  }
  EXPECT_EQ(Threads(), threads - 1);  // the one that waited there ended
}

}  // namespace
}  // namespace faultline
