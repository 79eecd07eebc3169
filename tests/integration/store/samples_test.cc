// Samples through the whole store: order, duplicates, late ones, day boundaries, restarts,
// retention.
#include <algorithm>
#include <random>

#include "tests/support/store_fixture.h"

namespace faultline {
namespace {

using Op = LabelMatcher::Op;
constexpr int64_t kDayMs = 86'400'000;

using SamplesTest = StoreFixture;

TEST_F(SamplesTest, ComeBackInOrder) {
  const SeriesId up = Series({{"__name__", "up"}, {"node", "n1"}});
  EXPECT_EQ(up, Series({{"__name__", "up"}, {"node", "n1"}}));
  ASSERT_TRUE(AppendSamples({{up, 1000, 1}, {up, 2000, 2}, {up, 3000, StaleMarker()}}));
  const auto samples = store_->Fetch(up, 1500, 3000);
  ASSERT_TRUE(samples);
  ASSERT_EQ(samples->size(), 2u);
  EXPECT_EQ((*samples)[0].time_ms, 2000);
  EXPECT_TRUE(IsStale((*samples)[1].value));
  EXPECT_EQ(store_->LabelsOf(up).value(), (Labels{{"__name__", "up"}, {"node", "n1"}}));
  EXPECT_EQ(store_->Fetch(77, 0, 1).error().code, ErrorCode::kNotFound);
}

TEST_F(SamplesTest, SelectIsTightInTime) {
  const SeriesId a = Series({{"__name__", "a"}});
  const SeriesId b = Series({{"__name__", "b"}});
  Series({{"__name__", "never_written"}});
  ASSERT_TRUE(AppendSamples({{a, 1000, 1}, {a, 2000, 1}, {b, 5000, 1}}));
  EXPECT_EQ(store_->Select({}, 0, 10'000).value(), (std::vector<SeriesId>{a, b}));
  EXPECT_EQ(store_->Select({}, 2001, 10'000).value(), (std::vector<SeriesId>{b}));
  EXPECT_EQ(store_->Select({}, 0, 4999).value(), (std::vector<SeriesId>{a}));
  EXPECT_EQ(store_->LabelValues("__name__", {}, 0, 10'000).value(),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(store_->LabelNames({}, 6000, 10'000).value(), (std::vector<std::string>{}));
}

TEST_F(SamplesTest, DuplicatesAndLateOnes) {
  const SeriesId id = Series({{"__name__", "x"}});
  const int64_t start = 10 * kDayMs;
  ASSERT_TRUE(AppendSamples({{id, start, 1}, {id, start, 1}, {id, start, 2}}));
  ASSERT_TRUE(AppendSamples({{id, start + 600'000, 3},
                             {id, start + 300'000, 4},
                             {id, start + 300'000, 4},
                             {id, start + 300'000, 5},
                             {id, start - 1, 6}}));
  const auto samples = All(id);
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0].value, 1);
  EXPECT_EQ(samples[1].value, 4);
  EXPECT_EQ(samples[2].value, 3);
  EXPECT_EQ(store_->Stats().samples_appended, 3u);
  EXPECT_EQ(store_->Stats().samples_rejected, 3u);  // two conflicts, one too old
}

TEST_F(SamplesTest, MetadataFollowsTheMetric) {
  ASSERT_TRUE(store_->InternSeries({{"__name__", "c_total"}, {"x", "1"}},
                                   {v1::METRIC_TYPE_COUNTER, "Counts."}));
  const auto id =
      store_->InternSeries({{"__name__", "c_total"}, {"x", "2"}}, {v1::METRIC_TYPE_COUNTER, ""});
  ASSERT_TRUE(id);
  EXPECT_EQ(store_->MetaOf(*id).value().help, "Counts.");
  ASSERT_TRUE(AppendSamples({{*id, 1, 1}}));
  Reopen();
  const auto metadata = store_->Metadata().value();
  ASSERT_EQ(metadata.size(), 1u);
  EXPECT_EQ(metadata[0].second.type, v1::METRIC_TYPE_COUNTER);
}

TEST_F(SamplesTest, BadRowsDoNotFailTheBatch) {
  const SeriesId id = Series({{"__name__", "x"}});
  ASSERT_TRUE(AppendSamples({{0, 1, 1}, {id, INT64_MAX, 1}, {id + 1, 5, 1}, {id, 5, 1}}));
  EXPECT_EQ(All(id).size(), 1u);
  EXPECT_EQ(store_->Stats().samples_rejected, 3u);
}

TEST_F(SamplesTest, LimitOfSeriesIsNamed) {
  store_.reset();
  options_.max_series = 2;
  Open();
  Series({{"a", "1"}});
  Series({{"a", "2"}});
  const auto third = store_->InternSeries({{"a", "3"}}, {});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(third.error().message.find("max_series"), std::string::npos);
  EXPECT_TRUE(store_->InternSeries({{"a", "1"}}, {}));
}

// A model in memory beside the store, over days, with late samples, restarts and a log that is
// trimmed all the time.
TEST_F(SamplesTest, EqualsTheModelThroughRestarts) {
  options_.log_round_bytes = 20'000;
  options_.commit_interval_ns = 0;
  Reopen();
  std::mt19937_64 random(42);
  constexpr size_t kSeries = 40;
  std::vector<SeriesId> ids;
  std::vector<std::map<int64_t, double>> model(kSeries);
  std::vector<int64_t> newest(kSeries, 20'000 * kDayMs - 3'000'000);
  for (size_t i = 0; i < kSeries; ++i)
    ids.push_back(Series({{"__name__", "m"}, {"i", std::to_string(i)}}));
  for (int round = 0; round < 300; ++round) {
    std::vector<AppendBatch::SampleRow> rows;
    for (int n = 0; n < 400; ++n) {
      const size_t i = random() % kSeries;
      const auto value = static_cast<double>(random() % 100'000) / 100;
      int64_t time = newest[i] + 1 + static_cast<int64_t>(random() % 30'000);
      if (random() % 20 == 0) time = newest[i] - static_cast<int64_t>(random() % 599'000);
      newest[i] = std::max(newest[i], time);
      rows.push_back({ids[i], time, value});
      model[i].emplace(time, value);
    }
    ASSERT_TRUE(AppendSamples(std::move(rows)));
    if (round % 50 == 49) Reopen();
    if (round % 25 != 24) continue;
    for (size_t i = 0; i < kSeries; ++i) {
      const auto samples = All(ids[i]);
      ASSERT_EQ(samples.size(), model[i].size()) << "round " << round << " series " << i;
      auto expected = model[i].begin();
      for (const Sample& sample : samples) {
        ASSERT_EQ(sample.time_ms, expected->first);
        ASSERT_EQ(sample.value, expected->second);
        ++expected;
      }
      const int64_t begin = newest[i] - static_cast<int64_t>(random() % 10'000'000);
      const int64_t end = begin + static_cast<int64_t>(random() % 5'000'000);
      const auto part = store_->Fetch(ids[i], begin, end);
      ASSERT_TRUE(part);
      ASSERT_EQ(static_cast<ptrdiff_t>(part->size()),
                std::distance(model[i].lower_bound(begin), model[i].upper_bound(end)));
    }
  }
}

// Long columns on disk, in pieces that no reader can tell from the samples that came.
TEST_F(SamplesTest, SmallChunksAreMerged) {
  const SeriesId steady = Series({{"__name__", "steady"}});
  const SeriesId ragged = Series({{"__name__", "ragged"}});
  constexpr int64_t kBegin = 100 * kDayMs + kDayMs / 2;
  constexpr int64_t kCount = 6000;  // over midnight, and more than three merges
  for (int64_t i = 0; i < kCount; i += 60) {
    std::vector<AppendBatch::SampleRow> rows;
    for (int64_t k = i; k < i + 60; ++k) {
      rows.push_back({steady, kBegin + k * 15'000, static_cast<double>(k)});
      rows.push_back({ragged, kBegin + k * 15'000 + k % 7, 0.1 * static_cast<double>(k * k % 91)});
    }
    if (i == 3000) Reopen();
    ASSERT_TRUE(AppendSamples(std::move(rows)));
  }
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    for (const SeriesId id : {steady, ragged}) {
      const auto samples = All(id);
      ASSERT_EQ(samples.size(), static_cast<size_t>(kCount));
      for (int64_t k = 0; k < kCount; ++k) {
        const Sample& sample = samples[static_cast<size_t>(k)];
        ASSERT_EQ(sample.time_ms, kBegin + k * 15'000 + (id == ragged ? k % 7 : 0));
        ASSERT_EQ(sample.value,
                  id == ragged ? 0.1 * static_cast<double>(k * k % 91) : static_cast<double>(k));
      }
    }
    const auto part =
        store_->Fetch(steady, kBegin + 1500 * 15'000 - 1, kBegin + 1600 * 15'000).value();
    ASSERT_EQ(part.size(), 101u);
    EXPECT_EQ(part.front().value, 1500);
  }
}

TEST_F(SamplesTest, FetchManyIsFetchForEach) {
  std::vector<SeriesId> ids;
  std::vector<AppendBatch::SampleRow> rows;
  for (int64_t i = 0; i < 300; ++i) {
    ids.push_back(Series({{"__name__", "m"}, {"i", std::to_string(i)}}));
    for (int64_t k = 0; k < i; ++k)
      rows.push_back({ids.back(), 1000 * k, static_cast<double>(i * k)});
  }
  ASSERT_TRUE(AppendSamples(std::move(rows)));
  std::reverse(ids.begin(), ids.end());
  size_t called = 0;
  ASSERT_TRUE(store_->FetchMany(
      ids, 10'000, 250'000, [&](size_t place, std::vector<Sample>& samples) -> Result<void> {
        ++called;
        const auto alone = store_->Fetch(ids[place], 10'000, 250'000).value();
        EXPECT_EQ(samples.size(), alone.size());
        for (size_t k = 0; k < alone.size(); ++k) EXPECT_EQ(samples[k].value, alone[k].value);
        return {};
      }));
  EXPECT_EQ(called, ids.size());
}

TEST_F(SamplesTest, EncodedLabelsAreReadOnce) {
  size_t read = 0;
  const auto labels = [&]() -> Result<Labels> {
    ++read;
    return Labels{{"__name__", "up"}, {"a", "b"}};
  };
  const SeriesId first = store_->InternEncoded("bytes", labels).value();
  EXPECT_EQ(first, store_->InternEncoded("bytes", labels).value());
  EXPECT_EQ(read, 1u);
  EXPECT_EQ(first, store_->InternEncoded("other bytes", labels).value());
  EXPECT_EQ(first, Series({{"__name__", "up"}, {"a", "b"}}));
  EXPECT_FALSE(store_->InternEncoded(
      "bad", []() -> Result<Labels> { return Fail(ErrorCode::kInvalidArgument, "no"); }));
}

TEST_F(SamplesTest, RetainDropsWholeDays) {
  const SeriesId old = Series({{"__name__", "old"}});
  const SeriesId both = Series({{"__name__", "both"}});
  std::vector<AppendBatch::SampleRow> rows;
  for (int64_t i = 0; i < 500; ++i) rows.push_back({old, 100 * kDayMs + i * 1000, 1});
  for (int64_t day = 100; day < 104; ++day) {
    for (int64_t i = 0; i < 500; ++i)
      rows.push_back({both, day * kDayMs + i * 1000, static_cast<double>(i)});
  }
  ASSERT_TRUE(AppendSamples(std::move(rows)));
  ASSERT_TRUE(store_->Retain(102 * kDayMs * 1'000'000));
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(All(both).size(), 1000u);
    EXPECT_EQ(store_->Select({}, 0, INT64_MAX).value(), (std::vector<SeriesId>{both}));
    Reopen();
    ASSERT_TRUE(store_->Retain(102 * kDayMs * 1'000'000));
  }
}

TEST_F(SamplesTest, SnapshotIsAStoreOfItsOwn) {
  const SeriesId id = Series({{"__name__", "x"}});
  ASSERT_TRUE(AppendSamples({{id, 1000, 1}, {id, 2000, 2}}));
  ASSERT_TRUE(store_->Snapshot(folder_ + "/copy"));
  ASSERT_TRUE(AppendSamples({{id, 3000, 3}}));
  EXPECT_EQ(All(id).size(), 3u);
  store_.reset();
  options_.folder = folder_ + "/copy";
  Open();
  EXPECT_EQ(All(id).size(), 2u);
}

TEST_F(SamplesTest, SecondOpenerIsRefused) {
  const auto second = OpenRocksDbStore(options_, &clock_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(options_.folder), std::string::npos);
}

}  // namespace
}  // namespace faultline
