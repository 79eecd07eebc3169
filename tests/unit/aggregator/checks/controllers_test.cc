// The controllers of checks against nodes that are functions: what is sent, what becomes of the
// answers. Real objects, fleet and threads; the store keeps documents.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "aggregator/checks/check_runs.h"
#include "aggregator/checks/checks.h"
#include "aggregator/checks/rule_sets.h"
#include "aggregator/checks/rules_push.h"
#include "aggregator/objects/object_text.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

class ControllersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fleet_.SetSender([this](const std::string& node, const v1::Command& command) -> Result<void> {
      v1::CommandReply reply;
      {
        const std::lock_guard lock(mutex_);
        sent_.emplace_back(node, command);
        reply = answer_ ? answer_(node, command) : v1::CommandReply();
      }
      reply.set_id(command.id());
      fleet_.OnReply(node, reply);
      return {};
    });
  }
  void Hello(const std::string& node, uint64_t session = 1) {
    v1::Hello hello;
    hello.set_node(node);
    hello.set_session(session);
    fleet_.OnHello(node, hello);
  }
  // Polls, as controllers work on threads of their own.
  template <typename Condition>
  bool Eventually(Condition condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  json::object StatusOf(const char* kind, const char* name) {
    const auto object = objects_.Get(kind, "default", name);
    const json::value* status = object ? object->body.if_contains("status") : nullptr;
    return status != nullptr && status->is_object() ? status->get_object() : json::object();
  }
  std::string PhaseOf(const char* kind, const char* name) {
    const json::object status = StatusOf(kind, name);
    return status.contains("phase") ? std::string(status.at("phase").as_string()) : "";
  }
  void Create(std::string_view yaml) {
    const auto bodies = ParseObjects(yaml);
    ASSERT_TRUE(bodies) << bodies.error().message;
    for (const json::object& body : *bodies) {
      const auto created = objects_.Apply(body);
      ASSERT_TRUE(created) << created.error().message;
    }
  }

  SystemClock clock_;
  MemoryDocuments store_;
  Fleet fleet_{&clock_, 3600 * kNsPerSecond};
  Objects objects_{&store_, &clock_};
  SelfMetrics metrics_;
  std::mutex mutex_;
  std::vector<std::pair<std::string, v1::Command>> sent_;
  std::function<v1::CommandReply(const std::string&, const v1::Command&)> answer_;
};

