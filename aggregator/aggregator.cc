#include "aggregator/aggregator.h"

#include <google/protobuf/util/time_util.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "aggregator/alerts/rule_engine.h"
#include "aggregator/api/http_server.h"
#include "aggregator/checks/change_sender.h"
#include "aggregator/checks/check_runs.h"
#include "aggregator/checks/checks.h"
#include "aggregator/checks/rules_push.h"
#include "aggregator/diagnosis/diagnosis.h"
#include "aggregator/experiments/experiments.h"
#include "aggregator/experiments/workflows.h"
#include "aggregator/fleet.h"
#include "aggregator/ingest.h"
#include "aggregator/labels/ground_truth.h"
#include "aggregator/http_client.h"
#include "aggregator/objects/objects.h"
#include "aggregator/query/series_source.h"
#include "aggregator/remote_writer.h"
#include "aggregator/store/store.h"
#include "common/log.h"
#include "common/self_metrics.h"
#include "common/token.h"
#include "common/zmq_transport.h"

namespace faultline {
namespace {

int64_t Ns(const google::protobuf::Duration& duration) {
  return google::protobuf::util::TimeUtil::DurationToNanoseconds(duration);
}

ChecksOptions ChecksOptionsOf(const v1::AggregatorConfig& config) {
  ChecksOptions options;
  options.verdict.flap_high_percent = config.checks().flap_high_percent();
  options.verdict.flap_low_percent = config.checks().flap_low_percent();
  options.verdict.expire_ns = Ns(config.checks().expire());
  options.ready_grace_ns = 2 * Ns(config.ingest().node_timeout());
  return options;
}

Result<std::unique_ptr<ChangeSender>> MakeWebhook(const v1::AggregatorConfig& config, Store* store,
                                                  SelfMetrics* metrics) {
  const v1::WebhookConfig& webhook = config.checks().webhook();
  if (webhook.url().empty()) return std::unique_ptr<ChangeSender>();
  std::string token;
  if (!webhook.token_file().empty()) {
    FAULTLINE_ASSIGN(token, ReadTokenFile("checks.webhook.token_file", webhook.token_file()));
  }
  HttpCall call;
  call.url = webhook.url();
  call.timeout_ns = 5 * kNsPerSecond;
  call.headers = {{"Content-Type", "application/json"}};
  if (!token.empty()) call.headers.emplace_back("Authorization", "Bearer " + token);
  if (auto fits = CheckHttpUrl(call.url); !fits) return Within("checks.webhook.url", fits.error());
  const auto post = [call](const std::string& body) -> Result<void> {
    HttpCall change = call;
    change.body = body;
    FAULTLINE_ASSIGN(const HttpAnswer answer, CallHttp(change));
    if (answer.status >= 200 && answer.status <= 299) return {};
    return Fail(ErrorCode::kUnavailable, "POST {}: HTTP status {}", change.url, answer.status);
  };
  return std::make_unique<ChangeSender>(post, store, metrics);
}

Result<void> LoadPriorities(const v1::AggregatorConfig& config, Checks& checks) {
  const std::string& file = config.checks().priorities();
  if (file.empty()) return {};
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && !in.eof()) return FailErrno(errno, "checks.priorities: reading {}", file);
  if (auto set = checks.SetPriorities(text, file); !set) return Within("checks.priorities", set.error());
  return {};
}

}  // namespace

struct Aggregator::Parts {
  SystemClock clock;
  SelfMetrics metrics;
  std::vector<std::unique_ptr<RemoteWriter>> remote_writers;  // outlives the store, whose threads feed it
  std::unique_ptr<Store> store;
  std::unique_ptr<Fleet> fleet;
  std::unique_ptr<GroundTruth> ground_truth;
  std::unique_ptr<Objects> objects;
  std::unique_ptr<CheckRunner> status_checks;
  std::unique_ptr<Experiments> experiments;
  std::unique_ptr<Workflows> workflows;
  std::unique_ptr<Diagnoser> diagnoser;
  std::unique_ptr<ChangeSender> webhook;
  std::unique_ptr<Checks> checks;
  std::unique_ptr<RulesPush> rules_push;
  std::unique_ptr<CheckRuns> check_runs;
  std::unique_ptr<alerts::Notifier> notifier;
  std::unique_ptr<alerts::RuleEngine> rules;
  ApiContext context;
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<Ingest> ingest;

