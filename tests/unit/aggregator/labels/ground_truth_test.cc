#include "aggregator/labels/ground_truth.h"

#include <gtest/gtest.h>

#include "aggregator/labels/label_json.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

constexpr int64_t kBegin = 1'795'176'000 * kNsPerSecond;

v1::FaultTransition Transition(v1::FaultPhase phase, int64_t time_unix_ns,
                               const std::string& uid = "f1") {
  v1::FaultTransition transition;
  transition.set_fault_uid(uid);
  transition.set_experiment("default/x");
  transition.set_fault("cpu_stress");
  transition.set_phase(phase);
  transition.set_time_unix_ns(time_unix_ns);
  transition.mutable_target()->set_cgroup("/a");
  return transition;
}

v1::FaultTransition Verified(v1::Verdict verdict) {
  auto transition = Transition(v1::FAULT_PHASE_VERIFIED, kBegin + 2 * kNsPerSecond);
  transition.mutable_effect()->set_verdict(verdict);
  return transition;
}

class GroundTruthTest : public testing::Test {
 protected:
  MemoryDocuments store;
  GroundTruth truth{&store};
};

TEST_F(GroundTruthTest, IntervalIsOnOurClock) {
  const int64_t offset = 5 * kNsPerSecond;  // the node is ahead
  truth.Apply("n1", Transition(v1::FAULT_PHASE_REQUESTED, kBegin), offset);
  truth.Apply("n1", Transition(v1::FAULT_PHASE_PLANNED, kBegin), offset);
  EXPECT_TRUE(truth.Between(0, INT64_MAX).empty()) << "nothing is in force yet";
  truth.Apply("n1", Transition(v1::FAULT_PHASE_INJECTED, kBegin), offset);
  ASSERT_EQ(truth.Active().size(), 1u);
  truth.Apply("n1", Verified(v1::VERDICT_TRUE), offset);
  auto end = Transition(v1::FAULT_PHASE_RECOVERED, kBegin + 20 * kNsPerSecond);
  end.set_cause_of_end("duration");
  end.mutable_effect()->set_verdict(v1::VERDICT_FALSE);
  end.add_residue("a file");
  truth.Apply("n1", end, offset);
  ASSERT_TRUE(truth.Active().empty());
  const auto labels = truth.Between(kBegin - offset, kBegin - offset);
  ASSERT_EQ(labels.size(), 1u);
  EXPECT_EQ(labels[0].begin_unix_ns, kBegin - offset);
  EXPECT_EQ(labels[0].end_unix_ns, kBegin - offset + 20 * kNsPerSecond);
  EXPECT_EQ(labels[0].effect.verdict(), v1::VERDICT_TRUE);
  EXPECT_EQ(labels[0].after.verdict(), v1::VERDICT_FALSE);
  EXPECT_EQ(labels[0].residue, std::vector<std::string>{"a file"});
  EXPECT_TRUE(truth.Between(0, kBegin - offset - 1).empty());
  EXPECT_TRUE(truth.Between(labels[0].end_unix_ns + 1, INT64_MAX).empty());
}

TEST_F(GroundTruthTest, HearingItTwiceChangesNothing) {
  for (int round = 0; round < 2; ++round) {
    truth.Apply("n1", Transition(v1::FAULT_PHASE_INJECTED, kBegin),
                round);  // the offset has moved a little
    truth.Apply("n1", Verified(v1::VERDICT_TRUE), 0);
    truth.Apply("n1", Transition(v1::FAULT_PHASE_RECOVERED, kBegin + kNsPerSecond), round);
  }
  const auto labels = truth.Between(0, INT64_MAX);
  ASSERT_EQ(labels.size(), 1u);
  EXPECT_EQ(labels[0].begin_unix_ns, kBegin);
  EXPECT_EQ(labels[0].end_unix_ns, kBegin + kNsPerSecond);
}

TEST_F(GroundTruthTest, SurvivesARestart) {
  truth.Apply("n1", Transition(v1::FAULT_PHASE_INJECTED, kBegin), 7);
  FaultLabel mine;
  mine.fault = "disk_full";
  mine.begin_unix_ns = kBegin;
  mine.source = "manual";
  ASSERT_TRUE(truth.Add(mine));
  // This one became durable, but we died before its label did.
  store.faults.push_back({"n2", Transition(v1::FAULT_PHASE_INJECTED, kBegin, "f2")});
  GroundTruth again(&store);
  ASSERT_TRUE(again.Load());
  EXPECT_EQ(again.Between(0, INT64_MAX).size(), 3u);
  again.Apply("n1", Transition(v1::FAULT_PHASE_RECOVERED, kBegin + kNsPerSecond + 7), 7);
  for (const FaultLabel& label : again.Between(0, INT64_MAX)) {
    if (label.uid != "f1") continue;
    EXPECT_EQ(label.begin_unix_ns, kBegin - 7);
    EXPECT_EQ(label.end_unix_ns, kBegin + kNsPerSecond);
  }
}

TEST_F(GroundTruthTest, FaultThatNeverCameIntoForceIsNoLabel) {
  truth.Apply("n1", Transition(v1::FAULT_PHASE_FAILED, kBegin), 0);
  EXPECT_TRUE(truth.Between(0, INT64_MAX).empty());
}

TEST_F(GroundTruthTest, AnotherNodeCannotChangeALabel) {
  truth.Apply("n1", Transition(v1::FAULT_PHASE_INJECTED, kBegin), 0);
  truth.Apply("n2", Transition(v1::FAULT_PHASE_RECOVERED, kBegin + 1), 0);
  EXPECT_EQ(truth.Active().size(), 1u);
}

TEST_F(GroundTruthTest, BadLabelsAreRefused) {
  FaultLabel label;
  label.source = "imported";
  EXPECT_EQ(truth.Add(label).error().message, "fault: is missing");
  label.fault = "x";
  EXPECT_EQ(truth.Add(label).error().message, "begin: is missing");
  label.begin_unix_ns = 10;
  label.end_unix_ns = 9;
  EXPECT_EQ(truth.Add(label).error().code, ErrorCode::kInvalidArgument);
  label.end_unix_ns = 11;
  EXPECT_TRUE(truth.Add(label));
  EXPECT_TRUE(truth.Add(label)) << "the same import again";
  EXPECT_EQ(truth.Between(0, 100).size(), 1u);
}

TEST(LabelJson, ReadsWhatItWrites) {
  FaultLabel label;
  label.uid = "u";
  label.fault = "cpu_stress";
  label.node = "n";
  label.target.set_pid(42);
  label.target.set_container("c");
  label.begin_unix_ns = kBegin + 123;
  label.phase = v1::FAULT_PHASE_VERIFIED;
  label.effect.set_verdict(v1::VERDICT_INCONCLUSIVE);
  auto& measurement = *label.effect.add_measurements();
  measurement.set_name("cores");
  measurement.set_before(0.5);
  label.parameters = {{"load", "40"}};
  const auto read = LabelFromJson(boost::json::parse(boost::json::serialize(LabelToJson(label))));
  ASSERT_TRUE(read);
  EXPECT_EQ(LabelToJson(*read), LabelToJson(label));
}

}  // namespace
}  // namespace faultline