v1::CheckResult ResultOf(const std::string& rule, v1::CheckVerdict verdict, int64_t at) {
  v1::CheckResult result;
  result.set_rule(rule);
  result.set_module("m");
  result.set_item("i");
  result.set_condition("Bad");
  result.set_verdict(verdict);
  result.set_kind(v1::CHECK_KIND_CONDITION);
  result.set_started_unix_ns(at);
  result.set_interval_ms(60'000);
  return result;
}

TEST_F(ControllersTest, AClusterCheckAsksEveryNodeAndComparesThem) {
  for (const char* node : {"a", "b", "c", "d"}) Hello(node);
  answer_ = [](const std::string& node, const v1::Command& command) {
    v1::CommandReply reply;
    if (node == "d") {
      reply.set_error_code("internal");
      reply.set_error_message("no");
      return reply;
    }
    v1::CheckResult result =
        ResultOf("builtin/m/i", node == "a" ? v1::CHECK_VERDICT_PROBLEM : v1::CHECK_VERDICT_OK, 1);
    result.set_current(node == "a" ? "old" : "new");
    EXPECT_EQ(command.run_checks().selector().modules(0), "m");
    *reply.add_checks() = result;
    return reply;
  };
  CheckRuns runs(&objects_, &fleet_, &clock_);
  runs.Start();
  Create(
      "{apiVersion: faultline.io/v1, kind: ClusterCheck, metadata: {name: nightly}, spec: {rules: "
      "{modules: [m]}, stagger: 10ms}}");
  ASSERT_TRUE(Eventually([&] { return PhaseOf("ClusterCheck", "nightly") == "Completed"; }));
  const json::object status = StatusOf("ClusterCheck", "nightly");
  EXPECT_EQ(status.at("desired").to_number<int>(), 4);
  EXPECT_EQ(status.at("succeeded").to_number<int>(), 3);
  EXPECT_EQ(status.at("failed").to_number<int>(), 1);
  ASSERT_EQ(status.at("problems").as_array().size(), 1u);
  ASSERT_EQ(status.at("outliers").as_array().size(), 1u);
  EXPECT_EQ(status.at("outliers").as_array()[0].at("node"), "a");
  EXPECT_EQ(status.at("history").as_array().size(), 1u);
}

TEST_F(ControllersTest, AScheduleRunsAgainAndAgain) {
  Hello("a");
  answer_ = [](const std::string&, const v1::Command&) {
    v1::CommandReply reply;
    *reply.add_checks() = ResultOf("builtin/m/i", v1::CHECK_VERDICT_OK, 1);
    return reply;
  };
  CheckRuns runs(&objects_, &fleet_, &clock_);
  runs.Start();
  Create(
      "{apiVersion: faultline.io/v1, kind: ClusterCheck, metadata: {name: often}, spec: {schedule: "
      "'* * * * * *', historyLimit: 2}}");
  ASSERT_TRUE(Eventually([&] {
    const json::object status = StatusOf("ClusterCheck", "often");
    return status.contains("history") && status.at("history").as_array().size() == 2;
  }));
  EXPECT_TRUE(StatusOf("ClusterCheck", "often").contains("nextScheduleTime"));
}

TEST_F(ControllersTest, ChecksOfAegisRunUnchanged) {
  Hello("node1");
  answer_ = [](const std::string&, const v1::Command& command) {
    v1::CommandReply reply;
    if (!command.has_run_checks()) return reply;
    EXPECT_EQ(command.run_checks().selector().rules(0), "*/ib/check_ib_mount");
    *reply.add_checks() = ResultOf("aegis/ib/check_ib_mount", v1::CHECK_VERDICT_OK, 1);
    return reply;
  };
  CheckRuns runs(&objects_, &fleet_, &clock_);
  runs.Start();
  Create(R"(
apiVersion: v1
kind: ConfigMap
metadata: {name: ib-rules, labels: {check: ib}}
data:
  ib.yaml: |
    rules:
    - {module: ib, item: check_ib_mount, reason: IBDeviceMountFailed, file: /opt/checks/ib.sh, level: emergency, timeout: 10s}
---
apiVersion: aegis.io/v1alpha1
kind: AegisNodeHealthCheck
metadata: {name: one}
spec:
  node: node1
  ruleConfigmapSelector: {matchLabels: {check: ib}}
  template: {spec: {containers: [{name: c, image: busybox}]}}
---
apiVersion: aegis.io/v1alpha1
kind: AegisClusterHealthCheck
metadata: {name: all}
spec:
  schedule: "*/5 * * * *"
  timeout: 300
  ruleConfigmapSelector: {matchLabels: {check: ib}}
)");
  EXPECT_TRUE(Eventually([&] { return PhaseOf("NodeCheck", "one") == "Completed"; }));
  EXPECT_TRUE(
      Eventually([&] { return StatusOf("ClusterCheck", "all").contains("nextScheduleTime"); }));
  EXPECT_EQ(objects_.Get("ClusterCheck", "default", "all")->body.at("spec").at("timeout"), "300s");
}

TEST_F(ControllersTest, RulesGoToOneNodeFirstAndARefusalChangesNothing) {
  for (const char* node : {"a", "b", "c"}) Hello(node);
  std::map<std::string, v1::SetCheckRules> has;
  answer_ = [&](const std::string& node, const v1::Command& command) {
    v1::CommandReply reply;
    if (command.has_list_checks()) reply.mutable_check_rules()->set_hash(has[node].hash());
    if (!command.has_set_check_rules()) return reply;
    for (const auto& document : command.set_check_rules().documents()) {
      if (document.text().find("nonsense") == std::string::npos || node != "b") continue;
      reply.set_error_code("invalid_argument");
      reply.set_error_message(document.name() + ":1:3: rules[0].file: no such file");
      return reply;
    }
    has[node] = command.set_check_rules();
    return reply;
  };
  RulesPush push(&objects_, &store_, &fleet_, &clock_);
  ASSERT_TRUE(push.Load());
  push.Start();
  Create(
      "{apiVersion: faultline.io/v1, kind: CheckRules, metadata: {name: r}, spec: {rules: "
      "[{module: m, item: good, builtin: disk_space}]}}");
  ASSERT_TRUE(Eventually([&] { return PhaseOf("CheckRules", "r") == "InForce"; }));
  std::string good;
  {
    const std::lock_guard lock(mutex_);
    good = has["a"].hash();
    EXPECT_EQ(has["c"].hash(), good);
    EXPECT_FALSE(good.empty());
  }
  Create(
      "{apiVersion: faultline.io/v1, kind: CheckRules, metadata: {name: r}, spec: {rules: "
      "[{module: m, item: nonsense, builtin: x}]}}");
  ASSERT_TRUE(Eventually([&] { return PhaseOf("CheckRules", "r") == "Refused"; }));
  EXPECT_THAT(std::string(StatusOf("CheckRules", "r").at("message").as_string()),
              HasSubstr("default.r.yaml:1:3: rules[0].file: no such file"));
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return has["a"].hash() == good && has["b"].hash() == good && has["c"].hash() == good;
  }));
  // A node that comes later gets what is in force, not what was refused.
  Hello("z", 7);
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return has["z"].hash() == good;
  }));
  push.Stop();
}

