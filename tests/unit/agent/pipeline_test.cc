#include "agent/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <map>

namespace faultline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr MetricFamily kLoad{"node_load1", v1::METRIC_TYPE_GAUGE, "Load."};
constexpr MetricFamily kBytes{"net_bytes_total", v1::METRIC_TYPE_COUNTER, "Bytes \\ and\nmore."};

class KeptBatches final : public BatchSink {
 public:
  Result<void> Put(Lane lane, v1::Batch& batch, uint64_t count) override {
    if (failing) return Fail(ErrorCode::kUnavailable, "full disk");
    batch.set_sequence(batches.size() + 1);
    batches.push_back(batch);
    lanes.push_back(lane);
    records += count;
    return {};
  }
  bool Congested(LogRoom) const override { return congested; }
  Result<void> StartSession() override {
    ++sessions;
    return {};
  }

  std::vector<v1::Batch> batches;
  std::vector<Lane> lanes;
  uint64_t records = 0;
  int sessions = 0;
  bool failing = false;
  bool congested = false;
};

class PipelineTest : public ::testing::Test {
 protected:
  explicit PipelineTest(PipelineOptions options = {.max_series = 100, .seed = 7})
      : pipeline_(options, &clock_, &sink_, nullptr), leaf_(&pipeline_.Leaf("collector/a")) {}

  void Pass(const std::function<void(Emitter&)>& emit) {
    pipeline_.BeginPass(*leaf_, clock_.UnixNs());
    emit(*leaf_);
    pipeline_.EndPass(*leaf_, true);
  }
  uint64_t Dropped() const {
    uint64_t sum = 0;
    for (const auto& [key, count] : pipeline_.dropped()) sum += count;
    return sum;
  }
  // Every sample as "ref@ms", with values apart.
  static std::vector<std::pair<int64_t, double>> Samples(const v1::Batch& batch) {
    std::vector<std::pair<int64_t, double>> samples;
    for (const auto& frame : batch.frames()) {
      int64_t ref = 0;
      for (int i = 0; i < frame.values_size(); ++i) {
        ref += frame.ref_deltas(i);
        samples.emplace_back(ref, frame.values(i));
      }
    }
    return samples;
  }

  ManualClock clock_{1'700'000'000 * kNsPerSecond};
  KeptBatches sink_;
  Pipeline pipeline_;
  Emitter* leaf_;
};

TEST_F(PipelineTest, DefinesASeriesOnceAndStampsThePass) {
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 1.5); });
  pipeline_.Flush();
  clock_.Advance(kNsPerSecond);
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 2.5); });
  pipeline_.Flush();
  ASSERT_EQ(sink_.batches.size(), 2u);
  ASSERT_EQ(sink_.batches[0].series_size(), 1);
  EXPECT_EQ(sink_.batches[0].series(0).ref(), 1u);
  EXPECT_EQ(sink_.batches[0].series(0).name(), "node_load1");
  EXPECT_EQ(sink_.batches[0].series(0).help(), "Load.");
  EXPECT_EQ(sink_.batches[1].series_size(), 0);
  EXPECT_EQ(sink_.batches[1].frames(0).time_unix_ms(), 1'700'000'001'000);
  EXPECT_THAT(Samples(sink_.batches[1]), ElementsAre(std::pair<int64_t, double>(1, 2.5)));
}

TEST_F(PipelineTest, LabelOrderDoesNotMatterAndHelpIsSentOncePerFamily) {
  Pass([](Emitter& out) {
    out.Sample(kBytes, {{"device", "eth0"}, {"direction", "in"}}, 1);
    out.Sample(kBytes, {{"device", "lo"}, {"direction", "in"}}, 1);
  });
  Pass([](Emitter& out) {
    out.Sample(kBytes, {{"direction", "in"}, {"device", "eth0"}}, 2);
    out.Sample(kBytes, {{"device", "lo"}, {"direction", "in"}, {"empty", ""}}, 2);
  });
  pipeline_.Flush();
  ASSERT_EQ(sink_.batches[0].series_size(), 2);
  EXPECT_FALSE(sink_.batches[0].series(0).help().empty());
  EXPECT_TRUE(sink_.batches[0].series(1).help().empty());
  EXPECT_EQ(sink_.batches[0].series(0).labels(0).name(), "device");
  EXPECT_EQ(pipeline_.series(), 2u);
  EXPECT_EQ(Dropped(), 0u);
}

