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
  EXPECT_THAT(Attack("user_defined", R"({"attackCmd":"a"})").error().message,
              HasSubstr("recoverCmd: is missing"));
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

// What a letter means is the action's to say; some long options have another name in a body.
TEST(ChaosdTest, OptionsMeanWhatTheirActionSays) {
  const auto body = [](std::string_view line) {
    const auto command = ReadAttackCommand(Words(line));
    return command ? json::value(command->body)
                   : json::value(json::string(command.error().message));
  };
  EXPECT_EQ(
      body("attack network bandwidth -d e0 --ip 10.9.8.7 -r 3mbps -l 7 -b 5 -m 2"),
      json::parse(R"({"device":"e0","ip-address":"10.9.8.7","rate":"3mbps","limit":"7","buffer":"5",
                            "minburst":"2","action":"bandwidth"})"));
  EXPECT_EQ(body("attack network dns -d x.test -i 10.0.0.9"),
            json::parse(R"({"dns-domain-name":"x.test","dns-ip":"10.0.0.9","action":"dns"})"));
  EXPECT_EQ(body("attack network loss --protocol udp --percent 3"),
            json::parse(R"({"ip-protocol":"udp","percent":"3","action":"loss"})"));
  EXPECT_EQ(body("attack file rename -s /a -d /b"),
            json::parse(R"({"source-file":"/a","dest-file":"/b","action":"rename"})"));
  EXPECT_EQ(body("attack clock -p 7 -t -90s"), json::parse(R"({"pid":"7","time-offset":"-90s"})"));
  EXPECT_EQ(body("attack user-defined -a up -r down"),
            json::parse(R"({"attackCmd":"up","recoverCmd":"down"})"));
  EXPECT_EQ(body("attack kafka io -T t -r"),
            json::parse(R"({"topic":"t","non-readable":"true","action":"io"})"));
  EXPECT_EQ(body("attack --log-level debug stress cpu -l 4"),
            json::parse(R"({"load":"4","action":"cpu"})"));
}

TEST(ChaosdTest, BodiesMayBeWrittenInCamelCaseAndWithUnderscores) {
  const auto environment = [](const std::string& kind, std::string_view body) {
    const auto spec = Attack(kind, body);
    return spec ? std::string(spec->at("parameters").at("environment").as_string())
                : spec.error().message;
  };
  EXPECT_EQ(environment("redis", R"({"action":"cacheLimit","addr":"a:1","cacheSize":"9M"})"),
            R"(["ACTION=cacheLimit","ADDR=a:1","CACHE_SIZE=9M"])");
  EXPECT_EQ(
      environment("kafka", R"({"action":"fill","topic":"t","messageSize":7,"reloadCommand":"r"})"),
      R"(["ACTION=fill","TOPIC=t","MESSAGE_SIZE=7","RELOAD_COMMAND=r"])");
  EXPECT_EQ(
      environment("jvm", R"({"action":"mysql","mysqlConnectorVersion":"8","sqlType":"insert"})"),
      R"(["ACTION=mysql","MYSQL_CONNECTOR_VERSION=8","SQL_TYPE=insert"])");
  const auto fill =
      Attack("disk", R"({"action":"fill","path":"/x","size":"1M","fill_by_fallocate":false})");
  ASSERT_TRUE(fill) << fill.error().message;
  EXPECT_EQ(fill->at("parameters").at("fill-by-fallocate"), "false");
  const auto write = Attack("disk", R"({"action":"write-payload","size":"1M"})");
  ASSERT_TRUE(write) << write.error().message;
  EXPECT_EQ(write->at("parameters").at("path"), "/var/tmp") << "a file of its own there";
  const auto http =
      Attack("http", R"({"action":"abort","proxy_ports":[80,81],"port":80,"target":"Request"})");
  ASSERT_TRUE(http) << http.error().message;
  EXPECT_EQ(http->at("parameters").at("proxy_ports"), R"(["80","81"])");
  const auto flood =
      Attack("network", R"({"action":"flood","rate":"12m","ip-address":"10.0.0.1","port":"9"})");
  ASSERT_TRUE(flood) << flood.error().message;
  EXPECT_EQ(flood->at("parameters").at("rate"), "12mbit") << "as iperf reads it";
  EXPECT_TRUE(Attack("stress", R"({"action":"cpu","options":["--cpu-method fft","--cpu 3"]})"));
  EXPECT_THAT(Attack("stress", R"({"action":"cpu","options":["--fork 3"]})").error().message,
              HasSubstr("options: '--fork' cannot be honoured"));
  const auto own = Attack("user_defined", R"({"attackCmd":"a","recoverCmd":"b"})");
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_THAT(std::string(own->at("parameters").at("verifyCmd").as_string()), HasSubstr("exit 2"))
      << "inconclusive";
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
