// Block I/O on a loop device of the test's own, counted by the probe and by /proc/diskstats.
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr size_t kDeviceBytes = size_t{8} << 20;
constexpr size_t kBlock = 8192;
constexpr int kReads = 300;
constexpr int kWrites = 200;

class LoopDevice {
 public:
  LoopDevice() {
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    backing_ = open(testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (control < 0 || backing_ < 0 || ftruncate(backing_, kDeviceBytes) != 0) return;
    for (int attempt = 0; attempt < 20 && device_ < 0; ++attempt) {
      const int number = ioctl(control, LOOP_CTL_GET_FREE);
      if (number < 0) break;
      name_ = "loop" + std::to_string(number);
      device_ = open(("/dev/" + name_).c_str(), O_RDWR | O_CLOEXEC);
      // Somebody else may have been quicker.
      if (device_ >= 0 && ioctl(device_, LOOP_SET_FD, backing_) != 0) {
        close(device_);
        device_ = -1;
      }
    }
    close(control);
  }
  ~LoopDevice() {
    if (device_ >= 0) ioctl(device_, LOOP_CLR_FD);
    for (const int file : {device_, backing_}) close(file);
  }
  bool ok() const { return device_ >= 0; }
  std::string path() const { return "/dev/" + name_; }
  const std::string& name() const { return name_; }

  // Reads ended, sectors read, writes ended, sectors written: as iostat takes them.
  std::array<double, 4> DiskStats() const {
    std::ifstream file("/proc/diskstats");
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string major, minor, name;
      words >> major >> minor >> name;
      double reads, merged, sectors_read, ms, writes, merged_writes, sectors_written;
      words >> reads >> merged >> sectors_read >> ms >> writes >> merged_writes >> sectors_written;
      if (name == name_) return {reads, sectors_read, writes, sectors_written};
    }
    return {};
  }

 private:
  int backing_ = -1;
  int device_ = -1;
  std::string name_;
};

int DoDirectIo(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_DIRECT);
  if (file < 0) return 1;
  void* block = nullptr;
  if (posix_memalign(&block, 4096, kBlock) != 0) return 2;
  memset(block, 7, kBlock);
  constexpr size_t kBlocks = kDeviceBytes / kBlock;
  for (size_t i = 0; i < kWrites; ++i) {
    if (pwrite(file, block, kBlock, static_cast<off_t>(i * 7 % kBlocks * kBlock)) != kBlock)
      return 3;
  }
  for (size_t i = 0; i < kReads; ++i) {
    if (pread(file, block, kBlock, static_cast<off_t>(i * 5 % kBlocks * kBlock)) != kBlock)
      return 4;
  }
  return 0;
}

class BlockIoProbeTest : public ProbePass {
 protected:
  static std::string Series(const std::string& name, const std::string& device,
                            const std::string& operation) {
    return name + "{device=\"" + device + "\",operation=\"" + operation + "\"}";
  }
};

TEST_F(BlockIoProbeTest, AgreesWithTheGeneratorAndWithDiskstats) {
  if (!Make("block_io")) return;
  LoopDevice device;
  if (!device.ok()) GTEST_SKIP() << "no loop device can be had here";
  OwnCgroup cgroup(index_->mounts(), "io", {"memory", "blkio"});
  ASSERT_TRUE(cgroup.ok());
  const auto before = device.DiskStats();
  EXPECT_EQ(cgroup.Run([&] { return DoDirectIo(device.path()); }), 0);
  Collect();
  const auto after = device.DiskStats();
  const std::string& name = device.name();
  const auto of = [&](const std::string& path, const std::string& series,
                      const std::string& operation) {
    return std::max(0.0, Value(path, Series(series, name, operation)));
  };
  // Direct I/O is made by the task itself, so it is the container's to the last request.
  EXPECT_EQ(of(cgroup.path(), "container_block_requests_total", "write"), kWrites);
  EXPECT_EQ(of(cgroup.path(), "container_block_requests_total", "read"), kReads);
  EXPECT_EQ(of(cgroup.path(), "container_block_bytes_total", "write"), 1.0 * kWrites * kBlock);
  EXPECT_EQ(of(cgroup.path(), "container_block_bytes_total", "read"), 1.0 * kReads * kBlock);
  EXPECT_EQ(of(cgroup.path(), "container_block_errors_total", "read"), 0);
  EXPECT_GT(of(cgroup.path(), "container_block_device_seconds_total", "read"), 0);
  // The device as a whole, by the second source.
  EXPECT_EQ(of("", "node_block_io_duration_seconds_count", "read"), after[0] - before[0]);
  EXPECT_EQ(of("", "node_block_io_duration_seconds_count", "write"), after[2] - before[2]);
  constexpr double kSectorBytes = 512;
  double read_bytes = 0, written_bytes = 0;  // of all owners: the kernel itself looks at the device, too
  for (const auto& sample : out.samples) {
    if (sample.name != "container_block_bytes_total" || sample.labels.at("device") != name) continue;
    if (sample.labels.at("operation") == "read") read_bytes += sample.value;
    if (sample.labels.at("operation") == "write") written_bytes += sample.value;
  }
  EXPECT_EQ(read_bytes, (after[1] - before[1]) * kSectorBytes);
  EXPECT_EQ(written_bytes, (after[3] - before[3]) * kSectorBytes);
  ExpectBooksBalance("block_io");
}

}  // namespace
}  // namespace faultline
