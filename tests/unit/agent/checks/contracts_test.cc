// Each contract: documents of its own read into rules, verdicts as the system's own runner gives
// them, and what is refused.
#include "agent/checks/contracts/contract.h"
#include "agent/checks/contracts/nhc_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "agent/checks/contracts/contract_rows.h"
#include "common/host_view.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ContractsTest : public ::testing::Test {
 protected:
  ContractsTest() {
    Script("ok.sh", "exit 0\n");
    context_.allowed_roots = {tree_.root()};
    context_.host_name = "n12";
  }
  void Script(const std::string& name, const std::string& body) {
    tree_.File(name, "#!/bin/sh\n" + body);
    chmod(Path(name).c_str(), 0755);
  }
  std::string Path(const std::string& name) const { return tree_.root() + "/" + name; }
  Result<RuleSet> Read(const std::string& text, const std::string& name = "rules") {
    return ReadRules({.name = name, .path = Path(name), .contract = "", .text = text}, context_);
  }
  std::string ErrorOf(const std::string& text) {
    const auto read = Read(text);
    return read ? "no error" : read.error().message;
  }
  // The results of a program that returned so and printed that.
  static std::vector<v1::CheckResult> Judge(const CheckRule& rule, int code,
                                            const std::string& output) {
    v1::ProgramOutcome outcome;
    outcome.set_exit_code(code);
    outcome.set_output(output);
    return JudgeRun(rule, outcome);
  }
  static v1::CheckVerdict Verdict(const std::string& contract, int code,
                                  const std::string& output = "") {
    CheckRule rule;
    rule.contract = contract;
    return Judge(rule, code, output).at(0).verdict();
  }

  TempTree tree_;
  ContractContext context_;
};

TEST_F(ContractsTest, VerdictsAreThoseOfTheirOwnRunners) {
  EXPECT_EQ(Verdict("npd", 0), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(Verdict("npd", 1), v1::CHECK_VERDICT_PROBLEM);
  EXPECT_EQ(Verdict("npd", 2), v1::CHECK_VERDICT_UNKNOWN);
  EXPECT_EQ(Verdict("nagios", 0), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(Verdict("nagios", 1), v1::CHECK_VERDICT_DEGRADED);
  EXPECT_EQ(Verdict("nagios", 2), v1::CHECK_VERDICT_PROBLEM);
  EXPECT_EQ(Verdict("nagios", 3), v1::CHECK_VERDICT_UNKNOWN);
  EXPECT_EQ(Verdict("nagios", 127), v1::CHECK_VERDICT_UNKNOWN);
  EXPECT_EQ(Verdict("nhc", 0), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(Verdict("nhc", 1), v1::CHECK_VERDICT_PROBLEM);
  EXPECT_EQ(Verdict("aegis", 0), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(Verdict("aegis", 23), v1::CHECK_VERDICT_PROBLEM);
  EXPECT_EQ(Verdict("gpud", 0), v1::CHECK_VERDICT_OK);
  CheckRule rule;
  rule.contract = "npd";
  v1::ProgramOutcome hung;
  hung.set_timed_out(true);
  EXPECT_EQ(JudgeRun(rule, hung).at(0).verdict(), v1::CHECK_VERDICT_TIMEOUT);
  v1::ProgramOutcome killed;
  killed.set_signal(11);
  EXPECT_EQ(JudgeRun(rule, killed).at(0).verdict(), v1::CHECK_VERDICT_UNKNOWN);
}

TEST_F(ContractsTest, NpdPluginsAndMonitors) {
  const auto set =
      Read(R"J({"plugin": "custom", "source": "ntp", "pluginConfig": {"invoke_interval": "30s",
    "timeout": "5s", "max_output_length": 8}, "conditions": [{"type": "NTPProblem", "reason": "NTPIsUp",
    "message": "ntp is up"}], "rules": [
    {"type": "temporary", "reason": "NTPIsDown", "path": "./ok.sh", "timeout": "9s"},
    {"type": "permanent", "condition": "NTPProblem", "reason": "NTPIsDown", "path": "./ok.sh", "args": ["-a", "b c"]}]})J");
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->checks.size(), 2u);
  EXPECT_EQ(set->checks[0].kind, v1::CHECK_KIND_EVENT);
  EXPECT_EQ(set->checks[0].timeout_ns, 5 * kNsPerSecond);  // not longer than the monitor's
  EXPECT_EQ(set->checks[0].program, Path("ok.sh"));
  EXPECT_THAT(set->checks[1].arguments, ElementsAre("-a", "b c"));
  const auto good = Judge(set->checks[1], 0, "whatever").at(0);
  EXPECT_EQ(good.reason(), "NTPIsUp");
  EXPECT_EQ(good.message(), "ntp is up");
  const auto bad = Judge(set->checks[1], 1, "down for a long time").at(0);
  EXPECT_EQ(bad.reason(), "NTPIsDown");
  EXPECT_EQ(bad.message(), "down for");

  const auto log = Read(
      R"J({"plugin": "kmsg", "logPath": "/dev/kmsg", "lookback": "5m", "bufferSize": 10, "source": "kernel",
    "conditions": [{"type": "KernelDeadlock", "reason": "None", "message": "fine"}], "rules": [
    {"type": "temporary", "reason": "OOMKilling", "pattern": "Killed process \\d+ (.+)"
},
    {"type": "permanent", "condition": "KernelDeadlock", "reason": "DockerHung", "pattern": "task docker:\\w+ blocked"}]})J");
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_EQ(log->monitors.size(), 1u);
  EXPECT_EQ(log->monitors[0].rules[1].condition, "KernelDeadlock");
  const auto figures = Read(
      R"J({"net": {"metricsConfigs": {"net/rx_bytes": {"displayName": "x"}}}, "invokeInterval": "60s"})J");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->notes.size(), 1u);
}