  // Housekeeping: retention and the store's figures.
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::atomic<int64_t> retention_ns = 0;
  std::thread keeper;

  void Keep();
  void ExportStats();
  Result<void> StartRemoteWrite(const v1::RemoteWriteConfig& config);
  Result<void> LoadRules(const v1::AggregatorConfig& config);
};

Result<void> Aggregator::Parts::StartRemoteWrite(const v1::RemoteWriteConfig& config) {
  for (const std::string& endpoint : config.endpoint()) {
    if (auto checked = CheckHttpUrl(endpoint); !checked) return Within("remote_write.endpoint", checked.error());
    remote_writers.push_back(std::make_unique<RemoteWriter>(
        RemoteWriterOptions{.endpoint = endpoint,
                            .max_queued_samples = config.max_queued_samples(),
                            .max_samples_per_send = config.max_samples_per_send(),
                            .batch_deadline_ns = Ns(config.batch_deadline()),
                            .timeout_ns = Ns(config.timeout())},
        store.get(), &metrics));
  }
  if (remote_writers.empty()) return {};
  store->Observe([this](std::vector<AppendBatch::SampleRow>&& samples) {
    for (const auto& writer : remote_writers) writer->Add(samples);
  });
  return {};
}

Result<void> Aggregator::Parts::LoadRules(const v1::AggregatorConfig& config) {
  const v1::RulesConfig& from = config.rules();
  for (const std::string& address : from.alertmanagers()) {
    if (auto checked = CheckHttpUrl(address); !checked) return Within("rules.alertmanagers", checked.error());
  }
  notifier = std::make_unique<alerts::Notifier>(
      std::vector<std::string>(from.alertmanagers().begin(), from.alertmanagers().end()), &metrics);
  alerts::RuleWorld world;
  world.store = store.get();
  world.make_source = [this] {
    return promql::MakeSeriesSource(store.get(), [truth = ground_truth.get()](int64_t begin_ns, int64_t end_ns) {
      return truth->Between(begin_ns, end_ns);
    });
  };
  world.query.max_samples = config.query().max_samples();
  world.query.max_series = config.query().max_series();
  world.query.max_read_samples = config.query().max_read_samples();
  world.query.max_points = config.query().max_points();
  world.query.lookback_ms = Ns(config.query().lookback()) / kNsPerMs;
  world.query.clock = &clock;
  world.default_interval_ms = Ns(from.interval()) / kNsPerMs;
  world.resend_delay_ms = Ns(from.resend_delay()) / kNsPerMs;
  world.external_url = from.external_url();
  for (const auto& [name, value] : from.external_labels()) world.external_labels.emplace_back(name, value);
  SortLabels(world.external_labels);
  rules = std::make_unique<alerts::RuleEngine>(std::move(world), notifier.get(), &metrics, &clock);
  return rules->Load({from.files().begin(), from.files().end()});
}

void Aggregator::Parts::ExportStats() {
  const StoreStats stats = store->Stats();
  const auto set = [&](const char* name, const char* help, uint64_t value) {
    metrics.GetGauge(name, help).Set(static_cast<double>(value));
  };
  set("faultline_store_series", "Series in the index.", stats.series);
  set("faultline_store_active_series", "Series with samples in memory.", stats.active_series);
  set("faultline_store_samples_appended", "Samples taken since start.", stats.samples_appended);
  set("faultline_store_samples_rejected", "Samples refused by the store since start.", stats.samples_rejected);
  set("faultline_store_log_records", "Log records taken since start.", stats.log_records);
  set("faultline_store_log_duplicates", "Log records that were there already.", stats.log_duplicates);
  set("faultline_store_bytes", "Bytes on disk.", stats.bytes_on_disk);
  set("faultline_store_commits", "Synced commits since start.", stats.commits);
  size_t up = 0;
  const auto nodes = fleet->Nodes();
  for (const NodeState& node : nodes) up += node.up ? 1 : 0;
  set("faultline_nodes", "Nodes ever seen.", nodes.size());
  set("faultline_nodes_up", "Nodes that gave a sign of life lately.", up);
}

