// The engine with real programs, real kernel messages and real restarts: scheduling, commands,
// rules that are pushed and rolled back, conditions from /dev/kmsg, and programs that hang in the
// kernel on a dead mount.
#include "agent/checks/check_engine.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "agent/checks/program_runner.h"
#include "agent/containers/cgroup_mounts.h"
#include "common/check_rules_hash.h"
#include "common/config_defaults.h"
#include "common/host_view.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/paths.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    config_.mutable_checks()->add_allowed_roots(tree_.root());
    config_.mutable_checks()->add_rules(tree_.root() + "/rules/*");
  }

  void Script(const std::string& name, const std::string& body) {
    tree_.File(name, "#!/bin/sh\n" + body);
    chmod((tree_.root() + "/" + name).c_str(), 0755);
  }
  void Open() {
    engine_.reset();
    v1::AgentConfig filled = config_;
    ASSERT_TRUE(FillDefaults(&filled));
    CheckEngineOptions options;
    options.config = filled.checks();
    options.host_name = "n1";
    options.state_folder = tree_.root() + "/state";
    options.runner_program = BinaryDir() + "/bin/faultline-check-runner";
    options.cgroup_folder =
        CheckCgroupFolder(ReadCgroupMounts(FsRoot()).value_or(CgroupMounts()).unified) + "-engine";
    options.emit = [this](v1::CheckResult result) {
      const std::lock_guard lock(mutex_);
      results_.push_back(std::move(result));
      changed_.notify_all();
    };
    options.drop = [](const char*, uint64_t) {};
    engine_ = std::make_unique<CheckEngine>(std::move(options));
    engine_->Start();
  }
  // Waits for a result that satisfies; false after half a minute.
  bool Await(const std::function<bool(const v1::CheckResult&)>& wanted, int seconds = 30) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(seconds),
                             [&] { return std::any_of(results_.begin(), results_.end(), wanted); });
  }
  void Forget() {
    const std::lock_guard lock(mutex_);
    results_.clear();
  }
  v1::CommandReply Execute(v1::Command command) {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<v1::CommandReply> reply;
    command.set_id("c1");
    engine_->Execute(std::move(command), [&](v1::CommandReply told) {
      const std::lock_guard lock(mutex);
      reply = std::move(told);
      done.notify_all();
    });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(done.wait_for(lock, std::chrono::seconds(60), [&] { return reply.has_value(); }));
    return reply.value_or(v1::CommandReply());
  }
  v1::CommandReply RunRules(const std::string& glob) {
    v1::Command command;
    command.mutable_run_checks()->mutable_selector()->add_rules(glob);
    return Execute(std::move(command));
  }

  TempTree tree_;
  v1::AgentConfig config_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::CheckResult> results_;
  std::unique_ptr<CheckEngine> engine_;
};

TEST_F(EngineTest, ConditionAppearsWithinAnIntervalAndClears) {
  Script("flag.sh",
         "[ -e " + tree_.root() + "/flag ] && { echo the flag is up; exit 1; } || exit 0\n");
  tree_.File("rules/a.yaml", "rules:\n- {module: m, item: i, reason: FlagUp, file: " +
                                 tree_.root() + "/flag.sh, interval: 1s, timeout: 2s}\n");
  Open();
  const auto verdict = [](v1::CheckVerdict wanted) {
    return [wanted](const v1::CheckResult& result) {
      return result.rule() == "aegis/m/i" && result.verdict() == wanted;
    };
  };
  EXPECT_TRUE(Await(verdict(v1::CHECK_VERDICT_OK)));
  tree_.File("flag", "");
  EXPECT_TRUE(Await(verdict(v1::CHECK_VERDICT_PROBLEM)));
  Forget();
  Open();  // a restart
  EXPECT_TRUE(Await(verdict(v1::CHECK_VERDICT_PROBLEM)));
  tree_.Remove("flag");
  EXPECT_TRUE(Await(verdict(v1::CHECK_VERDICT_OK)));
}