TEST_F(ContractsTest, NagiosCommandsAndFigures) {
  const auto set = Read("# NRPE\ncommand[check_users]=" + Path("ok.sh") +
                        " -w 5 -c '10 or so'\n"
                        "define command {\n  command_name  ping\n  command_line  " +
                        Path("ok.sh") + " -H '$HOSTADDRESS$' -w $ARG1$\n}\n");
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->checks.size(), 2u);
  EXPECT_THAT(set->checks[0].arguments, ElementsAre("-w", "5", "-c", "10 or so"));
  EXPECT_THAT(set->checks[1].off, HasSubstr("$ARG1$"));
  const auto result = Judge(set->checks[0], 1,
                            "DISK WARNING - free | /=2643MB;5948;5958;0;5968 'a "
                            "b'=-1.5%;@1:2\nmore\ntext | load=0,25;;;0\n")
                          .at(0);
  EXPECT_EQ(result.message(), "DISK WARNING - free");
  ASSERT_EQ(result.perfdata_size(), 3);
  EXPECT_EQ(result.perfdata(0).label(), "/");
  EXPECT_EQ(result.perfdata(0).unit(), "MB");
  EXPECT_EQ(result.perfdata(0).value(), 2643);
  EXPECT_EQ(result.perfdata(0).max(), 5968);
  EXPECT_EQ(result.perfdata(1).label(), "a b");
  EXPECT_EQ(result.perfdata(1).value(), -1.5);
  EXPECT_EQ(result.perfdata(2).value(), 0.25);
  EXPECT_TRUE(ParsePerfdata("no figures at all").empty());
}

TEST_F(ContractsTest, AegisRulesAndResultsBothWays) {
  const auto set =
      Read("rules:\n- module: ib\n  item: check_ib\n  reason: IBDown\n  file: " + Path("ok.sh") +
           "\n  level: emergency\n  timeout: 15s\n");
  ASSERT_TRUE(set) << set.error().message;
  const CheckRule& rule = set->checks.at(0);
  EXPECT_EQ(rule.rule, "aegis/ib/check_ib");
  EXPECT_EQ(rule.condition, "IBDown");
  EXPECT_EQ(rule.level, v1::CHECK_LEVEL_CRITICAL);
  EXPECT_EQ(rule.timeout_ns, 15 * kNsPerSecond);
  const std::string printed =
      "starting\nresults:\n  old: []\nagain\nresults:\n  nic:\n  - item: check_nic_count\n    "
      "condition: NICCount\n"
      "    level: warning\n    status: true\n    message: \"nic count 0 not equal to 2\"\n  ib:\n  "
      "- item: mount\n"
      "    condition: IBDeviceMountFailed\n    level: emergency\n    status: false\n    message: "
      "<b>fine</b>\n"
      "a log line after it\n";
  const auto results = Judge(rule, 0, printed);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].verdict(), v1::CHECK_VERDICT_PROBLEM);  // status true: the problem is there
  EXPECT_EQ(results[0].module(), "nic");
  EXPECT_EQ(results[1].verdict(), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(results[1].message(), "<b>fine</b>");  // data, whatever it looks like
  const auto again = ParseAegisResults(RenderAegisResults(results), v1::CheckResult());
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_EQ(again->size(), 2u);
  EXPECT_EQ(again->at(0).message(), results[0].message());
  EXPECT_EQ(again->at(1).verdict(), v1::CHECK_VERDICT_OK);
  // As a ConfigMap.
  EXPECT_TRUE(
      Read("kind: ConfigMap\ndata:\n  a.yaml: |\n    rules:\n    - {module: a, item: b, file: " +
           Path("ok.sh") + "}\n"));
}

