#include "common/config_defaults.h"

#include <gtest/gtest.h>

#include "common/config.h"

namespace faultline {
namespace {

template <typename Config>
std::string ErrorWith(std::initializer_list<std::string_view> settings) {
  Config config;
  for (const auto setting : settings) {
    if (auto applied = ApplySetting(setting, "--set", &config); !applied)
      return applied.error().message;
  }
  const auto filled = FillDefaults(&config);
  return filled ? "no error" : filled.error().message;
}
const auto AgentError = ErrorWith<v1::AgentConfig>;
const auto AggregatorError = ErrorWith<v1::AggregatorConfig>;

TEST(FillDefaults, Agent) {
  v1::AgentConfig config;
  ASSERT_TRUE(FillDefaults(&config));
  EXPECT_FALSE(config.node().empty());
  EXPECT_EQ(config.state_dir(), "/var/lib/faultline/agent");
  EXPECT_EQ(config.http().listen(), "127.0.0.1:8712");
  EXPECT_EQ(config.uplink().endpoint(0), "tcp://127.0.0.1:8711");
  EXPECT_TRUE(config.uplink().enabled());
  EXPECT_EQ(config.collect().period().seconds(), 1);
  EXPECT_EQ(config.collect().timeout().seconds(), 10);
  EXPECT_EQ(config.host_root(), "/");
  EXPECT_EQ(config.logs().pods_root(), "/var/log/pods");
  EXPECT_EQ(config.logs().max_line_bytes(), 1u << 20);
  EXPECT_TRUE(config.logs().kmsg());
  EXPECT_TRUE(config.probes().syscalls().enabled());
  EXPECT_EQ(config.faults().lease().seconds(), 30);
  EXPECT_EQ(config.spool().max_bytes(), 512u << 20);
  EXPECT_TRUE(config.checks().enabled());
  EXPECT_EQ(config.checks().allowed_roots(0), "/usr/lib/nagios/plugins");
  EXPECT_EQ(config.checks().timeout().seconds(), 10);
}

TEST(FillDefaults, ChecksAreBounded) {
  EXPECT_EQ(AgentError({"checks.rules=[rules/*.yaml]"}), "checks.rules: `rules/*.yaml` is not an absolute path");
  EXPECT_EQ(AgentError({"checks.max_output_bytes=1MiB"}), "checks.max_output_bytes: must be at most 64KiB");
  EXPECT_EQ(AgentError({"checks.builtin.psi.interval=1ms"}), "checks.builtin.psi.interval: must be at least 1000ms");
}

TEST(FillDefaults, ProbesHavePeriodsAndProfilesBounds) {
  v1::AgentConfig config;
  ASSERT_TRUE(ApplySetting("collect.period=2s", "", &config));
  ASSERT_TRUE(ApplySetting("probes.requests.period=500ms", "", &config));
  ASSERT_TRUE(FillDefaults(&config));
  EXPECT_EQ(config.probes().requests().period().nanos(), 500'000'000);
  EXPECT_EQ(config.probes().syscalls().period().seconds(), 2);
  EXPECT_EQ(config.probes().tcp().period().seconds(), 2);
  EXPECT_TRUE(config.probes().cpu_profile().enabled());
  EXPECT_FALSE(config.probes().cpu_profile().continuous());
  EXPECT_EQ(config.probes().cpu_profile().frequency_hz(), 99);
  EXPECT_EQ(config.probes().cpu_profile().window().seconds(), 10);
  EXPECT_EQ(AgentError({"probes.syscalls.period=1ms"}), "probes.syscalls.period: must be at least 10ms");
  EXPECT_EQ(AgentError({"probes.cpu_profile.period=1ms"}), "probes.cpu_profile.period: must be at least 10ms");
  EXPECT_EQ(AgentError({"probes.cpu_profile.window=10ms"}), "probes.cpu_profile.window: must be at least 1000ms");
  EXPECT_EQ(AgentError({"probes.cpu_profile.frequency_hz=5000"}),
            "probes.cpu_profile.frequency_hz: must be at most 999");
}

TEST(FillDefaults, AgentKeepsWhatTheUserSaid) {
  v1::AgentConfig config;
  ASSERT_TRUE(ApplySetting("collect.period=100ms", "", &config));
  ASSERT_TRUE(ApplySetting("collectors.cpu.enabled=true", "", &config));
  ASSERT_TRUE(ApplySetting("logs.enabled=false", "", &config));
  ASSERT_TRUE(FillDefaults(&config));
  EXPECT_EQ(config.collect().period().nanos(), 100'000'000);
  EXPECT_EQ(config.collectors().at("cpu").period().nanos(), 100'000'000);
  EXPECT_FALSE(config.logs().enabled());
}

TEST(FillDefaults, Aggregator) {
  v1::AggregatorConfig config;
  ASSERT_TRUE(FillDefaults(&config));
  EXPECT_EQ(config.http().listen(), "127.0.0.1:8710");
  EXPECT_EQ(config.ingest().listen(), "tcp://127.0.0.1:8711");
  EXPECT_EQ(config.store().retention().seconds(), 15 * 86400);
  EXPECT_EQ(config.store().commit_interval().nanos(), 10'000'000);
  EXPECT_EQ(config.query().timeout().seconds(), 120);
}

TEST(FillDefaults, OtherMachinesNeedAuthentication) {
  EXPECT_EQ(AggregatorError({"http.listen=0.0.0.0:8710"}),
            "http.listen: `0.0.0.0:8710` can be reached from other machines and security.tokens is "
            "not set");
  EXPECT_EQ(AggregatorError({"http.listen=0.0.0.0:8710", "security.tokens=/t"}), "no error");
  EXPECT_EQ(AggregatorError({"ingest.listen=tcp://*:8711"}),
            "ingest.listen: `tcp://*:8711` is not on this machine and security.keys is not set: "
            "make keys with "
            "`faultline keys init`");
  EXPECT_EQ(AggregatorError({"ingest.listen=tcp://0.0.0.0:8711", "security.keys=/k"}), "no error");
  EXPECT_NE(AgentError({"http.listen=10.0.0.1:8712"}), "no error");
  EXPECT_NE(AgentError({"uplink.endpoint=tcp://10.0.0.1:8711"}), "no error");
  EXPECT_EQ(AgentError({"uplink.endpoint=tcp://10.0.0.1:8711", "security.keys=/k"}), "no error");
  // Names that only look like loopback.
  EXPECT_NE(AggregatorError({"http.listen=127.evil.example:8710"}), "no error");
  EXPECT_NE(AgentError({"otlp.listen=127.evil.example:4318"}), "no error");
  EXPECT_NE(AggregatorError({"http.listen=127.0.0.1.evil.example:8710"}), "no error");
}

TEST(FillDefaults, NamesTheKeyThatMakesNoSense) {
  EXPECT_EQ(AgentError({"collect.period=0"}), "collect.period: must be at least 10ms");
  EXPECT_EQ(AgentError({"collect.changes_period=1s"}),
            "collect.changes_period: must be shorter than collect.period, or 0s for none");
  EXPECT_EQ(AgentError({"collect.changes_period=1ms"}), "collect.changes_period: must be at least 10ms");
  EXPECT_EQ(AgentError({"collect.changes_period=0s"}), "no error");
  EXPECT_EQ(AgentError({"collectors.cpu.period=1ms"}),
            "collectors.cpu.period: must be at least 10ms");
  EXPECT_EQ(AgentError({"node=../../etc"}),
            "node: `../../etc` is not a host name (letters, digits, - . _)");
  EXPECT_EQ(AgentError({"http.listen=8712"}), "http.listen: `8712` is not host:port");
  EXPECT_EQ(AgentError({"http.listen=::1:8712"}),
            "http.listen: `::1:8712`: an IPv6 address needs brackets, as [::1]:8710");
  EXPECT_EQ(AgentError({"http.listen=localhost:99999"}),
            "http.listen: `localhost:99999` has no port of 0 to 65535");
  EXPECT_EQ(AgentError({"uplink.endpoint=127.0.0.1:8711"}),
            "uplink.endpoint: `127.0.0.1:8711` is not tcp://host:port");
  EXPECT_EQ(AgentError({"log.level=loud"}),
            "log.level: `loud` is none of trace, debug, info, warn, error");
  EXPECT_EQ(AgentError({"logs.files=a.log"}), "logs.files: `a.log` is not an absolute path");
  EXPECT_EQ(AgentError({"http.tls_key=/k"}),
            "http.tls_key: tls_certificate and tls_key go together");
  EXPECT_EQ(AggregatorError({"ingest.max_batch_bytes=64MiB"}),
            "ingest.max_batch_decoded_bytes: must not be less than ingest.max_batch_bytes");
}

}  // namespace
}  // namespace faultline
