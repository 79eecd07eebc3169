#include "common/program_options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/version.h"

namespace faultline {
namespace {

class ProgramOptionsTest : public testing::Test {
 protected:
  ProgramOptionsTest() {
    std::string pattern = testing::TempDir() + "/options.XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~ProgramOptionsTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }

  std::optional<int> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "faultline-agent");
    options_.AddFlag("--once", "one pass", &once_);
    options_.AddList("--only", "leaf", &only_);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto exit_code = options_.Parse(static_cast<int>(arguments.size()), arguments.data(),
                                          config_, [] { return std::string("collector cpu\n"); });
    output_ = testing::internal::GetCapturedStdout();
    errors_ = testing::internal::GetCapturedStderr();
    return exit_code;
  }

  std::string folder_;
  ProgramOptions options_{
      {.name = "faultline-agent", .summary = "Watches.", .default_config = "/nonexistent.yaml"}};
  v1::AgentConfig config_;
  bool once_ = false;
  std::vector<std::string> only_;
  std::string output_, errors_;
};

TEST_F(ProgramOptionsTest, RunsWithDefaults) {
  EXPECT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(config_.collect().period().seconds(), 1);
  EXPECT_EQ(options_.config_path(), "defaults");
}

TEST_F(ProgramOptionsTest, EnvironmentBeatsFileAndSetBeatsBoth) {
  const std::string path =
      Write("a.yaml", "node: file\nhttp: {listen: 'localhost:1'}\ncollect: {period: 2s}\n");
  setenv("FAULTLINE_NODE", "environment", 1);
  setenv("FAULTLINE_HTTP__LISTEN", "localhost:2", 1);
  const auto exit_code =
      Parse({"--config", path.c_str(), "--set", "http.listen=localhost:3", "--set",
             "logs.files=[/a, /b]", "--once", "--only", "cpu", "--only=stat"});
  unsetenv("FAULTLINE_NODE");
  unsetenv("FAULTLINE_HTTP__LISTEN");
  EXPECT_EQ(exit_code, std::nullopt) << errors_;
  EXPECT_EQ(config_.node(), "environment");
  EXPECT_EQ(config_.http().listen(), "localhost:3");
  EXPECT_EQ(config_.collect().period().seconds(), 2);
  EXPECT_EQ(config_.logs().files_size(), 2);
  EXPECT_TRUE(once_);
  EXPECT_EQ(only_, (std::vector<std::string>{"cpu", "stat"}));
}

TEST_F(ProgramOptionsTest, BadConfigurationIsTwo) {
  const std::string path = Write("a.yaml", "nod: x\n");
  EXPECT_EQ(Parse({"--config", path.c_str()}), 2);
  EXPECT_EQ(errors_,
            "faultline-agent: " + path + ":1:1: nod: unknown key (did you mean `node`?)\n");
}

TEST_F(ProgramOptionsTest, CheckConfig) {
  const std::string path = Write("a.yaml", "node: x\n");
  EXPECT_EQ(Parse({"--check-config", "--config", path.c_str()}), 0);
  EXPECT_EQ(output_, path + ": configuration is good\n");
}

TEST_F(ProgramOptionsTest, CheckConfigNamesTheDefaultThatFails) {
  const std::string path = Write("a.yaml", "http: {listen: '0.0.0.0:1'}\n");
  EXPECT_EQ(Parse({"--check-config", "--config", path.c_str()}), 2);
  EXPECT_NE(errors_.find("http.listen"), std::string::npos);
}

TEST_F(ProgramOptionsTest, MissingFileIsTwo) {
  EXPECT_EQ(Parse({"--config", "/nonexistent/x.yaml"}), 2);
  EXPECT_NE(errors_.find("/nonexistent/x.yaml: No such file"), std::string::npos);
}

TEST_F(ProgramOptionsTest, BadUsageIsTwo) { EXPECT_EQ(Parse({"--no-such-option"}), 2); }

TEST_F(ProgramOptionsTest, NamesMustBeInTheCatalogue) {
  options_.RestrictNames("collectors", {"cpu", "diskstats"});
  options_.RestrictNames("faults.allowed", {"cpu_stress"});
  EXPECT_EQ(Parse({"--set", "collectors.cpu.enabled=true", "--set", "faults.allowed=cpu_stress"}),
            std::nullopt);
  EXPECT_TRUE(options_.Load(config_));
}

TEST_F(ProgramOptionsTest, UnknownNamesAreTwo) {
  options_.RestrictNames("collectors", {"cpu", "diskstats"});
  EXPECT_EQ(Parse({"--set", "collectors.diskstat.enabled=true"}), 2);
  EXPECT_EQ(errors_,
            "faultline-agent: defaults: collectors: unknown name `diskstat` (did you mean "
            "`diskstats`?)\n");
}

TEST_F(ProgramOptionsTest, PrintsVersion) {
  EXPECT_EQ(Parse({"--version"}), 0);
  EXPECT_EQ(output_, "faultline-agent " + std::string(Version()) + "\n");
}

TEST_F(ProgramOptionsTest, PrintsHelpWithEveryKey) {
  EXPECT_EQ(Parse({"--help"}), 0);
  for (const auto* expected : {"--check-config", "--once", "http.listen", "127.0.0.1:8712",
                               "collectors.<name>.enabled", "collect.period", "logs.files"}) {
    EXPECT_NE(output_.find(expected), std::string::npos) << expected;
  }
}

TEST_F(ProgramOptionsTest, PrintsList) {
  EXPECT_EQ(Parse({"--list"}), 0);
  EXPECT_EQ(output_, "collector cpu\n");
}

TEST_F(ProgramOptionsTest, ReloadReadsAgainAndKeepsOldOnError) {
  const std::string path = Write("a.yaml", "node: one\n");
  EXPECT_EQ(Parse({"--config", path.c_str()}), std::nullopt);
  Write("a.yaml", "node: two\n");
  ASSERT_TRUE(options_.Load(config_));
  EXPECT_EQ(config_.node(), "two");
  Write("a.yaml", "node: [\n");
  EXPECT_FALSE(options_.Load(config_));
  EXPECT_EQ(config_.node(), "two");
}

}  // namespace
}  // namespace faultline
