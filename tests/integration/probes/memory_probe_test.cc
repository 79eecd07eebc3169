#include <fcntl.h>
#include <sys/mman.h>

#include <fstream>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr size_t kLimitBytes = size_t{24} << 20;
constexpr size_t kFileBytes = size_t{96} << 20;

// Fills the page cache beyond the cgroup's limit: the kernel makes the writer free pages.
int WriteMuch(const std::string& path) {
  const int file = open(path.c_str(), O_CREAT | O_RDWR | O_TRUNC, 0600);
  if (file < 0) return 1;
  const std::string block(size_t{1} << 20, 'x');
  for (size_t done = 0; done < kFileBytes; done += block.size()) {
    if (write(file, block.data(), block.size()) < 0) return 2;
  }
  close(file);
  return 0;
}

class MemoryProbeTest : public ProbePass {};

TEST_F(MemoryProbeTest, ReclaimAtTheLimitIsTimed) {
  if (!Make("memory")) return;
  OwnCgroup cgroup(index_->mounts(), "limited", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  const std::string folder = index_->mounts().Folder("memory", cgroup.path());
  const bool is_v1 = index_->mounts().IsV1("memory");
  {
    std::ofstream limit(folder + (is_v1 ? "/memory.limit_in_bytes" : "/memory.max"));
    limit << kLimitBytes;
    limit.close();
    if (!limit) GTEST_SKIP() << "no memory controller in " << folder;
  }
  const std::string path =
      testing::TempDir() + "/faultline-memory-probe-" + std::to_string(getpid());
  const int status = cgroup.Run([&] { return WriteMuch(path); });
  Collect();
  unlink(path.c_str());
  EXPECT_EQ(status, 0);
  EXPECT_GT(Value(cgroup.path(), R"(container_reclaim_duration_seconds_count{reason="limit"})"), 0);
  EXPECT_GT(Value(cgroup.path(), R"(container_reclaim_duration_seconds_sum{reason="limit"})"), 0);
  EXPECT_GT(Value(cgroup.path(), R"(container_reclaim_pages_total{reason="limit"})"), 0);
  ExpectBooksBalance("memory");
}

}  // namespace
}  // namespace faultline