TEST_F(PipelineTest, WhatALeafStopsEmittingEndsWithAStaleMarkerAndKeepsItsReference) {
  Pass([](Emitter& out) {
    out.Sample(kBytes, {{"device", "eth0"}}, 1);
    out.Sample(kBytes, {{"device", "eth1"}}, 2);
  });
  pipeline_.Flush();
  clock_.Advance(kNsPerSecond);
  Pass([](Emitter& out) { out.Sample(kBytes, {{"device", "eth0"}}, 3); });
  pipeline_.Flush();
  const auto samples = Samples(sink_.batches[1]);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].first, 2);
  EXPECT_EQ(std::bit_cast<uint64_t>(samples[1].second), 0x7ff0000000000002u);
  EXPECT_THAT(pipeline_.RenderMetrics(), Not(HasSubstr("eth1")));
  // Once only.
  Pass([](Emitter& out) { out.Sample(kBytes, {{"device", "eth0"}}, 3); });
  pipeline_.Flush();
  EXPECT_EQ(Samples(sink_.batches[2]).size(), 1u);
  Pass([](Emitter& out) {
    out.Sample(kBytes, {{"device", "eth0"}}, 3);
    out.Sample(kBytes, {{"device", "eth1"}}, 4);
  });
  pipeline_.Flush();
  EXPECT_EQ(sink_.batches[3].series_size(), 0);
  EXPECT_EQ(Samples(sink_.batches[3])[1].first, 2);
}

TEST_F(PipelineTest, AWakeEndsNothing) {
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 1); });
  pipeline_.BeginPass(*leaf_, clock_.UnixNs());
  pipeline_.EndPass(*leaf_, false);
  EXPECT_EQ(pipeline_.series(), 1u);
}

TEST_F(PipelineTest, DuplicatesInvalidNamesAndTheLimitAreCounted) {
  Pass([](Emitter& out) {
    out.Sample(kLoad, {}, 1);
    out.Sample(kLoad, {}, 2);
    out.Sample({"2bad", v1::METRIC_TYPE_GAUGE, ""}, {}, 1);
    out.Sample(kBytes, {{"bad-label", "x"}}, 1);
    for (int i = 0; i < 150; ++i) out.Sample(kBytes, {{"device", std::to_string(i)}}, 1);
  });
  pipeline_.Flush();
  const auto& dropped = pipeline_.dropped();
  EXPECT_EQ(dropped.at({"collector/a", "duplicate_series"}), 1u);
  EXPECT_EQ(dropped.at({"collector/a", "invalid_name"}), 2u);
  EXPECT_EQ(dropped.at({"collector/a", "max_series"}), 51u);
  EXPECT_EQ(pipeline_.produced(), sink_.records + Dropped());
}

TEST_F(PipelineTest, ASeriesBelongsToTheLeafThatMadeItFirst) {
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 1); });
  Emitter& other = pipeline_.Leaf("collector/b");
  pipeline_.BeginPass(other, clock_.UnixNs());
  other.Sample(kLoad, {}, 2);
  pipeline_.EndPass(other, true);
  EXPECT_EQ(pipeline_.dropped().at({"collector/b", "duplicate_series"}), 1u);
  EXPECT_THAT(pipeline_.RenderMetrics(), HasSubstr("node_load1 1\n"));
}

