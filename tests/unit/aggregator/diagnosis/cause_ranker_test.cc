// The ranker on anomalies made by hand.
#include <gtest/gtest.h>

#include "aggregator/diagnosis/catalogue.h"

namespace faultline {
namespace {

Anomaly Cpu(const std::string& id, double before, double during, int64_t onset_ms = 1000) {
  Anomaly anomaly;
  anomaly.labels = {{"container", id.substr(id.rfind('/') + 1)}, {"id", id}, {"node", "n"}};
  anomaly.signal = "container_cpu_usage_seconds_total";
  anomaly.before = before;
  anomaly.during = during;
  anomaly.score = 50;
  anomaly.direction = during > before ? "up" : "down";
  anomaly.onset_unix_ms = onset_ms;
  return anomaly;
}

Anomaly NodeCpu(double before, double during) {
  Anomaly anomaly = Cpu("/x", before, during);
  anomaly.labels = {{"node", "n"}};
  anomaly.signal = "node_cpu_seconds_total";
  return anomaly;
}

TEST(CauseRanker, TheOneThatBurnsComesFirst) {
  Anomaly waiting = Cpu("/app/client", 0.01, 0.5);
  waiting.signal = "container_pressure_cpu_waiting_seconds_total";
  const auto suspects = MakeCauseRanker()->Rank(
      {.anomalies = {waiting, Cpu("/app/client", 0.05, 0.1), Cpu("/app/server", 0.1, 1.9), NodeCpu(0.3, 2)},
       .events = {}, .begin_unix_ms = 0, .end_unix_ms = 20'000});
  ASSERT_FALSE(suspects.empty());
  EXPECT_EQ(suspects[0].cgroup, "/app/server");
  EXPECT_EQ(suspects[0].cause, "cpu_saturation");
  for (const Suspect& suspect : suspects) EXPECT_FALSE(suspect.cgroup.empty()) << "the node is explained";
}

TEST(CauseRanker, AParentIsExplainedByItsChild) {
  const auto suspects = MakeCauseRanker()->Rank(
      {.anomalies = {Cpu("/", 0.3, 2.1), Cpu("/app", 0.2, 2.0), Cpu("/app/server", 0.1, 1.9)},
       .events = {}, .begin_unix_ms = 0, .end_unix_ms = 20'000});
  ASSERT_EQ(suspects.size(), 1u);
  EXPECT_EQ(suspects[0].cgroup, "/app/server");
}

TEST(CauseRanker, AHostProcessIsTheNodes) {
  const auto suspects = MakeCauseRanker()->Rank(
      {.anomalies = {NodeCpu(0.1, 2)}, .events = {}, .begin_unix_ms = 0, .end_unix_ms = 20'000});
  ASSERT_EQ(suspects.size(), 1u);
  EXPECT_TRUE(suspects[0].cgroup.empty());
  EXPECT_EQ(suspects[0].node, "n");
}

TEST(CauseRanker, LessWorkIsNoStop) {
  Anomaly stopped = Cpu("/app/server", 0.2, 0);
  stopped.direction = "gone";
  const auto suspects = MakeCauseRanker()->Rank({.anomalies = {Cpu("/app/client", 0.2, 0.02), stopped},
                                                 .events = {}, .begin_unix_ms = 0, .end_unix_ms = 20'000});
  ASSERT_EQ(suspects.size(), 1u);
  EXPECT_EQ(suspects[0].cgroup, "/app/server");
  EXPECT_EQ(suspects[0].cause, "process_stopped");
}

TEST(CauseRanker, NothingIsAValidAnswer) {
  EXPECT_TRUE(MakeCauseRanker()->Rank({}).empty());
}

TEST(Report, EscapesWhatCameFromOutside) {
  DiagnosisReport report;
  Suspect suspect;
  suspect.cgroup = "/<script>alert(1)</script>";
  suspect.cause = "cpu_saturation";
  suspect.evidence = {Cpu("/<b>", 0, 1)};
  report.suspects = {suspect};
  const std::string html = RenderHtml(report);
  EXPECT_EQ(html.find("<script>"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  EXPECT_NE(RenderText(report).find("cpu_saturation"), std::string::npos);
  EXPECT_NE(RenderJson(report).find("\"suspects\""), std::string::npos);
}

}  // namespace
}  // namespace faultline