void Aggregator::Parts::Keep() {
  constexpr int64_t kRetainEveryNs = 600 * kNsPerSecond;
  int64_t retain_at = clock.SteadyNs() + kRetainEveryNs;
  std::unique_lock lock(mutex);
  while (!stopping) {
    wake.wait_for(lock, std::chrono::seconds(1), [&] { return stopping; });
    lock.unlock();
    ExportStats();
    if (clock.SteadyNs() >= retain_at) {
      retain_at = clock.SteadyNs() + kRetainEveryNs;
      if (auto kept = store->Retain(clock.UnixNs() - retention_ns); !kept) {
        spdlog::error("retention: {}", kept.error().message);
      }
    }
    lock.lock();
  }
}

Aggregator::Aggregator(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Aggregator::~Aggregator() { Stop(); }

Result<std::unique_ptr<Aggregator>> Aggregator::Start(const v1::AggregatorConfig& config) {
  std::unique_ptr<Aggregator> aggregator(new Aggregator(std::make_unique<Parts>()));
  Parts& parts = *aggregator->parts_;
  std::error_code error;
  std::filesystem::create_directories(config.state_dir(), error);
  if (error) return Fail(ErrorCode::kUnavailable, "state_dir {}: {}", config.state_dir(), error.message());

  StoreOptions store;
  store.folder = config.state_dir() + "/store";
  store.retention_ns = Ns(config.store().retention());
  store.commit_interval_ns = Ns(config.store().commit_interval());
  store.max_series = config.store().max_series();
  parts.retention_ns = store.retention_ns;
  FAULTLINE_ASSIGN(parts.store, OpenRocksDbStore(store, &parts.clock));

  parts.fleet = std::make_unique<Fleet>(&parts.clock, Ns(config.ingest().node_timeout()));
  parts.ground_truth = std::make_unique<GroundTruth>(parts.store.get());
  FAULTLINE_TRY(parts.ground_truth->Load());
  parts.objects = std::make_unique<Objects>(parts.store.get(), &parts.clock);
  FAULTLINE_TRY(parts.objects->Load());
  parts.experiments = std::make_unique<Experiments>(parts.objects.get(), parts.fleet.get(),
                                                    parts.ground_truth.get(), &parts.clock);
  parts.status_checks = std::make_unique<CheckRunner>(parts.store.get(), &parts.clock);
  parts.experiments->UseChecks(parts.status_checks.get());
  parts.workflows = std::make_unique<Workflows>(parts.objects.get(), parts.status_checks.get(), &parts.clock);
  parts.diagnoser = std::make_unique<Diagnoser>(parts.store.get(), parts.ground_truth.get(), &parts.clock);
  FAULTLINE_TRY(parts.LoadRules(config));
  FAULTLINE_TRY(parts.StartRemoteWrite(config.remote_write()));

  parts.checks = std::make_unique<Checks>(parts.store.get(), parts.fleet.get(), &parts.metrics, &parts.clock,
                                          ChecksOptionsOf(config));
  FAULTLINE_TRY(LoadPriorities(config, *parts.checks));
  FAULTLINE_ASSIGN(parts.webhook, MakeWebhook(config, parts.store.get(), &parts.metrics));
  if (parts.webhook) {
    FAULTLINE_TRY(parts.webhook->Load());
    parts.checks->AddListener([&parts](const std::string& node, const v1::HealthChange& change,
                                       const ConditionPriority& priority) {
      parts.webhook->Add(ChangeJson(node, change, priority));
    });
  }
  // What it finds in the store may be a change already.
  FAULTLINE_TRY(parts.checks->Load());
  parts.rules_push = std::make_unique<RulesPush>(parts.objects.get(), parts.store.get(), parts.fleet.get(), &parts.clock);
  FAULTLINE_TRY(parts.rules_push->Load());
  parts.check_runs = std::make_unique<CheckRuns>(parts.objects.get(), parts.fleet.get(), &parts.clock);

  ZmqServerOptions server;
  server.listen = config.ingest().listen();
  server.keys = config.security().keys();
  Counter& refused = parts.metrics.GetCounter("faultline_ingest_refused_connections_total",
                                              "Connections refused for an unknown key.");
  server.on_refused = [&refused](const std::string&) { refused.Add(); };
  FAULTLINE_ASSIGN(auto transport, MakeZmqServer(server));
  IngestOptions ingest;
  ingest.max_batch_bytes = config.ingest().max_batch_bytes();
  ingest.max_batch_decoded_bytes = config.ingest().max_batch_decoded_bytes();
  ingest.max_series_per_node = config.ingest().max_series_per_node();
  ingest.max_samples_per_s = config.ingest().max_samples_per_s();
  parts.ingest = std::make_unique<Ingest>(
      std::move(transport), parts.store.get(), parts.fleet.get(), &parts.metrics, &parts.clock, ingest,
      IngestListeners{.on_transition = [&parts](const std::string& node, const v1::FaultTransition& transition,
                                                int64_t clock_offset_ns) {
        parts.ground_truth->Apply(node, transition, clock_offset_ns);
        parts.experiments->OnTransition(node, transition);
      },
                      .on_check = [&parts](const std::string& node, const v1::CheckResult& result) {
        parts.checks->OnResult(node, result);
      }});

  parts.context.store = parts.store.get();
  parts.context.fleet = parts.fleet.get();
  parts.context.objects = parts.objects.get();
  parts.context.ground_truth = parts.ground_truth.get();
  parts.context.experiments = parts.experiments.get();
  parts.context.diagnoser = parts.diagnoser.get();
  parts.context.checks = parts.checks.get();
  parts.context.rules = parts.rules.get();
  parts.context.notifier = parts.notifier.get();
  parts.context.self_metrics = &parts.metrics;
  parts.context.clock = &parts.clock;
  parts.context.max_samples = config.query().max_samples();
  parts.context.max_query_series = config.query().max_series();
  parts.context.max_read_samples = config.query().max_read_samples();
  parts.context.max_points = config.query().max_points();
  parts.context.query_threads = config.query().threads();
  parts.context.snapshots_folder = config.state_dir() + "/snapshots";
  parts.context.lookback_ms = Ns(config.query().lookback()) / kNsPerMs;
  parts.context.ready = [] { return true; };
  HttpServerOptions http;
  http.listen = config.http().listen();
  http.tls_certificate = config.http().tls_certificate();
  http.tls_key = config.http().tls_key();
  http.tokens = config.security().tokens();
  http.max_body_bytes = config.http().max_body_bytes();
  http.request_timeout_ms = Ns(config.query().timeout()) / kNsPerMs;

  parts.experiments->Start();
  if (parts.webhook) parts.webhook->Start();
  parts.checks->Start();
  parts.rules_push->Start();
  parts.check_runs->Start();
  parts.workflows->Start();
  parts.ingest->Start();
  parts.rules->Start();
  FAULTLINE_ASSIGN(parts.http, HttpServer::Start(http, RouteCatalogue(), &parts.context));
  parts.keeper = std::thread([&parts] { parts.Keep(); });
  return aggregator;
}

void Aggregator::Reload(const v1::AggregatorConfig& config) {
  parts_->retention_ns = Ns(config.store().retention());
  spdlog::set_level(config.log().level().empty() ? spdlog::level::info
                                                 : spdlog::level::from_str(config.log().level()));
  if (auto loaded = LoadPriorities(config, *parts_->checks); !loaded) spdlog::error("the old priorities stay: {}", loaded.error().message);
  const auto& files = config.rules().files();
  if (auto loaded = parts_->rules->Load({files.begin(), files.end()}); !loaded) {
    spdlog::error("the old rules stay: {}", loaded.error().message);
  }
  spdlog::info(
      "configuration reloaded: store.retention, rules.files, checks.priorities and log.level; other keys take effect at the next start");
}

void Aggregator::Stop() {
  Parts& parts = *parts_;
  if (parts.http) parts.http->Stop();
  if (parts.workflows) parts.workflows->Stop();
  if (parts.experiments) parts.experiments->Stop();
  if (parts.check_runs) parts.check_runs->Stop();
  if (parts.rules_push) parts.rules_push->Stop();
  if (parts.ingest) parts.ingest->Stop();
  if (parts.checks) parts.checks->Stop();
  if (parts.webhook) parts.webhook->Stop();
  if (parts.rules) parts.rules->Stop();
  if (parts.notifier) parts.notifier->Stop();
  for (const auto& writer : parts.remote_writers) writer->Stop();
  {
    const std::lock_guard lock(parts.mutex);
    parts.stopping = true;
  }
  parts.wake.notify_all();
  if (parts.keeper.joinable()) parts.keeper.join();
}

std::string Aggregator::http_address() const { return parts_->http->address(); }
std::string Aggregator::ingest_endpoint() const { return parts_->ingest->endpoint(); }

}  // namespace faultline
