// A datagram socket stands in for /dev/kmsg: one read is one record there as well. The device itself is read too, where
// this process may.
#include "agent/logs/kmsg_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/recording_emitter.h"

namespace faultline {
namespace {

class KmsgReaderTest : public testing::Test {
 protected:
  KmsgReaderTest() {
    host_.clock = &clock_;
    host_.boot_id = "boot-1";
    clock_.Advance(100 * kNsPerSecond);
  }
  void Start(std::optional<uint64_t> committed = std::nullopt) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    kernel_ = FileDescriptor(ends[0]);
    reader_ = std::make_unique<KmsgReader>(FileDescriptor(ends[1]), host_, 1000, nullptr,
                                           [committed](uint64_t) { return committed; });
  }
  void Say(int number, std::string_view text = "x") {
    const std::string record = fmt::format("6,{},5000000,-;{}\n", number, text);
    ASSERT_EQ(write(kernel_.get(), record.data(), record.size()), static_cast<ssize_t>(record.size()));
  }
  void Pass() {
    const bool refuse = out_.refuse_logs;
    out_.Clear();
    out_.refuse_logs = refuse;
    ASSERT_TRUE(reader_->Collect(out_));
  }

  ManualClock clock_{1'795'176'000 * kNsPerSecond};
  HostView host_;
  FileDescriptor kernel_;
  std::unique_ptr<KmsgReader> reader_;
  RecordingEmitter out_;
};

TEST_F(KmsgReaderTest, ReadsRecordsWithTheirTime) {
  Start();
  Say(7, "one");
  Say(8, "two");
  Pass();
  ASSERT_EQ(out_.logs.size(), 1u);
  const LogChunk& chunk = out_.logs[0];
  EXPECT_EQ(chunk.begin_offset, 7u);
  EXPECT_EQ(chunk.end_offset, 9u);
  EXPECT_EQ(chunk.records[1].body, "two");
  // Five seconds after boot; the steady clock stands a nanosecond beyond a hundred.
  EXPECT_EQ(chunk.records[0].time_unix_ns, 1'795'176'005 * kNsPerSecond - 1);
  EXPECT_EQ(out_.Value("faultline_log_kmsg_records_total"), 2);
}

TEST_F(KmsgReaderTest, CountsWhatTheKernelOverwrote) {
  Start();
  Say(7);
  Say(10);
  Pass();
  EXPECT_EQ(out_.Value("faultline_log_kmsg_lost_records_total"), 2);
}

TEST_F(KmsgReaderTest, GoesOnBehindTheLastRecordTaken) {
  Start(8);
  Say(6);
  Say(7);
  Say(8, "new");
  Pass();
  ASSERT_EQ(out_.logs.size(), 1u);
  ASSERT_EQ(out_.logs[0].records.size(), 1u);
  EXPECT_EQ(out_.logs[0].records[0].body, "new");
  EXPECT_EQ(out_.Value("faultline_log_kmsg_lost_records_total"), 0);
}

TEST_F(KmsgReaderTest, KeepsWhatThePipelineRefuses) {
  Start();
  out_.refuse_logs = true;
  Say(1);
  Pass();
  Say(2);
  Pass();
  EXPECT_TRUE(out_.logs.empty());
  out_.refuse_logs = false;
  Pass();
  ASSERT_EQ(out_.logs.size(), 2u);
  EXPECT_EQ(out_.logs[1].begin_offset, 2u);
}

TEST_F(KmsgReaderTest, ReadsTheRealOne) {
  const FileDescriptor device(open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  const SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  auto reader = KmsgReader::Open(host, 1000, nullptr, nullptr);
  if (!device.valid() || !reader) GTEST_SKIP() << "/dev/kmsg cannot be read or written here";
  const std::string text = fmt::format("faultline test {} {}", getpid(), clock.UnixNs());
  const std::string line = text + "\n";  // without it the kernel waits for more
  ASSERT_GT(write(device.get(), line.data(), line.size()), 0);
  pollfd fd{.fd = *(*reader)->wake_fd(), .events = POLLIN, .revents = 0};
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(poll(&fd, 1, 5000), 1);
    ASSERT_TRUE((*reader)->Wake(out_));
    for (const LogChunk& chunk : out_.logs) {
      for (const LogChunk::Record& record : chunk.records) {
        if (record.body != text) continue;
        EXPECT_LT(std::abs(record.time_unix_ns - clock.UnixNs()), 5 * kNsPerSecond);
        return;
      }
    }
  }
  FAIL() << "the record did not come";
}

}  // namespace
}  // namespace faultline
