#include "common/config.h"

#include <gtest/gtest.h>

#include "common/config_defaults.h"

namespace faultline {
namespace {

std::string ErrorOf(const Result<void>& result) {
  return result ? "no error" : result.error().message;
}

template <typename Config = v1::AgentConfig>
std::string YamlError(std::string_view yaml) {
  Config config;
  return ErrorOf(ReadYaml(yaml, "a.yaml", &config));
}

TEST(ReadYaml, FillsEveryKindOfField) {
  v1::AgentConfig config;
  const auto read = ReadYaml(R"(
node: web-1
http: {listen: "127.0.0.1:0", max_body_bytes: 64MiB}
uplink:
  endpoint:
    - tcp://a:1
    - tcp://b:2
  reconnect_max: 1m30s
collect: {period: 250ms, max_series: 7}
collectors:
  cpu: {enabled: false}
  loadavg: {period: 5s}
logs: {files: /var/log/*.log, kmsg: false, max_line_bytes: 16KiB}
probes:
# all keys below are commented out
#  enabled: false
)",
                             "a.yaml", &config);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(config.node(), "web-1");
  EXPECT_EQ(config.http().max_body_bytes(), 64u << 20);
  ASSERT_EQ(config.uplink().endpoint_size(), 2);
  EXPECT_EQ(config.uplink().endpoint(1), "tcp://b:2");
  EXPECT_EQ(config.uplink().reconnect_max().seconds(), 90);
  EXPECT_EQ(config.collect().period().nanos(), 250'000'000);
  EXPECT_EQ(config.collect().max_series(), 7u);
  EXPECT_TRUE(config.collectors().at("cpu").has_enabled());
  EXPECT_FALSE(config.collectors().at("cpu").enabled());
  EXPECT_FALSE(config.collectors().at("loadavg").has_enabled());
  EXPECT_EQ(config.collectors().at("loadavg").period().seconds(), 5);
  ASSERT_EQ(config.logs().files_size(), 1);
  EXPECT_EQ(config.logs().files(0), "/var/log/*.log");
  EXPECT_FALSE(config.logs().kmsg());
  EXPECT_EQ(config.logs().max_line_bytes(), 16u << 10);
}

TEST(ReadYaml, EmptyTextIsNoConfiguration) {
  EXPECT_EQ(YamlError(""), "no error");
  EXPECT_EQ(YamlError("# nothing\n"), "no error");
  EXPECT_EQ(YamlError("---\n"), "no error");
}

TEST(ReadYaml, NamesPlaceAndReason) {
  EXPECT_EQ(YamlError("node: a\nhttp:\n  listne: x\n"),
            "a.yaml:3:3: http.listne: unknown key (did you mean `listen`?)");
  EXPECT_EQ(YamlError("zzzzzz: 1\n"), "a.yaml:1:1: zzzzzz: unknown key");
  EXPECT_EQ(YamlError("node: [a]\n"),
            "a.yaml:1:7: node: must be one value, not a list or a section");
  EXPECT_EQ(YamlError("node:\n"), "a.yaml:1:1: node: has no value");
  EXPECT_EQ(YamlError("http: 8710\n"), "a.yaml:1:7: http: must be a section of `key: value` lines");
  EXPECT_EQ(YamlError("node: a\nnode: b\n"), "a.yaml:2:1: node: given twice");
  EXPECT_EQ(YamlError("collectors:\n  cpu: {}\n  cpu: {}\n"),
            "a.yaml:3:3: collectors.cpu: given twice");
  EXPECT_EQ(YamlError("collect: {period: 10}\n"),
            "a.yaml:1:19: collect.period: `10` is not a duration as 500ms, 10s, 1h30m or 15d");
  EXPECT_EQ(YamlError("collect: {period: -1s}\n"),
            "a.yaml:1:19: collect.period: `-1s` is not a duration as 500ms, 10s, 1h30m or 15d");
  EXPECT_EQ(YamlError("spool: {max_bytes: 10 miles}\n"),
            "a.yaml:1:20: spool.max_bytes: `10 miles` is not a size as 512, 64KiB or 10MiB");
  EXPECT_EQ(YamlError("logs: {enabled: yes}\n"),
            "a.yaml:1:17: logs.enabled: `yes` is neither true nor false");
  EXPECT_EQ(YamlError("logs: {enabled: 'true'}\n"),
            "a.yaml:1:17: logs.enabled: `true` is neither true nor false");
  EXPECT_EQ(YamlError("processes: {top: -3}\n"),
            "a.yaml:1:18: processes.top: `-3` is not a whole number of 0 or more");
  EXPECT_EQ(YamlError("processes: {top: 4294967296}\n"),
            "a.yaml:1:18: processes.top: `4294967296` is not within 0 and 4294967295");
  EXPECT_EQ(YamlError("processes: {top: 0}\n"),
            "a.yaml:1:18: processes.top: must not be 0; leave it out for the default");
  EXPECT_EQ(YamlError("logs: {files: [{a: b}]}\n"),
            "a.yaml:1:16: logs.files[0]: must be one value, not a list or a section");
}

TEST(ReadYaml, RefusesWhatIsNotOneSmallDocument) {
  EXPECT_TRUE(YamlError("node: [a\n").starts_with("a.yaml:2:1: "));
  for (const std::string_view text : {"node: a\n---\nnode: b\n", ",", "node: a\n]", "{},"}) {
    EXPECT_NE(YamlError(text), "no error") << text;
  }
  EXPECT_TRUE(YamlError(std::string(2 << 20, ' ')).starts_with("a.yaml: 2097152 bytes"));
  EXPECT_NE(YamlError("node: \"\\xff\\0\"\n"), "no error");
  EXPECT_NE(YamlError(std::string(100'000, '[')), "no error");
  // Aliases of aliases: each use counts.
  std::string bomb = "uplink:\n  endpoint: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  EXPECT_EQ(YamlError(bomb), "no error");
  EXPECT_NE(YamlError("http: &h\n  listen: *h\n"), "no error");
}

TEST(ReadYaml, LeavesTheMessageAloneOnError) {
  v1::AgentConfig config;
  config.set_node("before");
  EXPECT_FALSE(ReadYaml("node: after\nfoo: 1\n", "a.yaml", &config));
  EXPECT_EQ(config.node(), "before");
}

TEST(ReadYaml, MergesOverWhatIsThere) {
  v1::AgentConfig config;
  ASSERT_TRUE(ReadYaml("collectors: {cpu: {enabled: false, period: 2s}}\nlogs: {files: [/a, /b]}",
                       "a", &config));
  ASSERT_TRUE(ReadYaml("collectors: {cpu: {period: 3s}}\nlogs: {files: [/c]}", "b", &config));
  EXPECT_TRUE(config.collectors().at("cpu").has_enabled());
  EXPECT_EQ(config.collectors().at("cpu").period().seconds(), 3);
  EXPECT_EQ(config.logs().files_size(), 1);
}

TEST(ApplySetting, SetsOnePath) {
  v1::AgentConfig config;
  for (const auto* setting :
       {"node=n1", "http.listen=[::1]:0", "logs.files=[/a, /b]", "collectors.cpu.enabled=false",
        "collectors.cpu.period=2s", "uplink.endpoint=tcp://[::1]:8711", "spool.max_bytes=1GiB",
        "security.keys=", "collectors.loadavg={enabled: true}"}) {
    EXPECT_EQ(ErrorOf(ApplySetting(setting, "--set", &config)), "no error") << setting;
  }
  EXPECT_EQ(config.http().listen(), "[::1]:0");
  EXPECT_EQ(config.logs().files(1), "/b");
  EXPECT_FALSE(config.collectors().at("cpu").enabled());
  EXPECT_EQ(config.collectors().at("cpu").period().seconds(), 2);
  EXPECT_TRUE(config.collectors().at("loadavg").enabled());
  EXPECT_EQ(config.uplink().endpoint(0), "tcp://[::1]:8711");
  EXPECT_EQ(config.spool().max_bytes(), 1u << 30);
  ASSERT_TRUE(ApplySetting("logs.files=*.log", "--set", &config));
  EXPECT_EQ(config.logs().files(0), "*.log");
  ASSERT_TRUE(ApplySetting("logs.files=", "--set", &config));
  EXPECT_EQ(config.logs().files_size(), 0);
}

TEST(ApplySetting, ListsWorkBelowANameToo) {
  v1::AgentConfig config;
  const auto set = ApplySetting("collectors.textfile.directory=[/a, /b]", "--set", &config);
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(config.collectors().at("textfile").directory_size(), 2);
  EXPECT_EQ(config.collectors().at("textfile").directory(1), "/b");
}

TEST(ApplySetting, NamesWhatIsWrong) {
  v1::AgentConfig config;
  const auto error = [&](std::string_view setting) {
    return ErrorOf(ApplySetting(setting, "--set", &config));
  };
  EXPECT_EQ(error("node"), "--set: `node` is not of the form a.b.c=value");
  EXPECT_EQ(error("htpp.listen=x"), "--set: htpp: unknown key (did you mean `http`?)");
  EXPECT_EQ(error("http.listen.port=x"), "--set: http.listen: is a value and has no `port`");
  EXPECT_EQ(error("http=x"), "--set: http: must be a section of `key: value` lines");
  EXPECT_EQ(error("collectors.cpu.enabled=maybe"),
            "--set: collectors.cpu.enabled: `maybe` is neither true nor false");
  EXPECT_EQ(error("collectors.cpu.enabled.x=1"),
            "--set: collectors: too many parts behind this name");
  EXPECT_EQ(error("collect.period="),
            "--set: collect.period: `` is not a duration as 500ms, 10s, 1h30m or 15d");
}

TEST(ApplyEnvironment, MapsNamesToPaths) {
  v1::AgentConfig config;
  const char* environment[] = {"PATH=/bin",
                               "FAULTLINE_NODE=n7",
                               "FAULTLINE_COLLECT__MAX_SERIES=9",
                               "FAULTLINE_COLLECTORS__CPU__ENABLED=false",
                               "FAULTLINE_SERVER=http://x",
                               "FAULTLINE_AGGREGATOR_SERVICE_HOST=10.0.0.1",
                               "FAULTLINE_AGGREGATOR_PORT=tcp://10.0.0.1:1",
                               "FAULTLINE_AGGREGATOR_PORT_8710_TCP_ADDR=10.0.0.1",
                               "FAULTLINE_AGGREGATOR_SERVICE_PORT_HTTP=8710",
                               nullptr};
  EXPECT_EQ(ErrorOf(ApplyEnvironment(environment, {"FAULTLINE_SERVER"}, &config)), "no error");
  EXPECT_EQ(config.node(), "n7");
  EXPECT_EQ(config.collect().max_series(), 9u);
  EXPECT_FALSE(config.collectors().at("cpu").enabled());
  const char* unknown[] = {"FAULTLINE_HTTP__LISTN=x", nullptr};
  EXPECT_EQ(ErrorOf(ApplyEnvironment(unknown, {}, &config)),
            "FAULTLINE_HTTP__LISTN: http.listn: unknown key (did you mean `listen`?)");
}

TEST(NearestName, SuggestsOnlyWhatIsNear) {
  EXPECT_EQ(NearestName("diskstat", {"cpu", "diskstats", "netdev"}), "diskstats");
  EXPECT_EQ(NearestName("zebra", {"cpu", "diskstats"}), "");
  EXPECT_EQ(NearestName("", {"cpu"}), "");
}

}  // namespace
}  // namespace faultline