TEST_F(ContractsTest, GpudAndSichekJson) {
  CheckRule rule;
  rule.contract = "gpud";
  rule.rule = "gpud/x";
  auto results = Judge(rule, 0, R"J([{"component": "disk", "health": "Unhealthy", "reason": "full",
      "suggested_actions": {"description": "reboot it", "repair_actions": ["REBOOT_SYSTEM"]}},
      {"component": "cpu", "health": "Degraded"}, {"component": "net", "health": "Healthy"}, {"component": "gpu", "health": "Initializing"}])J");
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0].verdict(), v1::CHECK_VERDICT_PROBLEM);
  EXPECT_EQ(results[0].action(), "REBOOT_SYSTEM");
  EXPECT_EQ(results[0].rule(), "gpud/x/disk");
  EXPECT_EQ(results[1].verdict(), v1::CHECK_VERDICT_DEGRADED);
  EXPECT_EQ(results[2].verdict(), v1::CHECK_VERDICT_OK);
  EXPECT_EQ(results[3].verdict(), v1::CHECK_VERDICT_UNKNOWN);
  results =
      Judge(rule, 0,
            "noise\n"
            R"J({"item": "nvidia", "status": "abnormal", "checkers": [{"name": "PCIeLinkDegraded",
      "device": "GPU-1", "spec": "16", "curr": "8", "status": "abnormal", "level": "critical", "error_name": "PCIeLinkDegraded"}]})J");
  EXPECT_EQ(results.size(), 1u);  // the object spans lines behind noise: only the exit code is left
  results = Judge(
      rule, 0,
      "noise\n"
      R"J({"item": "nvidia", "checkers": [{"name": "GPULost", "device": "GPU-1", "spec": "8", "curr": "7", "status": "abnormal", "level": "fatal", "error_name": "GPULost"}]})J");
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].reason(), "GPULost");
  EXPECT_EQ(results[0].level(), v1::CHECK_LEVEL_FATAL);
  EXPECT_EQ(results[0].expected(), "8");
}

TEST_F(ContractsTest, NhcLinesAndMasks) {
  const auto set = Read(
      "# comment\n * || check_fs_free / 3%\n n1* || check_hw_eth lo\n m* || check_hw_eth eth9\n"
      " {n[10-12,14]} || check_ps_loadavg $((2*HW_CORES))\n /^n1.$/ || check_file_test -r "
      "/etc/passwd\n"
      " !n12 || check_hw_swap 1 1\n * || export LIMIT=1mb\n * || check_hw_mem_free $LIMIT\n",
      "nhc.conf");
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->checks.size(), 5u);
  EXPECT_EQ(set->checks[0].item, "check_fs_free");
  EXPECT_EQ(set->checks[2].arguments.back(), "=((2*HW_CORES))");
  EXPECT_EQ(set->checks[4].arguments.back(), "1mb");
  const auto cmd = Read("* || check_cmd_status -t 1 -r 1 /usr/bin/false\n", "nhc.conf");
  ASSERT_TRUE(cmd);
  EXPECT_THAT(cmd->checks.at(0).off, HasSubstr("outside checks.allowed_roots"));
}