TEST_F(PipelineTest, RendersFamiliesGroupedAndEscaped) {
  constexpr MetricFamily kBucket{"x_seconds_bucket", v1::METRIC_TYPE_HISTOGRAM, "Time."};
  constexpr MetricFamily kSum{"x_seconds_sum", v1::METRIC_TYPE_HISTOGRAM, "Time."};
  Pass([&](Emitter& out) {
    out.Sample(kSum, {}, 0.5);
    out.Sample(kBytes, {{"device", "a\"b\\c\nd"}}, 1e6);
    out.Sample(kBucket, {{"le", "+Inf"}}, 3);
  });
  EXPECT_EQ(pipeline_.RenderMetrics(),
            "# HELP net_bytes_total Bytes \\\\ and\\nmore.\n"
            "# TYPE net_bytes_total counter\n"
            "net_bytes_total{device=\"a\\\"b\\\\c\\nd\"} 1000000\n"
            "# HELP x_seconds Time.\n"
            "# TYPE x_seconds histogram\n"
            "x_seconds_sum 0.5\n"
            "x_seconds_bucket{le=\"+Inf\"} 3\n");
}

TEST_F(PipelineTest, InvalidTextIsRepaired) {
  Pass([](Emitter& out) { out.Sample(kBytes, {{"device", "\xff"}}, 1); });
  LogChunk chunk;
  chunk.stream_labels = {{"filename", "/a"}};
  chunk.records.push_back({.body = "bad \xc3"});
  EXPECT_TRUE(leaf_->Logs(std::move(chunk)));
  pipeline_.Flush();
  EXPECT_EQ(sink_.batches[0].series(0).labels(0).value(), "\xEF\xBF\xBD");
  EXPECT_EQ(sink_.batches[0].logs(0).records(0).body(), "bad \xEF\xBF\xBD");
  // An event's text may be the name of a process; one bad byte must not make the batch unreadable.
  v1::Event event;
  event.mutable_subject()->set_comm("x\xff");
  event.add_attributes()->set_value("\xfe");
  leaf_->Event(std::move(event), {});
  v1::FaultTransition transition;
  (*transition.mutable_parameters())["k"] = "\xfd";
  leaf_->Fault(std::move(transition));
  v1::Batch read;
  EXPECT_TRUE(read.ParseFromString(sink_.batches[1].SerializeAsString()));
  // What a script printed can be any bytes as well.
  v1::CheckResult result;
  result.set_output("\xf8 not a label");
  leaf_->Check(std::move(result), false);
  pipeline_.Flush();
  ASSERT_TRUE(read.ParseFromString(sink_.batches[2].SerializeAsString()));
  EXPECT_EQ(read.checks(0).output(), "\xEF\xBF\xBD not a label");
  EXPECT_EQ(read.checks(0).started_unix_ns(), clock_.UnixNs());
}

TEST_F(PipelineTest, LogStreamsAreDefinedOnceAndCongestionRefusesFiles) {
  const auto chunk = [](uint64_t file_id) {
    LogChunk made;
    made.stream_labels = {{"filename", "/a"}};
    made.file_id = file_id;
    made.end_offset = 10;
    made.records.push_back({.body = "line"});
    return made;
  };
  EXPECT_TRUE(leaf_->Logs(chunk(1)));
  EXPECT_TRUE(leaf_->Logs(chunk(1)));
  pipeline_.Flush();
  EXPECT_EQ(sink_.batches[0].log_streams_size(), 1);
  EXPECT_EQ(sink_.batches[0].logs_size(), 2);
  sink_.congested = true;
  EXPECT_FALSE(leaf_->Logs(chunk(1)));
  EXPECT_TRUE(leaf_->Logs(chunk(0)));  // kmsg cannot be read again
  pipeline_.Flush();
  EXPECT_EQ(pipeline_.produced(), 3u);
  EXPECT_EQ(sink_.records, 3u);
}