TEST_F(EngineTest, ChecksRunOnCommandAndAHangingOneIsATimeout) {
  Script("good.sh", "echo fine '| a=1'\n");
  Script("hang.sh", "trap '' TERM; sleep 100\n");
  tree_.File("rules/n.cfg", "command[good]=" + tree_.root() + "/good.sh\n");
  tree_.File("rules/h.yaml", "rules:\n- {module: m, item: hang, file: " + tree_.root() +
                                 "/hang.sh, timeout: 1s}\n");
  Open();
  const v1::CommandReply reply = RunRules("*/good");
  ASSERT_EQ(reply.checks_size(), 1) << reply.error_message();
  EXPECT_EQ(reply.checks(0).verdict(), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(reply.checks(0).perfdata(0).label(), "a");
  EXPECT_EQ(reply.checks(0).command_id(), "c1");
  const v1::CommandReply hung = RunRules("aegis/m/hang");
  ASSERT_EQ(hung.checks_size(), 1);
  EXPECT_EQ(hung.checks(0).verdict(), v1::CHECK_VERDICT_TIMEOUT);
  EXPECT_EQ(RunRules("nothing/like/that").error_code(), "not_found");
}

TEST_F(EngineTest, RulesArePushedKeptAndRolledBack) {
  Script("x.sh", "exit 0\n");
  Open();
  const auto push = [&](const std::string& text, bool right_hash = true) {
    v1::Command command;
    v1::SetCheckRules* rules = command.mutable_set_check_rules();
    rules->set_version("v1");
    rules->add_documents()->set_name("pushed.yaml");
    rules->mutable_documents(0)->set_text(text);
    rules->set_hash(right_hash ? CheckRulesHash(*rules) : "0");
    return Execute(std::move(command));
  };
  const auto has = [](const v1::CommandReply& reply, const std::string& rule) {
    return std::any_of(reply.check_rules().rules().begin(), reply.check_rules().rules().end(),
                       [&](const v1::CheckRuleState& state) { return state.rule() == rule; });
  };
  const std::string good = "rules:\n- {module: p, item: q, file: " + tree_.root() +
                           "/x.sh}\n- {module: p, item: psi, builtin: psi_io}\n";
  const v1::CommandReply set = push(good);
  EXPECT_EQ(set.error_message(), "");
  EXPECT_TRUE(has(set, "aegis/p/q"));
  EXPECT_TRUE(has(set, "builtin/p/psi"));
  EXPECT_EQ(set.check_rules().version(), "v1");
  const v1::CommandReply bad = push("rules:\n- {module: p, item: other, file: /bin/sh}\n");
  EXPECT_THAT(bad.error_message(), ::testing::HasSubstr("pushed.yaml:2:"));
  EXPECT_THAT(bad.error_message(), ::testing::HasSubstr("rules[0].file"));
  EXPECT_TRUE(has(bad, "aegis/p/q"));  // what was there stays
  EXPECT_THAT(push("rules: []\n", false).error_message(), ::testing::HasSubstr("hash"));
  EXPECT_THAT(push("rules:\n- {module: a, item: b, builtin: nope}\n").error_message(),
              ::testing::HasSubstr("no check `nope`"));
  Open();
  v1::Command list;
  list.mutable_list_checks();
  EXPECT_TRUE(has(Execute(list), "aegis/p/q"));  // after a restart too
}

TEST_F(EngineTest, KernelMessagesBecomeConditionsAndEvents) {
  const int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  if (kmsg < 0) GTEST_SKIP() << "/dev/kmsg cannot be written here";
  tree_.File(
      "rules/k.json",
      R"J({"plugin": "kmsg", "logPath": "/dev/kmsg", "lookback": "1m", "source": "test", "conditions":
    [{"type": "TestDeadlock", "reason": "None", "message": "fine"}], "rules": [
    {"type": "temporary", "reason": "TestOom", "pattern": "faultline test \\d+ killed process"},
    {"type": "permanent", "condition": "TestDeadlock", "reason": "TestHung", "pattern": "faultline test \\d+ task blocked"}]})J");
  Open();
  EXPECT_TRUE(Await([](const v1::CheckResult& result) {
    return result.condition() == "TestDeadlock" && result.verdict() == v1::CHECK_VERDICT_OK;
  }));
  const std::string id = std::to_string(getpid());
  const auto say = [&](const std::string& text) {
    EXPECT_GT(write(kmsg, text.data(), text.size()), 0);
  };
  say("faultline test " + id + " killed process\n");
  say("faultline test " + id + " task blocked\n");
  EXPECT_TRUE(Await([&](const v1::CheckResult& result) {
    return result.reason() == "TestOom" && result.kind() == v1::CHECK_KIND_EVENT &&
           result.message().find(id) != std::string::npos;
  }));
  const auto deadlock = [](const v1::CheckResult& result) {
    return result.condition() == "TestDeadlock" && result.verdict() == v1::CHECK_VERDICT_PROBLEM;
  };
  EXPECT_TRUE(Await(deadlock));
  engine_->Stop();
  Forget();
  Open();
  EXPECT_TRUE(Await(deadlock));  // survives a restart
  usleep(300'000);
  const std::lock_guard lock(mutex_);
  EXPECT_FALSE(std::any_of(results_.begin(), results_.end(),
                           [](const auto& result) { return result.reason() == "TestOom"; }));
  close(kmsg);
}

}  // namespace
}  // namespace faultline
