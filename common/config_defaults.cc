// One statement per key, in the order of config.proto, so that schema and defaults can be read side
// by side. Numbers that are 0 were not given (the reader refuses an explicit 0); sections of values
// that make no sense are named.
#include "common/config_defaults.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "common/clock.h"
#include "common/loopback.h"
#include "common/text.h"

namespace faultline {
namespace {

using google::protobuf::Duration;

constexpr uint64_t kMiB = 1 << 20;

int64_t Ns(const Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

Duration Milliseconds(int64_t ms) {
  Duration duration;
  duration.set_seconds(ms / 1000);
  duration.set_nanos(static_cast<int32_t>(ms % 1000 * kNsPerMs));
  return duration;
}
Duration Seconds(int64_t s) { return Milliseconds(s * 1000); }

template <typename... Args>
std::unexpected<Error> Wrong(std::string_view key, fmt::format_string<Args...> reason,
                             Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, "{}: {}", key,
              fmt::format(reason, std::forward<Args>(args)...));
}

void Default(std::string* value, std::string_view text) {
  if (value->empty()) *value = text;
}
template <typename Number>
Number Or(Number value, Number fallback) {
  return value == 0 ? fallback : value;
}

Result<void> AtLeast(std::string_view key, const Duration& value, int64_t min_ms) {
  if (Ns(value) < min_ms * kNsPerMs) return Wrong(key, "must be at least {}ms", min_ms);
  return {};
}

struct HostAndPort {
  std::string_view host;
  std::string_view port;
};

Result<HostAndPort> SplitAddress(std::string_view key, std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return Wrong(key, "`{}` is not host:port", address);
  HostAndPort split{address.substr(0, colon), address.substr(colon + 1)};
  const auto port = ParseUint(split.port);
  if (!port || *port > 65535) return Wrong(key, "`{}` has no port of 0 to 65535", address);
  if (split.host.starts_with('[') && split.host.ends_with(']')) {
    split.host = split.host.substr(1, split.host.size() - 2);
  } else if (split.host.find(':') != std::string_view::npos) {
    return Wrong(key, "`{}`: an IPv6 address needs brackets, as [::1]:8710", address);
  }
  if (split.host.empty()) return Wrong(key, "`{}` has no host; 0.0.0.0 is every address", address);
  return split;
}

// tcp://host:port, on this machine or with CURVE keys.
Result<void> CheckEndpoint(std::string_view key, std::string_view endpoint,
                           const v1::SecurityConfig& security) {
  constexpr std::string_view kScheme = "tcp://";
  if (!endpoint.starts_with(kScheme)) return Wrong(key, "`{}` is not tcp://host:port", endpoint);
  FAULTLINE_ASSIGN(const HostAndPort split, SplitAddress(key, endpoint.substr(kScheme.size())));
  if (!IsLoopbackHost(split.host) && security.keys().empty()) {
    return Wrong(key,
                 "`{}` is not on this machine and security.keys is not set: make keys with "
                 "`faultline keys init`",
                 endpoint);
  }
  return {};
}

Result<void> FillOtlp(v1::OtlpConfig* otlp) {
  otlp->set_max_body_bytes(Or<uint64_t>(otlp->max_body_bytes(), 3 * kMiB));
  if (otlp->listen().empty()) return {};
  FAULTLINE_ASSIGN(const HostAndPort split, SplitAddress("otlp.listen", otlp->listen()));
  if (IsLoopbackHost(split.host) || !otlp->token_file().empty()) return {};
  return Wrong("otlp.listen", "`{}` can be reached from other machines and otlp.token_file is not set",
               otlp->listen());
}

Result<void> FillHttp(v1::HttpConfig* http, std::string_view listen,
                      const v1::SecurityConfig& security) {
  Default(http->mutable_listen(), listen);
  http->set_max_body_bytes(Or<uint64_t>(http->max_body_bytes(), 32 * kMiB));
  FAULTLINE_ASSIGN(const HostAndPort split, SplitAddress("http.listen", http->listen()));
  if (!IsLoopbackHost(split.host) && security.tokens().empty()) {
    return Wrong("http.listen",
                 "`{}` can be reached from other machines and security.tokens is not set",
                 http->listen());
  }
  if (http->tls_certificate().empty() != http->tls_key().empty()) {
    return Wrong("http.tls_key", "tls_certificate and tls_key go together");
  }
  return {};
}

Result<void> FillLog(v1::LogConfig* log) {
  Default(log->mutable_level(), "info");
  Default(log->mutable_format(), "text");
  constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};
  if (std::ranges::find(kLevels, log->level()) == std::end(kLevels)) {
    return Wrong("log.level", "`{}` is none of trace, debug, info, warn, error", log->level());
  }
  if (log->format() != "text" && log->format() != "json") {
    return Wrong("log.format", "`{}` is neither text nor json", log->format());
  }
  return {};
}

// The node's name is a label, a file name (NODE.secret) and part of keys in the store.
Result<void> FillNode(v1::AgentConfig* config) {
  if (config->node().empty()) {
    char name[HOST_NAME_MAX + 1] = {};
    if (gethostname(name, sizeof(name) - 1) != 0)
      return FailErrno(errno, "node: asking for the host name");
    config->set_node(name);
  }
  const std::string& node = config->node();
  const bool plain = std::ranges::all_of(node, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
  if (!plain || node.empty() || node.size() > 253 || node.front() == '.') {
    return Wrong("node", "`{}` is not a host name (letters, digits, - . _)", node);
  }
  return {};
}

template <typename Section>
void FillEnabled(Section* section) {
  if (!section->has_enabled()) section->set_enabled(true);
}

void FillPeriod(Duration* period, bool given, const Duration& fallback) {
  if (!given) *period = fallback;
}

Result<void> FillUplink(v1::AgentConfig* config) {
  v1::UplinkConfig* uplink = config->mutable_uplink();
  if (uplink->endpoint().empty()) uplink->add_endpoint("tcp://127.0.0.1:8711");
  if (!uplink->has_reconnect_max()) *uplink->mutable_reconnect_max() = Seconds(5);
  FillEnabled(uplink);
  FAULTLINE_TRY(AtLeast("uplink.reconnect_max", uplink->reconnect_max(), 10));
  for (const std::string& endpoint : uplink->endpoint()) {
    FAULTLINE_TRY(CheckEndpoint("uplink.endpoint", endpoint, config->security()));
  }
  return {};
}

Result<void> FillCollect(v1::AgentConfig* config) {
  v1::CollectConfig* collect = config->mutable_collect();
  if (!collect->has_period()) *collect->mutable_period() = Seconds(1);
  if (!collect->has_timeout()) *collect->mutable_timeout() = Seconds(10);
  collect->set_max_series(Or<uint32_t>(collect->max_series(), 50'000));
  FAULTLINE_TRY(AtLeast("collect.period", collect->period(), 10));
  FAULTLINE_TRY(AtLeast("collect.timeout", collect->timeout(), 10));
  const int64_t half_ms = Ns(collect->period()) / 2 / kNsPerMs;
  if (!collect->has_changes_period()) *collect->mutable_changes_period() = Milliseconds(half_ms >= 10 ? half_ms : 0);
  if (Ns(collect->changes_period()) != 0) {
    FAULTLINE_TRY(AtLeast("collect.changes_period", collect->changes_period(), 10));
    if (Ns(collect->changes_period()) >= Ns(collect->period())) {
      return Wrong("collect.changes_period", "must be shorter than collect.period, or 0s for none");
    }
  }
  for (auto& [name, leaf] : *config->mutable_collectors()) {
    FillPeriod(leaf.mutable_period(), leaf.has_period(), collect->period());
    FAULTLINE_TRY(AtLeast(fmt::format("collectors.{}.period", name), leaf.period(), 10));
  }
  return {};
}

Result<void> FillLogs(v1::LogsConfig* logs) {
  FillEnabled(logs);
  Default(logs->mutable_pods_root(), "/var/log/pods");
  Default(logs->mutable_containers_root(), "/var/log/containers");
  if (logs->docker_roots().empty()) logs->add_docker_roots("/var/lib/docker/containers");
  if (!logs->has_kmsg()) logs->set_kmsg(true);
  logs->set_max_line_bytes(Or<uint32_t>(logs->max_line_bytes(), kMiB));
  if (logs->max_line_bytes() < 256 || logs->max_line_bytes() > 64 * kMiB) {
    return Wrong("logs.max_line_bytes", "must be within 256 and 64MiB");
  }
  for (const std::string& glob : logs->files()) {
    if (!glob.starts_with('/')) return Wrong("logs.files", "`{}` is not an absolute path", glob);
  }
  if (!logs->has_held_max_age()) *logs->mutable_held_max_age() = Seconds(3600);
  FAULTLINE_TRY(AtLeast("logs.held_max_age", logs->held_max_age(), 1000));
  logs->set_held_max_bytes(Or<uint64_t>(logs->held_max_bytes(), 1024 * kMiB));
  logs->set_window_bytes(Or<uint64_t>(logs->window_bytes(), 8 * kMiB));
  if (logs->window_bytes() < 64 << 10) return Wrong("logs.window_bytes", "must be at least 64KiB");
  if (!logs->has_journal()) logs->set_journal(true);
  return {};
}

Result<void> FillProbes(v1::AgentConfig* config) {
  v1::ProbesConfig* probes = config->mutable_probes();
  FillEnabled(probes);
  v1::SyscallsProbeConfig* syscalls = probes->mutable_syscalls();
  FillEnabled(syscalls);
  syscalls->set_timed_one_in(Or<uint32_t>(syscalls->timed_one_in(), 1));
  if (!syscalls->has_slow()) *syscalls->mutable_slow() = Seconds(1);
  FAULTLINE_TRY(AtLeast("probes.syscalls.slow", syscalls->slow(), 1));
  v1::RequestsProbeConfig* requests = probes->mutable_requests();
  FillEnabled(requests);
  requests->set_max_spans_per_second(Or<uint32_t>(requests->max_spans_per_second(), 200));
  v1::CpuProfileConfig* profile = probes->mutable_cpu_profile();
  FillEnabled(profile);
  profile->set_frequency_hz(Or<uint32_t>(profile->frequency_hz(), 99));
  if (profile->frequency_hz() > 999)
    return Wrong("probes.cpu_profile.frequency_hz", "must be at most 999");
  if (!profile->has_window()) *profile->mutable_window() = Seconds(10);
  FAULTLINE_TRY(AtLeast("probes.cpu_profile.window", profile->window(), 1000));
  v1::ProbeBudgetConfig* budget = probes->mutable_budget();
  FillEnabled(budget);
  budget->set_cpu_percent(Or<double>(budget->cpu_percent(), 20));
  if (!budget->has_retry()) *budget->mutable_retry() = Seconds(600);
  FAULTLINE_TRY(AtLeast("probes.budget.retry", budget->retry(), 1000));
  Default(probes->mutable_arguments(), "redacted");
  if (const std::string& kind = probes->arguments();
      kind != "none" && kind != "redacted" && kind != "all") {
    return Wrong("probes.arguments", "`{}` is none of none, redacted, all", kind);
  }
  const std::pair<std::string_view, v1::LeafConfig*> leaves[] = {
      {"probes.processes.period", probes->mutable_processes()},
      {"probes.oom.period", probes->mutable_oom()},
      {"probes.tcp.period", probes->mutable_tcp()},
      {"probes.scheduler.period", probes->mutable_scheduler()},
      {"probes.block_io.period", probes->mutable_block_io()},
      {"probes.memory.period", probes->mutable_memory()},
      {"probes.udp.period", probes->mutable_udp()}};
  const auto fill_period = [&](std::string_view key, auto* leaf) {
    FillPeriod(leaf->mutable_period(), leaf->has_period(), config->collect().period());
    return AtLeast(key, leaf->period(), 10);
  };
  for (const auto& [key, leaf] : leaves) {
    FillEnabled(leaf);
    FAULTLINE_TRY(fill_period(key, leaf));
  }
  FAULTLINE_TRY(fill_period("probes.syscalls.period", syscalls));
  FAULTLINE_TRY(fill_period("probes.requests.period", requests));
  return fill_period("probes.cpu_profile.period", profile);
}

Result<void> FillFaults(v1::FaultsConfig* faults) {
  FillEnabled(faults);
  if (!faults->has_lease()) *faults->mutable_lease() = Seconds(30);
  if (!faults->has_max_duration()) *faults->mutable_max_duration() = Seconds(3600);
  FAULTLINE_TRY(AtLeast("faults.lease", faults->lease(), 1000));
  return AtLeast("faults.max_duration", faults->max_duration(), 1000);
}

Result<void> FillChecks(v1::ChecksConfig* checks) {
  FillEnabled(checks);
  if (checks->allowed_roots().empty()) {
    for (const char* root : {"/usr/lib/nagios/plugins", "/usr/lib/faultline/checks", "/etc/faultline/checks"}) {
      checks->add_allowed_roots(root);
    }
  }
  checks->set_concurrency(Or<uint32_t>(checks->concurrency(), 3));
  checks->set_max_output_bytes(Or<uint32_t>(checks->max_output_bytes(), 16 << 10));
  if (!checks->has_interval()) *checks->mutable_interval() = Seconds(60);
  if (!checks->has_timeout()) *checks->mutable_timeout() = Seconds(10);
  if (!checks->has_expire()) *checks->mutable_expire() = Seconds(3600);
  checks->set_keep_results(Or<uint32_t>(checks->keep_results(), 5));
  if (checks->max_output_bytes() > 64 << 10) return Wrong("checks.max_output_bytes", "must be at most 64KiB");
  if (checks->concurrency() > 64) return Wrong("checks.concurrency", "must be at most 64");
  if (checks->keep_results() > 1000) return Wrong("checks.keep_results", "must be at most 1000");
  for (const auto* list : {&checks->rules(), &checks->allowed_roots()}) {
    for (const std::string& path : *list) {
      if (path.starts_with('/')) continue;
      return Wrong(list == &checks->rules() ? "checks.rules" : "checks.allowed_roots", "`{}` is not an absolute path",
                   path);
    }
  }
  for (const auto& [name, check] : checks->builtin()) {
    if (!check.has_interval()) continue;
    FAULTLINE_TRY(AtLeast(fmt::format("checks.builtin.{}.interval", name), check.interval(), 1000));
  }
  FAULTLINE_TRY(AtLeast("checks.interval", checks->interval(), 1000));
  FAULTLINE_TRY(AtLeast("checks.expire", checks->expire(), 1000));
  return AtLeast("checks.timeout", checks->timeout(), 100);
}

Result<void> FillVerdicts(v1::VerdictsConfig* checks) {
  if (checks->flap_high_percent() == 0) checks->set_flap_high_percent(30);
  if (checks->flap_low_percent() == 0) checks->set_flap_low_percent(std::min(15.0, checks->flap_high_percent() / 2));
  if (!checks->has_expire()) *checks->mutable_expire() = Seconds(24 * 3600);
  if (!(checks->flap_high_percent() > 0) || checks->flap_high_percent() > 125) {
    return Wrong("checks.flap_high_percent", "must be a percentage");
  }
  if (!(checks->flap_low_percent() > 0) || checks->flap_low_percent() > checks->flap_high_percent()) {
    return Wrong("checks.flap_low_percent", "must be a percentage of at most flap_high_percent");
  }
  const std::string& url = checks->webhook().url();
  if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://")) {
    return Wrong("checks.webhook.url", "`{}` is neither http:// nor https://", url);
  }
  return AtLeast("checks.expire", checks->expire(), 1000);
}

Result<void> FillIngest(v1::IngestConfig* ingest, const v1::SecurityConfig& security) {
  Default(ingest->mutable_listen(), "tcp://127.0.0.1:8711");
  ingest->set_max_batch_bytes(Or<uint32_t>(ingest->max_batch_bytes(), 4 * kMiB));
  ingest->set_max_batch_decoded_bytes(Or<uint32_t>(ingest->max_batch_decoded_bytes(), 32 * kMiB));
  ingest->set_max_series_per_node(Or<uint32_t>(ingest->max_series_per_node(), 100'000));
  ingest->set_max_samples_per_s(Or<uint32_t>(ingest->max_samples_per_s(), 200'000));
  if (!ingest->has_node_timeout()) *ingest->mutable_node_timeout() = Seconds(15);
  if (ingest->max_batch_bytes() > ingest->max_batch_decoded_bytes()) {
    return Wrong("ingest.max_batch_decoded_bytes", "must not be less than ingest.max_batch_bytes");
  }
  FAULTLINE_TRY(AtLeast("ingest.node_timeout", ingest->node_timeout(), 100));
  return CheckEndpoint("ingest.listen", ingest->listen(), security);
}

}  // namespace

Result<void> FillDefaults(v1::AgentConfig* config) {
  FAULTLINE_TRY(FillNode(config));
  Default(config->mutable_state_dir(), "/var/lib/faultline/agent");
  FAULTLINE_TRY(FillHttp(config->mutable_http(), "127.0.0.1:8712", config->security()));
  FAULTLINE_TRY(FillUplink(config));
  FAULTLINE_TRY(FillCollect(config));
  Default(config->mutable_host_root(), "/");
  FillEnabled(config->mutable_containers());
  config->mutable_containers()->set_max_cgroups(
      Or<uint32_t>(config->containers().max_cgroups(), 1000));
  FillEnabled(config->mutable_processes());
  config->mutable_processes()->set_top(Or<uint32_t>(config->processes().top(), 10));
  FAULTLINE_TRY(FillLogs(config->mutable_logs()));
  FAULTLINE_TRY(FillProbes(config));
  FAULTLINE_TRY(FillFaults(config->mutable_faults()));
  FAULTLINE_TRY(FillChecks(config->mutable_checks()));
  FAULTLINE_TRY(FillLog(config->mutable_log()));
  FAULTLINE_TRY(FillOtlp(config->mutable_otlp()));
  FillEnabled(config->mutable_spool());
  config->mutable_spool()->set_max_bytes(Or<uint64_t>(config->spool().max_bytes(), 512 * kMiB));
  return {};
}

Result<void> FillDefaults(v1::AggregatorConfig* config) {
  Default(config->mutable_state_dir(), "/var/lib/faultline/aggregator");
  FAULTLINE_TRY(FillHttp(config->mutable_http(), "127.0.0.1:8710", config->security()));
  FAULTLINE_TRY(FillIngest(config->mutable_ingest(), config->security()));
  v1::StoreConfig* store = config->mutable_store();
  if (!store->has_retention()) *store->mutable_retention() = Seconds(15 * 86400);
  if (!store->has_commit_interval()) *store->mutable_commit_interval() = Milliseconds(10);
  store->set_max_series(Or<uint64_t>(store->max_series(), 2'000'000));
  FAULTLINE_TRY(AtLeast("store.retention", store->retention(), 1000));
  v1::QueryConfig* query = config->mutable_query();
  if (!query->has_timeout()) *query->mutable_timeout() = Seconds(120);
  query->set_max_samples(Or<uint64_t>(query->max_samples(), 50'000'000));
  query->set_max_series(Or<uint64_t>(query->max_series(), 500'000));
  query->set_max_read_samples(Or<uint64_t>(query->max_read_samples(), 1'000'000'000));
  query->set_max_points(Or<uint64_t>(query->max_points(), 500'000'000));
  if (!query->has_lookback()) *query->mutable_lookback() = Seconds(300);
  query->set_threads(Or<uint32_t>(query->threads(), 2));
  FAULTLINE_TRY(AtLeast("query.timeout", query->timeout(), 1));
  FAULTLINE_TRY(AtLeast("query.lookback", query->lookback(), 1));
  FAULTLINE_TRY(FillVerdicts(config->mutable_checks()));
  v1::RulesConfig* rules = config->mutable_rules();
  if (!rules->has_interval()) *rules->mutable_interval() = Seconds(60);
  if (!rules->has_resend_delay()) *rules->mutable_resend_delay() = Seconds(60);
  Default(rules->mutable_external_url(), "http://" + config->http().listen());
  FAULTLINE_TRY(AtLeast("rules.interval", rules->interval(), 100));
  v1::RemoteWriteConfig* remote = config->mutable_remote_write();
  remote->set_max_queued_samples(Or<uint64_t>(remote->max_queued_samples(), 1'000'000));
  remote->set_max_samples_per_send(Or<uint32_t>(remote->max_samples_per_send(), 2000));
  if (!remote->has_batch_deadline()) *remote->mutable_batch_deadline() = Seconds(1);
  if (!remote->has_timeout()) *remote->mutable_timeout() = Seconds(30);
  return FillLog(config->mutable_log());
}

}  // namespace faultline