TEST_F(PipelineTest, WhatIsSavedOfFilesThatAreGoingHasALaneOfItsOwnBehindWhatWasReadBefore) {
  const auto chunk = [](uint64_t end, bool at_risk) {
    LogChunk made;
    made.stream_labels = {{"filename", "/a"}};
    made.records.push_back({.body = "line", .offset = end - 1});
    made.file_id = 1;
    made.end_offset = end;
    made.at_risk = at_risk;
    return made;
  };
  EXPECT_TRUE(leaf_->Logs(chunk(1, false)));
  EXPECT_TRUE(leaf_->Logs(chunk(2, true)));
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 1); });
  sink_.failing = true;
  pipeline_.Flush();
  EXPECT_FALSE(leaf_->Logs(chunk(3, true)));
  sink_.failing = false;
  pipeline_.Flush();
  EXPECT_TRUE(leaf_->Logs(chunk(3, true)));
  pipeline_.Flush();
  EXPECT_THAT(sink_.lanes, ElementsAre(Lane::kPrompt, Lane::kBacklog, Lane::kBacklog));
  EXPECT_EQ(sink_.batches[0].logs(0).end_offset(), 1u);
  EXPECT_EQ(sink_.batches[1].logs(0).end_offset(), 2u);
  EXPECT_EQ(sink_.batches[2].logs(0).end_offset(), 3u);
  // Each lane is a session with references of its own.
  EXPECT_EQ(sink_.batches[0].log_streams_size(), 1);
  EXPECT_EQ(sink_.batches[1].log_streams_size(), 1);
  EXPECT_EQ(sink_.batches[2].log_streams_size(), 0);
  EXPECT_EQ(pipeline_.produced(), sink_.records + Dropped());
}

TEST_F(PipelineTest, AFailingSinkCostsRecordsButNoDefinitions) {
  sink_.failing = true;
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 1); });
  pipeline_.Flush();
  sink_.failing = false;
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 2); });
  pipeline_.Flush();
  ASSERT_EQ(sink_.batches.size(), 1u);
  EXPECT_EQ(sink_.batches[0].series_size(), 1);
  EXPECT_EQ(Samples(sink_.batches[0]).size(), 1u);
  EXPECT_EQ(pipeline_.produced(), sink_.records + Dropped());
}

TEST_F(PipelineTest, AFailingSinkCostsNoLogLinesAndNoGroundTruth) {
  const auto chunk = [](uint64_t file_id, uint64_t offset) {
    LogChunk made;
    made.stream_labels = {{"job", "x"}};
    made.records.push_back({.body = "line", .offset = offset});
    made.file_id = file_id;
    made.end_offset = offset + 1;
    return made;
  };
  EXPECT_TRUE(leaf_->Logs(chunk(1, 0)));
  Pass([](Emitter& out) { out.Sample(kLoad, {}, 1); });
  sink_.failing = true;
  pipeline_.Flush();
  EXPECT_FALSE(leaf_->Logs(chunk(1, 1))) << "its file is the queue until the disk takes it again";
  leaf_->Fault(v1::FaultTransition());
  sink_.failing = false;
  pipeline_.Flush();
  EXPECT_TRUE(leaf_->Logs(chunk(1, 1)));
  pipeline_.Flush();
  ASSERT_EQ(sink_.batches.size(), 2u);
  EXPECT_EQ(sink_.batches[0].logs_size(), 1);
  EXPECT_EQ(sink_.batches[0].log_streams_size(), 1);
  EXPECT_EQ(sink_.batches[0].faults_size(), 1);
  EXPECT_EQ(sink_.batches[0].frames_size(), 0);
  EXPECT_EQ(pipeline_.produced(), sink_.records + Dropped());
}

TEST_F(PipelineTest, FaultsDoNotWait) {
  leaf_->Fault(v1::FaultTransition());
  EXPECT_EQ(sink_.batches.size(), 1u);
}