TEST_F(ContractsTest, NhcLinesAreTakenApartAsBashDoes) {
  const std::map<std::string, std::string> set = {{"A", "x y"}, {"N", "3"}};
  const auto words = [&](std::string_view text) {
    const auto line = ReadNhcLine(text, set);
    return line && line->commands.size() == 1 ? line->commands[0]
                                              : NhcWords{line ? "several" : line.error().message};
  };
  EXPECT_THAT(words(R"(check_a "q $A" '$A' $A b\ c  # why)"),
              ElementsAre("check_a", "q x y", "$A", "x", "y", "b c"));
  EXPECT_THAT(words(R"(check_a '/^\$x y$/' "!/a\$b$/" '!root')"),
              ElementsAre("check_a", R"(/^\$x y$/)", "!/a$b$/", "!root"));
  EXPECT_THAT(words("check_a $((2*HW_CORES)) $((N+1)) '' $HW_THREADS"),
              ElementsAre("check_a", "=((2*HW_CORES))", "=((3+1))", "", "\1HW_THREADS\2"));
  EXPECT_EQ(ReadNhcLine("check_a 1 && check_b 2; check_c", {})->commands.size(), 3u);
  EXPECT_THAT(ReadNhcLine("check_a $NONE", {})->unset, ElementsAre("NONE"));
  for (const char* text : {"a | b", "a > b", "a $(b)", "a `b`", "a || b", "a ${B:-c}"})
    EXPECT_EQ(ReadNhcLine(text, {}).error().code, ErrorCode::kUnsupported) << text;
  EXPECT_THAT(ReadNhcLine("a $((b[0]))", {}).error().message, HasSubstr("not plain arithmetic"));
  EXPECT_TRUE(InNhcRange("n00[20-39],m1", "n0020"));
  EXPECT_FALSE(InNhcRange("n00[20-39]", "n00020")) << "as many digits as the range has";
  EXPECT_TRUE(InNhcRange("n[9-3].a", "n5.a"));
}

TEST_F(ContractsTest, NhcKeepsWhatItCannotRunAsARuleThatSaysWhy) {
  const auto set = Read(
      "* || X=/y\n* || check_fs_free / 3% && check_hw_eth lo\n* || check_fs_free / 3% | cat\n"
      "* || " +
          Path("ok.sh") +
          " -v\n* || site_check 1\n* || check_file_test -r $NONE/a\n"
          "* || check_cmd_output -t 2 -m '*x*' -e '" +
          Path("ok.sh") + " a b'\n",
      "nhc.conf");
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->checks.size(), 6u);
  const auto tail = [&](size_t i) {
    return std::vector<std::string>(set->checks[i].arguments.begin() + 3,
                                    set->checks[i].arguments.end());
  };
  EXPECT_THAT(tail(0), ElementsAre("check_fs_free", "/", "3%", "\3", "check_hw_eth", "lo"));
  EXPECT_THAT(set->checks[1].off, HasSubstr("`|` needs a shell"));
  EXPECT_EQ(set->checks[1].item, "check_fs_free#2");
  EXPECT_THAT(tail(2), ElementsAre("program", Path("ok.sh"), "-v"));
  EXPECT_EQ(set->checks[2].off, "");
  EXPECT_EQ(set->checks[2].item, "ok.sh");
  EXPECT_THAT(set->checks[3].off,
              HasSubstr("`site_check` is neither a check of NHC nor a program"));
  EXPECT_THAT(set->checks[4].off, HasSubstr("$NONE is set nowhere"));
  EXPECT_THAT(tail(5), ElementsAre("check_cmd_output", "-t", "2", "-m", "*x*", Path("ok.sh"), "a", "b"));
}

TEST_F(ContractsTest, AegisPriorities) {
  ASSERT_NE(FindContract("aegis_priority"), nullptr);
  const auto set = Read("# x\nNodeNotReady:0:true:-\nGPULost:5:true:index\nHighTemperature:150:false:id\n");
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->levels.at("NodeNotReady"), v1::CHECK_LEVEL_FATAL);
  EXPECT_EQ(set->levels.at("GPULost"), v1::CHECK_LEVEL_CRITICAL);
  EXPECT_EQ(set->levels.at("HighTemperature"), v1::CHECK_LEVEL_WARNING);
  const auto older = Read(
      "kind: ConfigMap\ndata:\n  priority.conf: |\n    Away:1\n    Slow:150    \n  x.sh: exit 0\n");
  ASSERT_TRUE(older) << older.error().message;
  EXPECT_EQ(older->levels.at("Away"), v1::CHECK_LEVEL_FATAL);
  EXPECT_EQ(older->levels.at("Slow"), v1::CHECK_LEVEL_WARNING);
  EXPECT_THAT(ErrorOf("A:0:true:-\nB:1000:true:-\n"), HasSubstr("rules:2:1: Priority:"));
  EXPECT_THAT(ErrorOf("A:0:true:-\nB:1:true:some\n"), HasSubstr("rules:2:1: DeviceIDMode:"));
}

