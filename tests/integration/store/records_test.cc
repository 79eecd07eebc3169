// Sessions, log lines, events, spans, faults and documents through the whole store.
#include "tests/support/store_fixture.h"

namespace faultline {
namespace {

using Op = LabelMatcher::Op;
constexpr int64_t kStart = 1'763'640'000'000'000'000;

class RecordsTest : public StoreFixture {
 protected:
  AppendBatch Batch(uint64_t sequence) {
    AppendBatch batch;
    batch.node = "n1";
    batch.session = 7;
    batch.sequence = sequence;
    batch.previous_sequence = sequence - 1;
    return batch;
  }
  AppendBatch LogBatch(StreamId stream, uint64_t file, uint64_t first, uint64_t count) {
    AppendBatch batch;
    batch.node = "n1";
    AppendBatch::LogRows rows{stream, file, first, first + count, {}};
    for (uint64_t i = first; i < first + count; ++i) {
      v1::LogRecord& record = rows.records.emplace_back();
      record.set_time_unix_ns(kStart + static_cast<int64_t>(i) * 1'000'000);
      record.set_offset(i);
      record.set_body("line " + std::to_string(i) + (i % 10 == 0 ? " error" : " fine"));
    }
    batch.logs.push_back(std::move(rows));
    return batch;
  }
  std::vector<std::string> Lines(const LogQuery& query, size_t limit = SIZE_MAX) {
    std::vector<std::string> lines;
    const auto scanned = store_->ScanLogs(query, [&](const Labels&, const LogEntry& entry) {
      lines.push_back(entry.body);
      return lines.size() < limit;
    });
    EXPECT_TRUE(scanned) << scanned.error().message;
    return lines;
  }
  LogQuery Everything() {
    LogQuery query;
    query.begin_unix_ns = 0;
    query.end_unix_ns = INT64_MAX;
    query.newest_first = false;
    return query;
  }
};

TEST_F(RecordsTest, WatermarkAndDictionarySurvive) {
  const SeriesId id = Series({{"__name__", "x"}});
  auto first = Batch(1);
  first.series_refs = {{1, id}};
  first.stream_refs = {{2, 9}};
  first.samples = {{id, 1000, 1}};
  ASSERT_TRUE(Append(first));
  auto again = Batch(1);
  again.samples = {{id, 2000, 2}};
  EXPECT_TRUE(Append(again));  // dropped, reported done
  EXPECT_EQ(All(id).size(), 1u);
  const auto gap = Append(Batch(3));
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(Append(Batch(2)));
  for (int pass = 0; pass < 2; ++pass) {
    const auto session = store_->Session("n1", 7);
    ASSERT_TRUE(session);
    EXPECT_EQ(session->committed_sequence, 2u);
    EXPECT_EQ(session->series, (std::vector<SeriesId>{id}));
    EXPECT_EQ(session->streams, (std::vector<StreamId>{0, 9}));
    EXPECT_EQ(store_->Session("n1", 8)->committed_sequence, 0u);
    EXPECT_EQ(store_->Session("n", 7)->committed_sequence, 0u);
    Reopen();
  }
}

TEST_F(RecordsTest, LogLinesAreStoredOnce) {
  const StreamId stream = store_->InternStream({{"app", "web"}}).value();
  ASSERT_TRUE(Append(LogBatch(stream, 5, 0, 100)));
  ASSERT_TRUE(Append(LogBatch(stream, 5, 50, 100)));  // read again from the middle
  ASSERT_TRUE(Append(LogBatch(stream, 5, 20, 10)));
  EXPECT_EQ(Lines(Everything()).size(), 150u);
  EXPECT_EQ(store_->Stats().log_duplicates, 60u);
  EXPECT_EQ(store_->Stats().log_records, 150u);
  Reopen();
  ASSERT_TRUE(Append(LogBatch(stream, 5, 0, 160)));
  const auto lines = Lines(Everything());
  ASSERT_EQ(lines.size(), 160u);
  EXPECT_EQ(lines[0], "line 0 error");
  EXPECT_EQ(lines[159], "line 159 fine");
}

TEST_F(RecordsTest, LogsMergeOverStreamsBlocksAndTails) {
  std::vector<StreamId> streams;
  for (int i = 0; i < 3; ++i)
    streams.push_back(store_->InternStream({{"app", "s" + std::to_string(i)}}).value());
  // 60,000 lines: several blocks per stream, and a tail.
  for (uint64_t first = 0; first < 20'000; first += 1000) {
    for (const StreamId stream : streams) ASSERT_TRUE(Append(LogBatch(stream, 0, first, 1000)));
  }
  for (int pass = 0; pass < 2; ++pass) {
    int64_t last = 0;
    size_t count = 0;
    ASSERT_TRUE(store_->ScanLogs(Everything(), [&](const Labels&, const LogEntry& entry) {
      EXPECT_GE(entry.time_unix_ns, last);
      last = entry.time_unix_ns;
      ++count;
      return true;
    }));
    EXPECT_EQ(count, 60'000u);
    LogQuery newest = Everything();
    newest.newest_first = true;
    newest.matchers = {{Op::kMatches, "app", "s1|s2"}};
    EXPECT_EQ(Lines(newest, 3),
              (std::vector<std::string>{"line 19999 fine", "line 19999 fine", "line 19998 fine"}));
    newest.needles = {"error", "line 123"};
    EXPECT_EQ(Lines(newest).size(), 22u);  // 1230, 12300, 12310 … 12390 in two streams
    LogQuery window = Everything();
    window.matchers = {{Op::kEqual, "app", "s0"}};
    window.begin_unix_ns = kStart + 5'000'000;
    window.end_unix_ns = kStart + 8'000'000;
    EXPECT_EQ(Lines(window),
              (std::vector<std::string>{"line 5 fine", "line 6 fine", "line 7 fine"}));
    EXPECT_EQ(store_->LogStreams({}, kStart, kStart + 1).value().size(), 3u);
    EXPECT_EQ(store_->LogStreams({}, 0, kStart).value().size(), 0u);
    Reopen();
  }
}

TEST_F(RecordsTest, EventsFaultsAndSpans) {
  auto batch = Batch(1);
  const std::string trace(16, 't');
  for (int i = 0; i < 10; ++i) {
    v1::Event& event = batch.events.emplace_back();
    event.set_time_unix_ns(kStart + i);
    event.set_type("oom_kill");
    v1::Span& span = batch.spans.emplace_back();
    span.set_trace_id(i < 4 ? trace : std::string(16, static_cast<char>('a' + i)));
    span.set_start_unix_ns(kStart - i * 90'000'000'000'000);  // over several days
    span.set_name("s" + std::to_string(i));
  }
  v1::FaultTransition& fault = batch.faults.emplace_back();
  fault.set_time_unix_ns(kStart);
  fault.set_fault("cpu_stress");
  v1::CheckResult& check = batch.checks.emplace_back();
  check.set_started_unix_ns(kStart + 1);
  check.set_verdict(v1::CHECK_VERDICT_PROBLEM);
  ASSERT_TRUE(Append(batch));
  ASSERT_TRUE(Append(batch));  // again
  Reopen();
  const auto events = store_->Events(kStart + 2, kStart + 8, 4).value();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].event.time_unix_ns(), kStart + 4);  // the newest four
  EXPECT_EQ(events[0].node, "n1");
  EXPECT_EQ(store_->Events(0, INT64_MAX, 100).value().size(), 10u);
  const auto spans = store_->Trace(trace).value();
  ASSERT_EQ(spans.size(), 4u);
  EXPECT_EQ(spans[0].span.name(), "s3");
  EXPECT_TRUE(store_->Trace("nobody").value().empty());
  EXPECT_EQ(store_->Spans(kStart, kStart + 1, 10).value().size(), 1u);
  EXPECT_EQ(store_->Faults(0, INT64_MAX).value().at(0).transition.fault(), "cpu_stress");
  const auto checks = store_->Checks(kStart, INT64_MAX, 10).value();
  ASSERT_EQ(checks.size(), 1u);
  EXPECT_EQ(checks[0].node, "n1");
  EXPECT_EQ(checks[0].result.verdict(), v1::CHECK_VERDICT_PROBLEM);
  ASSERT_TRUE(store_->Retain(kStart));
  EXPECT_EQ(store_->Trace(trace).value().size(), 1u);
}

TEST_F(RecordsTest, TheHistoryOfARuleIsFoundOverDays) {
  constexpr int64_t kHalfDay = 43'200'000'000'000;
  for (const char* node : {"n1", "n10", "n2"}) {
    AppendBatch batch;
    batch.node = node;
    batch.session = 5;
    batch.sequence = 1;
    for (int i = 0; i < 6; ++i) {
      for (const char* rule : {"builtin/disk/space", "builtin/disk", "aegis/ib/x"}) {
        v1::CheckResult& check = batch.checks.emplace_back();
        check.set_rule(rule);
        check.set_started_unix_ns(kStart - i * kHalfDay);
        check.set_message(fmt::format("{} {} {}", node, rule, i));
      }
    }
    ASSERT_TRUE(Append(batch));
    ASSERT_TRUE(Append(batch));  // again
  }
  Reopen();
  const auto history = [&](std::string_view rule, int64_t begin, int64_t end, size_t max) {
    std::vector<std::string> messages;
    const auto found = store_->CheckHistory("n1", rule, begin, end, max);
    for (const StoredCheck& stored : found.value()) messages.push_back(stored.result.message());
    return messages;
  };
  EXPECT_EQ(history("builtin/disk", 0, INT64_MAX, 100).size(), 6u);
  EXPECT_EQ(history("builtin/disk", 0, INT64_MAX, 2), (std::vector<std::string>{"n1 builtin/disk 1", "n1 builtin/disk 0"}));
  EXPECT_THAT(history("builtin/*", kStart - kHalfDay, kStart, 100),
              ::testing::UnorderedElementsAre("n1 builtin/disk 1", "n1 builtin/disk/space 1"));
  EXPECT_EQ(history("", 0, INT64_MAX, 100).size(), 18u);
  EXPECT_TRUE(history("builtin", 0, INT64_MAX, 100).empty());
  EXPECT_TRUE(store_->CheckHistory("n3", "", 0, INT64_MAX, 100).value().empty());
  ASSERT_TRUE(store_->Retain(kStart));
  EXPECT_LE(history("", 0, INT64_MAX, 100).size(), 6u);
}

TEST_F(RecordsTest, Documents) {
  ASSERT_TRUE(store_->PutDocument("rule", "b", "2"));
  ASSERT_TRUE(store_->PutDocument("rule", "a", "1"));
  ASSERT_TRUE(store_->PutDocument("rules", "c", "3"));
  ASSERT_TRUE(store_->PutDocument("rule", "a", "one"));
  Reopen();
  EXPECT_EQ(store_->GetDocument("rule", "a").value(), "one");
  EXPECT_EQ(store_->ListDocuments("rule").value(),
            (std::vector<std::pair<std::string, std::string>>{{"a", "one"}, {"b", "2"}}));
  ASSERT_TRUE(store_->DeleteDocument("rule", "a"));
  EXPECT_EQ(store_->GetDocument("rule", "a").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->DeleteDocument("rule", "a").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->PutDocument("a", std::string("b\0c", 3), "").error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace faultline