TEST_F(PipelineTest, LargeBatchesAreCutAndWhatIsUrgentAsksForAFlush) {
  int asked = 0;
  Pipeline pipeline({.max_series = 10, .max_batch_bytes = 1000, .want_flush = [&] { ++asked; }}, &clock_, &sink_,
                    nullptr);
  Emitter& leaf = pipeline.Leaf("probe/x");
  leaf.Event(v1::Event(), {});
  leaf.Event(v1::Event(), {});
  EXPECT_EQ(asked, 1);
  pipeline.Flush();
  leaf.Check(v1::CheckResult(), false);
  EXPECT_EQ(asked, 1);
  leaf.Check(v1::CheckResult(), true);
  EXPECT_EQ(asked, 2);
  pipeline.Flush();
  for (int i = 0; i < 10; ++i) leaf.Event(v1::Event(), {});
  EXPECT_GE(sink_.batches.size(), 2u);
}

TEST_F(PipelineTest, ASliceOfALogGoesIntoOneBatchOrWaitsAsAWhole) {
  Pipeline pipeline({.max_series = 10, .max_batch_bytes = 1000}, &clock_, &sink_, nullptr);
  Emitter& leaf = pipeline.Leaf("logs/files");
  const auto chunk = [](size_t bytes, bool continues) {
    LogChunk made;
    made.stream_labels = {{"filename", "/a"}};
    made.file_id = 1;
    made.records.push_back({.body = std::string(bytes, 'x')});
    made.continues = continues;
    return made;
  };
  EXPECT_TRUE(leaf.Logs(chunk(2000, false)));
  sink_.congested = true;
  EXPECT_TRUE(leaf.Logs(chunk(2000, true)));
  EXPECT_FALSE(leaf.Logs(chunk(1, false)));
  ASSERT_EQ(sink_.batches.size(), 1u);
  EXPECT_EQ(sink_.batches[0].logs_size(), 2);
}

TEST_F(PipelineTest, WhatIsForwardedIsKeptAtOnceOrRefused) {
  v1::OtlpRequest request;
  request.set_logs("x");
  ASSERT_TRUE(pipeline_.Forward("otlp", v1::OtlpRequest(request), 3));
  ASSERT_EQ(sink_.batches.size(), 1u);
  EXPECT_EQ(sink_.batches[0].otlp(0).logs(), "x");
  EXPECT_EQ(pipeline_.produced(), 3u);
  sink_.failing = true;
  EXPECT_FALSE(pipeline_.Forward("otlp", v1::OtlpRequest(request), 3));
  sink_.failing = false;
  sink_.congested = true;
  EXPECT_EQ(pipeline_.Forward("otlp", v1::OtlpRequest(request), 3).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(pipeline_.produced(), 3u);
  EXPECT_EQ(Dropped(), 0u);
}

TEST_F(PipelineTest, WhatEndedIsForgottenAndANewSessionRenumbers) {
  Pipeline pipeline({.max_series = 100, .max_session_refs = 20}, &clock_, &sink_, nullptr);
  Emitter& leaf = pipeline.Leaf("a");
  for (int i = 0; i < 30; ++i) {
    pipeline.BeginPass(leaf, clock_.UnixNs());
    leaf.Sample(kLoad, {}, i);
    leaf.Sample(kBytes, {{"device", std::to_string(i)}}, 1);
    pipeline.EndPass(leaf, true);
    clock_.Advance(kNsPerSecond);
  }
  pipeline.Tidy();
  EXPECT_EQ(sink_.sessions, 1);
  sink_.batches.clear();
  pipeline.BeginPass(leaf, clock_.UnixNs());
  leaf.Sample(kLoad, {}, 1);
  leaf.Sample(kBytes, {{"device", "29"}}, 5);
  pipeline.EndPass(leaf, true);
  pipeline.Flush();
  ASSERT_EQ(sink_.batches[0].series_size(), 2);
  EXPECT_EQ(sink_.batches[0].series(0).ref(), 1u);
  EXPECT_FALSE(sink_.batches[0].series(0).help().empty());
  EXPECT_EQ(Samples(sink_.batches[0]).size(), 2u);
}

}  // namespace
}  // namespace faultline