TEST_F(ContractsTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(ErrorOf("rules:\n- module: a\n  itme: b\n"), "rules:2:3: rules[0].item: is missing");
  EXPECT_THAT(
      ErrorOf("rules:\n- module: a\n  item: b\n  file: " + Path("ok.sh") + "\n  levl: info\n"),
      HasSubstr("rules:5:9: rules[0].levl: unknown field; is `level` meant?"));
  EXPECT_THAT(
      ErrorOf("rules:\n- {module: a, item: b, file: " + Path("ok.sh") + ", timeout: soon}\n"),
      HasSubstr("rules[0].timeout: `soon` is no duration"));
  EXPECT_THAT(ErrorOf("rules:\n- {module: a, item: b, file: /bin/sh}\n"),
              HasSubstr("rules[0].file: `/usr/bin/dash` lies outside"));
  EXPECT_THAT(ErrorOf("rules:\n- {module: a, item: b, file: " + Path("../../bin/sh") + "}\n"),
              HasSubstr("outside"));
  ASSERT_EQ(symlink("/bin/sh", Path("link.sh").c_str()), 0);
  EXPECT_THAT(ErrorOf("rules:\n- {module: a, item: b, file: " + Path("link.sh") + "}\n"),
              HasSubstr("outside"));
  EXPECT_THAT(ErrorOf("rules: [\n"), HasSubstr("rules:2:1: document:"));
  EXPECT_THAT(
      ErrorOf(
          R"J({"plugin": "kmsg", "source": "s", "rules": [{"type": "temporary", "reason": "r", "pattern": "a("}]})J"),
      HasSubstr("rules[0].pattern: missing )"));
  EXPECT_THAT(
      ErrorOf(
          R"J({"plugin": "custom", "source": "s", "rules": [{"type": "permanent", "condition": "C", "reason": "r", "path": "/x"}]})J"),
      HasSubstr("rules[0].condition: `C` is not among the monitor's conditions"));
  EXPECT_THAT(ErrorOf("command[x]=/bin/sh -c 'id'\n"),
              HasSubstr("rules:1:1: command[x]: `/usr/bin/dash` lies outside"));
  EXPECT_THAT(ErrorOf("command[x]=" + Path("ok.sh") + " `id`\n"), HasSubstr("needs a shell"));
  EXPECT_THAT(ErrorOf("* || check_hw_eth 'lo\n"), HasSubstr("rules:1:1: check:"));
  EXPECT_THAT(ErrorOf("* || export LD_PRELOAD=/tmp/x.so\n"), HasSubstr("may not be set"));
  EXPECT_THAT(ErrorOf("* || check_ps_loadavg $((a[0]))\n"), HasSubstr("not plain arithmetic"));
  EXPECT_THAT(ErrorOf("hello: world\n"), HasSubstr("no rules that are known"));
}

TEST(OneLine, IsCutBetweenCharactersAndHasNoControls) {
  EXPECT_EQ(OneLine("  a\x1b[31mb\n\n c ", 100), "a [31mb  c");
  EXPECT_EQ(OneLine("ab\xc3\xa4", 3), "ab");
  EXPECT_EQ(OneLine("abcdef", 3), "abc");
}

TEST(SplitCommand, QuotesAndNoShell) {
  EXPECT_THAT(*SplitCommand("a 'b c' \"d e\"f \\g"), ElementsAre("a", "b c", "d ef", "g"));
  for (const char* bad : {"a; b", "a | b", "a & b", "a > b", "a `b`", "a $(b)", "'a"})
    EXPECT_FALSE(SplitCommand(bad)) << bad;
}

// The published examples, where they are.
TEST_F(ContractsTest, PublishedExamplesRead) {
  const std::string corpus = "/work/shared/data/corpus";
  if (!std::filesystem::exists(corpus)) GTEST_SKIP() << corpus << " is not here";
  context_.allowed_roots = {"/home/kubernetes/bin", "/custom-config", "/config"};
  int read_count = 0;
  for (const char* folder : {"npd/log", "npd/stats", "npd/exporter", "npd/custom", "nhc/conf", "aegis-priority/priority"}) {
    for (const auto& entry : std::filesystem::directory_iterator(corpus + "/" + folder)) {
      const std::string path = entry.path().string();
      const std::string text = FsRoot().Read(path).value();
      // Plugins lie below the folder of the document, as published.
      auto context = context_;
      context.allowed_roots.push_back(corpus);
      context.allowed_roots.push_back("C:");
      const auto set =
          ReadRules({.name = path, .path = path, .contract = "", .text = text}, context);
      const bool windows = path.find("windows") != std::string::npos;
      EXPECT_TRUE(set || windows) << set.error().message;
      ++read_count;
    }
  }
  EXPECT_GE(read_count, 10);
}

}  // namespace
}  // namespace faultline
