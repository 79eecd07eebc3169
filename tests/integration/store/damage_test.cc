// A full disk and damaged files: refused or left out with a reason, everything else goes on.
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "tests/support/store_fixture.h"

namespace faultline {
namespace {

class DamageTest : public StoreFixture {
 protected:
  std::vector<AppendBatch::SampleRow> Rows(const std::vector<SeriesId>& series, int64_t step) {
    std::vector<AppendBatch::SampleRow> rows;
    for (const SeriesId id : series) {
      rows.push_back({id, 1'000'000 + step * 1000,
                      std::sin(static_cast<double>(step * 1000 + static_cast<int64_t>(id)))});
    }
    return rows;
  }
  std::vector<SeriesId> Many(size_t count) {
    std::vector<SeriesId> series;
    for (size_t i = 0; i < count; ++i)
      series.push_back(Series({{"__name__", "m"}, {"i", std::to_string(i)}}));
    return series;
  }
};

TEST_F(DamageTest, FlippedByteIsFoundAndTheRestServed) {
  const auto series = Many(50);
  constexpr int64_t kSteps = 3000;
  for (int64_t step = 0; step < kSteps; step += 10) {
    std::vector<AppendBatch::SampleRow> rows;
    for (int64_t i = step; i < step + 10; ++i) {
      const auto more = Rows(series, i);
      rows.insert(rows.end(), more.begin(), more.end());
    }
    ASSERT_TRUE(AppendSamples(std::move(rows)));
  }
  Reopen();  // memory goes to files
  EXPECT_TRUE(store_->Verify().value().empty());
  store_.reset();
  size_t flipped = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder)) {
    if (entry.path().extension() != ".sst" || entry.file_size() < 100'000) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(entry.file_size() / 2);
    file.seekg(middle);
    const int byte = file.get();
    file.seekp(middle);
    file.put(static_cast<char>(byte ^ 0x10));
    ++flipped;
  }
  ASSERT_GE(flipped, 1u);
  Open();
  const auto damages = store_->Verify();
  ASSERT_TRUE(damages);
  ASSERT_EQ(damages->size(), flipped);
  EXPECT_NE(damages->at(0).find("checksum mismatch"), std::string::npos);
  size_t whole = 0;
  size_t samples = 0;
  for (const SeriesId id : series) {
    const size_t count = All(id).size();
    samples += count;
    whole += count == kSteps ? 1 : 0;
  }
  EXPECT_GE(whole, 40u);
  EXPECT_GT(samples, series.size() * kSteps * 9 / 10);
  EXPECT_LT(samples, series.size() * kSteps);
  EXPECT_GT(store_->Stats().damaged_reads, 0u);
  EXPECT_TRUE(AppendSamples(Rows(series, kSteps)));
}

class FullDiskTest : public DamageTest {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "faultline_disk_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=96m") != 0) {
      GTEST_SKIP() << "cannot mount a small tmpfs: " << std::strerror(errno);
    }
    options_.folder = folder_ + "/store";
    Open();
  }
  void TearDown() override {
    store_.reset();
    ::umount(folder_.c_str());
    DamageTest::TearDown();
  }
  void Fill(const std::string& path, uint64_t leave_bytes) {
    struct statvfs volume;
    ASSERT_EQ(::statvfs(folder_.c_str(), &volume), 0);
    const uint64_t left = volume.f_bavail * volume.f_frsize;
    if (left <= leave_bytes) return;
    std::ofstream file(path, std::ios::binary | std::ios::app);
    const std::string block(64 << 10, 'x');
    for (uint64_t written = 0; written + block.size() <= left - leave_bytes;
         written += block.size())
      file << block;
  }
};

TEST_F(FullDiskTest, RefusesServesAndRecovers) {
  const auto series = Many(100);
  ASSERT_TRUE(AppendSamples(Rows(series, 0)));
  Fill(folder_ + "/ballast", 1 << 20);
  const auto refused = AppendSamples(Rows(series, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(refused.error().message.find("disk full"), std::string::npos);
  EXPECT_FALSE(store_->PutDocument("rule", "a", "text"));
  EXPECT_EQ(All(series[0]).size(), 1u);
  std::filesystem::remove(folder_ + "/ballast");
  ASSERT_TRUE(AppendSamples(Rows(series, 1)));
  EXPECT_EQ(All(series[0]).size(), 2u);
}

// The volume fills behind our back, below the reserve: RocksDB itself meets the end of the disk.
TEST_F(FullDiskTest, RecoversAfterTheEngineFailed) {
  const auto series = Many(2000);
  std::mt19937_64 random(1);
  int64_t step = 0;
  AppendBatch big;
  big.events.emplace_back().set_message(std::string(1 << 20, 'e'));
  Result<void> result;
  for (; step < 400 && result; ++step) {
    AppendBatch batch = big;
    batch.events[0].set_time_unix_ns(step + 1);
    for (char& c : *batch.events[0].mutable_message()) c = static_cast<char>('a' + random() % 26);
    batch.samples = Rows(series, step);
    result = Append(std::move(batch));
    if (step == 20) Fill(folder_ + "/ballast", 12 << 20);
  }
  ASSERT_FALSE(result) << "96 MiB took it all";
  EXPECT_EQ(result.error().code, ErrorCode::kResourceExhausted) << result.error().message;
  EXPECT_EQ(All(series[0]).size(), static_cast<size_t>(step - 1));
  std::filesystem::remove(folder_ + "/ballast");
  const auto deadline = clock_.SteadyNs() + 20 * kNsPerSecond;
  do {
    result = AppendSamples(Rows(series, step));
    if (!result) ::usleep(50'000);
  } while (!result && clock_.SteadyNs() < deadline);
  ASSERT_TRUE(result) << result.error().message;
  Reopen();
  EXPECT_EQ(All(series[0]).size(), static_cast<size_t>(step));
}

}  // namespace
}  // namespace faultline