TEST_F(ControllersTest, VerdictsSurviveARestartOfTheAggregator) {
  Hello("a");
  const int64_t now = clock_.UnixNs();
  std::vector<std::string> told;
  {
    Checks checks(&store_, &fleet_, &metrics_, &clock_, {});
    ASSERT_TRUE(checks.Load());
    checks.AddListener(
        [&](const std::string& node, const v1::HealthChange& change, const ConditionPriority&) {
          const std::lock_guard lock(mutex_);
          told.push_back(node + " " + change.subject() + " " + change.to());
        });
    checks.Start();
    checks.OnResult("a", ResultOf("r", v1::CHECK_VERDICT_OK, now));
    checks.OnResult("a", ResultOf("r", v1::CHECK_VERDICT_PROBLEM, now + 1));
    checks.OnResult("a", ResultOf("r", v1::CHECK_VERDICT_PROBLEM, now + 2));
    ASSERT_TRUE(Eventually([&] {
      const auto health = checks.Node("a");
      return health && health->conditions().contains("Bad") &&
             health->conditions().at("Bad").status() == v1::CONDITION_STATUS_TRUE;
    }));
    checks.Stop();
  }
  EXPECT_THAT(told, ::testing::ElementsAre("a Bad True"));
  Checks again(&store_, &fleet_, &metrics_, &clock_, {});
  ASSERT_TRUE(again.Load());
  const auto health = again.Node("a");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->conditions().at("Bad").status(), v1::CONDITION_STATUS_TRUE);
  EXPECT_EQ(health->changes().size(), 1u);
}

TEST_F(ControllersTest, AProblemIsLookedAtAgainAtOnce) {
  Hello("a");
  const int64_t now = clock_.UnixNs();
  Checks checks(&store_, &fleet_, &metrics_, &clock_, {});
  ASSERT_TRUE(checks.Load());
  checks.Start();
  checks.OnResult("a", ResultOf("r", v1::CHECK_VERDICT_OK, now));
  checks.OnResult("a", ResultOf("r", v1::CHECK_VERDICT_PROBLEM, now + 1));
  // The node has no such rule to run again (an empty reply): the problem counts as it is.
  EXPECT_TRUE(Eventually([&] {
    const auto health = checks.Node("a");
    return health && health->conditions().contains("Bad") &&
           health->conditions().at("Bad").status() == v1::CONDITION_STATUS_TRUE;
  }));
  const std::lock_guard lock(mutex_);
  const auto asked = std::find_if(sent_.begin(), sent_.end(),
                                  [](const auto& entry) { return entry.second.has_run_checks(); });
  ASSERT_NE(asked, sent_.end());
  EXPECT_EQ(asked->second.run_checks().selector().rules(0), "r");
}

TEST(RuleSetsTest, EachNodeGetsItsOwn) {
  NodeState node;
  node.node = "gpu-1";
  const RuleSpecs specs = {
      {"default/a",
       json::parse(
           R"({"rules":[{"module":"m","item":"i","builtin":"x"}],"nodeSelector":{"nodes":["gpu-*"]}})")
           .as_object()},
      {"default/b", json::parse(R"({"files":{"npd.json":"{}"},"nodeSelector":{"nodes":["cpu-*"]}})")
                        .as_object()}};
  const v1::SetCheckRules gpu = RulesFor(node, specs, "v");
  ASSERT_EQ(gpu.documents_size(), 1);
  EXPECT_EQ(gpu.documents(0).name(), "default.a.yaml");
  node.node = "other";
  EXPECT_EQ(RulesFor(node, specs, "v").hash(), "");
  node.node = "cpu-1";
  EXPECT_EQ(RulesFor(node, specs, "v").documents(0).name(), "default.b.npd.json");
}

}  // namespace
}  // namespace faultline
