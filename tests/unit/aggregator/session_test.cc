// Translation of a session's batches: dictionaries, limits, and what is refused.
#include "aggregator/session.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"

namespace faultline {
namespace {

class SessionTest : public testing::Test {
 protected:
  static void Define(v1::Batch* batch, uint32_t ref, const std::string& name) {
    v1::SeriesDefinition* definition = batch->add_series();
    definition->set_ref(ref);
    definition->set_name(name);
    definition->set_type(v1::METRIC_TYPE_GAUGE);
  }
  static void Put(v1::Batch* batch, int64_t time_ms, std::vector<std::pair<int32_t, double>> samples) {
    v1::SampleFrame* frame = batch->add_frames();
    frame->set_time_unix_ms(time_ms);
    for (const auto& [delta, value] : samples) {
      frame->add_ref_deltas(delta);
      frame->add_values(value);
    }
  }
  Result<AppendBatch> Translate(v1::Batch batch) {
    return session_.Translate(std::move(batch), &store_, limits_, &drops_);
  }

  MemoryStore store_;
  SessionLimits limits_{.max_series_per_node = 3, .oldest_ms = 0, .newest_ms = 1'000'000};
  SessionDrops drops_;
  Session session_{"n", 7, {}};
};

TEST_F(SessionTest, ReferencesAreDeltaCodedAndTheNodeIsAdded) {
  v1::Batch batch;
  Define(&batch, 1, "a");
  Define(&batch, 2, "b");
  Put(&batch, 1000, {{2, 20}, {-1, 10}});
  const auto rows = Translate(batch);
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->samples.size(), 2u);
  EXPECT_EQ(LabelValue(*store_.LabelsOf(rows->samples[0].series), "__name__"), "b");
  EXPECT_EQ(LabelValue(*store_.LabelsOf(rows->samples[1].series), "node"), "n");
  EXPECT_EQ(rows->series_refs.size(), 2u);
}

TEST_F(SessionTest, ResultsOfChecksGoToTheStore) {
  v1::Batch batch;
  batch.add_checks()->set_rule("builtin/psi");
  const auto rows = Translate(batch);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->checks.size(), 1u);
  EXPECT_EQ(rows->checks[0].rule(), "builtin/psi");
}

TEST_F(SessionTest, DefinitionsOfARefusedBatchTravelWithTheNext) {
  v1::Batch bad;
  Define(&bad, 1, "a");
  Put(&bad, 1000, {{5, 1}});
  EXPECT_EQ(Translate(bad).error().code, ErrorCode::kNotFound);
  v1::Batch good;
  Define(&good, 1, "a");
  Put(&good, 1000, {{1, 1}});
  const auto rows = Translate(good);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->series_refs.size(), 1u);
}

TEST_F(SessionTest, SeriesBeyondTheLimitAreLeftOutAndCounted) {
  v1::Batch batch;
  for (uint32_t ref = 1; ref <= 5; ++ref) Define(&batch, ref, "m" + std::to_string(ref));
  Put(&batch, 1000, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}});
  const auto rows = Translate(batch);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->samples.size(), 3u);
  EXPECT_EQ(drops_.series_limit, 2u);
}

TEST_F(SessionTest, TheFutureIsLeftOutAndCounted) {
  v1::Batch batch;
  Define(&batch, 1, "a");
  Put(&batch, 2'000'000, {{1, 1}});
  ASSERT_TRUE(Translate(batch));
  EXPECT_EQ(drops_.out_of_range, 1u);
}

TEST_F(SessionTest, RefusesWhatIsMalformed) {
  const auto refuse = [&](ErrorCode code, const std::function<void(v1::Batch*)>& fill) {
    v1::Batch batch;
    fill(&batch);
    const auto rows = Translate(batch);
    ASSERT_FALSE(rows);
    EXPECT_EQ(rows.error().code, code) << rows.error().message;
  };
  refuse(ErrorCode::kNotFound, [](auto* b) { Define(b, 2, "skips_one"); });
  refuse(ErrorCode::kCorruption, [](auto* b) { Define(b, 1, "9lives"); });
  refuse(ErrorCode::kCorruption, [](auto* b) {
    Define(b, 1, "a");
    v1::Label* label = b->mutable_series(0)->add_labels();
    label->set_name("node");
    label->set_value("somebody-else");
  });
  refuse(ErrorCode::kCorruption, [](auto* b) { b->add_frames()->add_values(1); });
  refuse(ErrorCode::kNotFound, [](auto* b) { b->add_logs()->set_stream_ref(3); });
}

}  // namespace
}  // namespace faultline
