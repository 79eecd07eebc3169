// chaosd's bodies and command lines, ours and the published ones.
#include "aggregator/objects/foreign/chaosd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "aggregator/objects/object_text.h"
#include "common/text.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  for (std::string_view word = NextWord(text); !word.empty(); word = NextWord(text))
    words.emplace_back(word);
  return words;
}

Result<json::object> Attack(const std::string& kind, std::string_view body) {
  auto objects = TranslateAttack(kind, json::parse(body).as_object(), "attack", "here");
  if (!objects) return std::unexpected(objects.error());
  if (auto valid = ValidateObject(objects->front()); !valid) return std::unexpected(valid.error());
  return objects->front().at("spec").as_object();
}

TEST(ChaosdTest, BodiesGetTheDefaultsOfChaosd) {
  const auto cpu = Attack("stress", R"({"action":"cpu"})");
  ASSERT_TRUE(cpu) << cpu.error().message;
  EXPECT_EQ(cpu->at("parameters"), json::parse(R"({"load":"10","workers":"1"})"));
  EXPECT_EQ(cpu->at("selector"), json::parse(R"({"nodes":["here"]})"));
  EXPECT_EQ(cpu->at("duration"), "1h");
  const auto partition =
      Attack("network", R"({"action":"partition","device":"eth0","ip-address":"10.0.0.1"})");
  EXPECT_EQ(partition->at("parameters").at("direction"), "both");
  const auto kill = Attack("process", R"({"process":"12345","signal":15})");
  EXPECT_EQ(kill->at("fault"), "process_kill");
  EXPECT_EQ(kill->at("selector").at("processes"), json::parse(R"(["12345"])"));
  const auto reboot = Attack("host", R"({"action":"reboot"})");
  EXPECT_EQ(reboot->at("dryRun"), true) << "two steps";
}

TEST(ChaosdTest, RefusalsNameTheField) {
  EXPECT_THAT(Attack("network", R"({"action":"delay","colour":"red"})").error().message,
              HasSubstr("colour: unknown field"));
  EXPECT_THAT(Attack("user_defined", R"({"attackCmd":"a","recoverCmd":"b"})").error().message,
              HasSubstr("verifyCmd: is missing"));
  EXPECT_THAT(Attack("teapot", "{}").error().message, HasSubstr("chaosd has no attack 'teapot'"));
}

TEST(ChaosdTest, CommandLines) {
  const auto delay =
      ReadAttackCommand(Words("chaosd attack network delay -d eth0 -i 172.16.4.4 -l 10ms"));
  ASSERT_TRUE(delay) << delay.error().message;
  EXPECT_EQ(delay->kind, "network");
  EXPECT_EQ(delay->body,
            json::parse(
                R"({"device":"eth0","ip-address":"172.16.4.4","latency":"10ms","action":"delay"})")
                .as_object());
  const auto write = ReadAttackCommand(Words("chaosd attack disk add-payload write -s 2G -n 8"));
  EXPECT_EQ(write->body.at("action"), "write-payload");
  EXPECT_THAT(ReadAttackCommand(Words("chaosd attack network delay -z 1")).error().message,
              HasSubstr("no such option"));
}

TEST(ChaosdTest, PublishedOnes) {
  const char* folder = std::getenv("FAULTLINE_CORPUS");
  const std::filesystem::path root =
      folder != nullptr ? folder : SourceDir() + "/../shared/data/corpus";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is absent (set FAULTLINE_CORPUS)";
  int translated = 0, refused = 0, forms = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string top = entry.path().lexically_relative(root).begin()->string();
    if (!entry.is_regular_file() || (top != "chaosd" && top != "chaosd-cli")) continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    std::string kind = entry.path().parent_path().filename();
    json::object body;
    if (top == "chaosd") {
      body = json::parse(text.str()).as_object();
    } else {
      const auto command = ReadAttackCommand(Words(Trim(text.str())));
      // A request for help, or "[flags]": nothing to attack.
      forms += !command && command.error().code == ErrorCode::kUnsupported;
      if (!command && command.error().code == ErrorCode::kUnsupported) continue;
      EXPECT_TRUE(command) << text.str() << command.error().message;
      if (!command) continue;
      kind = command->kind;
      body = command->body;
    }
    auto objects = TranslateAttack(kind, body, "attack", "here");
    const auto valid =
        objects ? ValidateObject(objects->front()) : Result<void>(std::unexpected(objects.error()));
    (valid ? translated : refused)++;
    EXPECT_TRUE(valid) << entry.path() << ": " << valid.error().message;
  }
  std::printf("translated %d, refused %d, help or form of a command %d\n", translated, refused,
              forms);
  EXPECT_GT(translated, 0);
}

}  // namespace
}  // namespace faultline
