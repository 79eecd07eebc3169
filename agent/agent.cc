#include "agent/agent.h"

#include <google/protobuf/stubs/logging.h>

#include <boost/json.hpp>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <thread>

#include "agent/batch_printer.h"
#include "agent/checks/builtin/check.h"
#include "agent/checks/contracts/contract.h"
#include "agent/containers/cgroup_mounts.h"
#include "agent/faults/network_addresses.h"
#include "agent/logs/log_leaves.h"
#include "agent/logs/log_parser.h"
#include "agent/logs/text_parser.h"
#include "agent/own_metrics.h"
#include "agent/probes/probe.h"
#include "common/log.h"
#include "common/loopback.h"
#include "common/text.h"
#include "common/version.h"
#include "common/zmq_transport.h"

namespace faultline {
namespace {

// Slots of the loop's one-shot timers.
enum Slot { kFlushSlot, kUplinkSlot, kStopSlot };

constexpr int64_t kFlushWithinNs = 50 * kNsPerMs;
constexpr int64_t kInventoryNs = 10 * kNsPerSecond;
constexpr int64_t kTidyNs = 60 * kNsPerSecond;
constexpr int64_t kLogsTidyNs = 3600 * kNsPerSecond;  // by then every log file that there is has been found
constexpr int64_t kShutdownNs = 3 * kNsPerSecond;
constexpr int64_t kWakeRestNs = 10 * kNsPerMs;  // a busy descriptor is read in portions of that
constexpr int64_t kOnceNs = 15 * kNsPerSecond;

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

std::string OsName(const HostView& host) {
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    const auto text = host.fs.Read(path);
    if (!text) continue;
    std::string_view rest = *text, line;
    while (NextLine(rest, line)) {
      constexpr std::string_view kKey = "PRETTY_NAME=";
      if (!line.starts_with(kKey)) continue;
      std::string_view name = Trim(line.substr(kKey.size()));
      if (name.size() >= 2 && name.front() == '"') name = name.substr(1, name.size() - 2);
      return std::string(name);
    }
  }
  return "";
}

int64_t MemoryBytes(const HostView& host) {
  const auto text = host.fs.Read("/proc/meminfo");
  if (!text) return 0;
  std::string_view rest = *text;
  NextWord(rest);
  return static_cast<int64_t>(ParseUint(NextWord(rest)).value_or(0)) * 1024;
}

// Changes when a container comes or goes; their processes come and go all the time.
uint64_t Fingerprint(const std::vector<ContainerIdentity>& containers) {
  uint64_t sum = containers.size();
  for (const ContainerIdentity& container : containers) {
    sum += std::hash<std::string>{}(container.container_id + '\n' + container.cgroup_path + '\n' +
                                    container.pod + '\n' + std::to_string(container.cgroup_id));
  }
  return sum;
}

void AddCatalogues(CollectorHost& host, const std::function<bool(const CollectorRow&)>& wanted) {
  for (const CollectorRow& row : CollectorCatalogue()) {
    if (wanted(row)) host.Add("collector", row);
  }
  for (const CollectorRow& row : ProbeCatalogue()) {
    if (wanted(row)) host.Add("probe", row);
  }
}

}  // namespace

Agent::Agent() = default;

Agent::~Agent() {
  // Against the stream: nobody may call what is gone.
  http_.reset();
  otlp_.reset();
  CloseLeaves();
  collector_host_.reset();
  uplink_.reset();
  checks_.reset();
  faults_.reset();
  pipeline_.reset();
  transport_.reset();
  spool_.reset();
}

Result<std::unique_ptr<Agent>> Agent::Create(const v1::AgentConfig& config, ReadConfig reread) {
  auto agent = std::unique_ptr<Agent>(new Agent);
  agent->config_ = std::make_shared<const v1::AgentConfig>(config);
  FAULTLINE_TRY(agent->Assemble(std::move(reread)));
  return agent;
}

Result<void> Agent::Assemble(ReadConfig reread) {
  reread_ = std::move(reread);
  // What does not parse is reported where it is taken, at a limited rate.
  google::protobuf::SetLogHandler(nullptr);
  host_ = std::make_shared<const HostView>(HostView::Real(config_->host_root(), &clock_));
  if (config_->containers().enabled()) {
    containers_config_ = config_;
    auto index = ContainerIndex::Create(*host_, *containers_config_);
    if (index) {
      containers_ = *std::move(index);
      (void)containers_->Refresh();
    } else {
      spdlog::warn("containers are not seen: {}", index.error().message);
    }
  }
  SpoolOptions spool{.folder = config_->state_dir() + "/spool", .max_bytes = config_->spool().max_bytes(),
                     .log_window_bytes = config_->logs().window_bytes(), .clock = &clock_};
  if (!config_->spool().enabled()) spool.folder.clear();
  FAULTLINE_ASSIGN(spool_, Spool::Open(spool));
  PipelineOptions pipeline;
  pipeline.max_series = config_->collect().max_series();
  // A small spool must not have to drop a batch for the next one.
  pipeline.max_batch_bytes =
      std::min<size_t>(pipeline.max_batch_bytes, std::max<size_t>(config_->spool().max_bytes() / 4, size_t{16} << 10));
  pipeline.seed = std::random_device{}();
  pipeline.want_flush = [this] {
    loop_.After(kFlushSlot, kFlushWithinNs, [this] { pipeline_->Flush(); });
  };
  pipeline_ = std::make_unique<Pipeline>(std::move(pipeline), &clock_, spool_.get(), containers_.get());
  faults_ = std::make_unique<FaultControl>(
      *config_, *host_, containers_ == nullptr ? CgroupMounts() : containers_->mounts(), &pipeline_->Leaf("faults"),
      [this](std::function<void()> work) { loop_.Post(std::move(work)); });
  faults_->Start();
  if (config_->uplink().enabled()) FAULTLINE_TRY(OpenUplink());
  OpenChecks();
  OpenLeaves();
  return OpenHttp();
}

Result<void> Agent::OpenUplink() {
  FAULTLINE_ASSIGN(ZmqClientOptions client, ClientKeys(config_->security().keys(), config_->node()));
  client.endpoints.assign(config_->uplink().endpoint().begin(), config_->uplink().endpoint().end());
  FAULTLINE_ASSIGN(transport_, MakeZmqClient(client));
  UplinkOptions options;
  options.node = config_->node();
  options.version = Version();
  options.boot_id = host_->boot_id;
  options.reconnect_max_ns = ToNs(config_->uplink().reconnect_max());
  options.seed = std::random_device{}();
  uplink_ = std::make_unique<Uplink>(std::move(options), &clock_, transport_.get(), spool_.get(), &commands_);
  uplink_->OnHeartbeatReply([this] { faults_->RenewLease(); });
  spool_->OnPut([this] { loop_.After(kUplinkSlot, 0, [this] { StepUplink(); }); });
  return {};
}

Result<void> Agent::OpenHttp() {
  const std::string& listen = config_->http().listen();
  if (!IsLoopback(listen)) {
    return Fail(ErrorCode::kInvalidArgument, "http.listen: {} is not this machine's own address", listen);
  }
  AgentHttp::Options options;
  options.listen = listen;
  AgentHttp::Pages& pages = options.pages;
  pages["/metrics"] = [this] {
    return Page{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = pipeline_->RenderMetrics()};
  };
  pages["/healthz"] = [] { return Page{.body = "ok\n"}; };
  pages["/readyz"] = [this] { return ReadyPage(); };
  pages["/debug/leaves"] = [this] { return LeavesPage(); };
  auto http = AgentHttp::Start(&loop_, std::move(options));
  if (!http) return Within("http.listen", http.error());
  http_ = *std::move(http);
  spdlog::info("http on {}", http_->address());
  if (config_->otlp().listen().empty()) return {};
  FAULTLINE_ASSIGN(otlp_, OtlpReceiver::Start(config_->otlp(), &loop_, &clock_, [this](v1::OtlpRequest&& request, uint64_t items) {
                     return pipeline_->Forward("otlp", std::move(request), items);
                   }));
  spdlog::info("OTLP on {}", otlp_->address());
  return {};
}

void Agent::OpenChecks() {
  checks_ = std::make_unique<CheckControl>(
      *config_, containers_ == nullptr ? ReadCgroupMounts(host_->fs).value_or(CgroupMounts()) : containers_->mounts(),
      &pipeline_->Leaf("checks"), [this](std::function<void()> work) { loop_.Post(std::move(work)); });
  checks_->Start();
}

void Agent::OpenLeaves() {
  auto post = [this](std::function<void()> work) { loop_.Post(std::move(work)); };
  collector_host_ = std::make_unique<CollectorHost>(host_, config_, containers_.get(), pipeline_.get(), post);
  AddCatalogues(*collector_host_, [](const CollectorRow&) { return true; });
  collector_host_->AddMade("collector", "own", "what the agent says about itself", false,
                           MakeOwnMetrics({.pipeline = pipeline_.get(),
                                           .spool = spool_.get(),
                                           .uplink = uplink_.get(),
                                           .containers = containers_.get(),
                                           .version = std::string(Version())}));
  const auto warn = [](const Result<void>& done) {
    if (!done && LogAllowed("log positions")) spdlog::warn("{}", done.error().message);
  };
  const LogPositions log_positions{.find = [this](uint64_t file_id) -> std::optional<uint64_t> {
                                     if (!spool_->IsKnownLog(file_id)) return std::nullopt;
                                     return spool_->LogPosition(file_id);
                                   },
                                   .skip = [this, warn](uint64_t file_id, uint64_t position) {
                                     warn(spool_->SkipLog(file_id, position));
                                   },
                                   .forget = [this, warn](uint64_t file_id) { warn(spool_->ForgetLog(file_id)); },
                                   .in_backlog = [this](uint64_t file_id) { return spool_->InBacklog(file_id); },
                                   .note_unread = [this, warn](const std::vector<UnreadLog>& logs) {
                                     warn(spool_->NoteUnreadLogs(logs));
                                   },
                                   .unread = [this] { return spool_->UnreadLogs(); }};
  LogObserver* const observers[] = {checks_.get()};
  for (LogLeaf& leaf : MakeLogLeaves(*host_, config_->logs(), log_positions, observers)) {
    collector_host_->AddMade("logs", leaf.name, leaf.doc, false, std::move(leaf.made));
  }
  if (checks_->WhyOff().empty()) {
    collector_host_->AddMade("checks", "checks", "what checks found, as series", false, checks_->MakeSeries());
  }
  collector_host_->OnIdle([this] { pipeline_->Flush(); });
  for (const CollectorHost::Waker& waker : collector_host_->Wakers()) {
    wakers_.push_back(loop_.Watch(waker.fd, kWakeRestNs,
                                  [this, leaf = waker.leaf] { collector_host_->Wake(leaf); }));
  }
  inventory_at_ns_ = 0;
  if (uplink_ != nullptr) uplink_->SetCapabilities(Capabilities());
}

// Once in a run: positions of files that went while the agent was away.
void Agent::TidyLogs() {
  logs_tidy_at_ns_ = INT64_MAX;
  if (!config_->logs().enabled()) return;
  const auto gone = spool_->ForgetUnusedLogs();
  if (!gone) {
    spdlog::warn("{}", gone.error().message);
  } else if (*gone > 0) {
    spdlog::info("positions in {} log files that are gone were forgotten", *gone);
  }
}

std::vector<std::string> Agent::Capabilities() const {
  std::vector<std::string> capabilities;
  for (const LeafReport& report : collector_host_->Leaves()) {
    if (report.running) capabilities.push_back(report.kind + "/" + report.name);
  }
  for (const std::string& name : faults_->Names()) capabilities.push_back("fault/" + name);
  if (checks_->WhyOff().empty()) {
    for (const CheckRow& row : CheckCatalogue()) capabilities.push_back("check/" + std::string(row.name));
  }
  return capabilities;
}

void Agent::CloseLeaves() {
  for (const int watch : wakers_) loop_.Unwatch(watch);
  wakers_.clear();
}

void Agent::Schedule() {
  loop_.EveryAligned(collector_host_->tick_ns(), &clock_, [this] { Tick(); });
}

void Agent::Run() {
  loop_.OnSignal(SIGTERM, [this] { Shutdown(kShutdownNs); });
  loop_.OnSignal(SIGINT, [this] { Shutdown(kShutdownNs); });
  loop_.OnSignal(SIGHUP, [this] { Reload(); });
  Schedule();
  StepUplink();
  spdlog::info("agent {} of node {} runs", Version(), config_->node());
  loop_.Run();
}

void Agent::Tick() {
  if (stopping_) return;
  RefreshContainers();
  const bool idle = collector_host_->Tick();
  const int64_t now = clock_.SteadyNs();
  if (now >= inventory_at_ns_) EmitInventory();
  if (now >= tidy_at_ns_) {
    tidy_at_ns_ = now + kTidyNs;
    pipeline_->Tidy();
    if (logs_tidy_at_ns_ == 0) logs_tidy_at_ns_ = now + kLogsTidyNs;
    if (now >= logs_tidy_at_ns_) TidyLogs();
  }
  ++ticks_;
  // Leaves with threads are mostly done some milliseconds later: one batch for all, if they are.
  if (idle) {
    pipeline_->Flush();
  } else {
    loop_.After(kFlushSlot, kFlushWithinNs, [this] { pipeline_->Flush(); });
  }
}

void Agent::RefreshContainers() {
  if (containers_ == nullptr) return;
  if (const auto done = containers_->Refresh(); !done && LogAllowed("containers")) {
    spdlog::warn("containers: {}", done.error().message);
  }
  const uint64_t fingerprint = Fingerprint(containers_->containers());
  if (fingerprint != inventory_hash_) inventory_at_ns_ = 0;
  inventory_hash_ = fingerprint;
  faults_->Containers(*containers_);
}

void Agent::EmitInventory() {
  inventory_at_ns_ = clock_.SteadyNs() + kInventoryNs;
  v1::Inventory inventory;
  if (containers_ != nullptr) inventory = containers_->Inventory();
  checks_->SetContainers(inventory);
  inventory.set_time_unix_ns(clock_.UnixNs());
  for (v1::ContainerInfo& container : *inventory.mutable_containers()) {
    if (container.pids_size() == 0) continue;
    const auto addresses = AddressesOfProcess(*host_, container.pids(0));
    if (addresses.empty()) continue;
    v1::Label* label = container.add_labels();
    label->set_name("faultline.io/addresses");
    label->set_value(fmt::format("{}", fmt::join(addresses, ",")));
  }
  auto& facts = *inventory.mutable_facts();
  facts["agent_version"] = Version();
  facts["boot_id"] = host_->boot_id;
  facts["kernel"] = host_->fs.ReadTrimmed("/proc/sys/kernel/osrelease").value_or("");
  facts["os"] = OsName(*host_);
  facts["cpus"] = std::to_string(std::thread::hardware_concurrency());
  facts["memory_bytes"] = std::to_string(MemoryBytes(*host_));
  for (const LeafReport& report : collector_host_->Leaves()) {
    v1::LeafStatus* status = inventory.add_leaves();
    status->set_kind(report.kind);
    status->set_name(report.name);
    status->set_running(report.running);
    status->set_reason(report.reason);
  }
  const std::string why_off = faults_->WhyOff();
  for (const FaultRow& row : FaultCatalogue()) {
    v1::LeafStatus* status = inventory.add_leaves();
    status->set_kind("fault");
    status->set_name(std::string(row.name));
    status->set_running(why_off.empty());
    status->set_reason(why_off);
  }
  pipeline_->Leaf("agent").Inventory(std::move(inventory));
}

void Agent::StepUplink() {
  if (uplink_ == nullptr) return;
  const int64_t next_ns = uplink_->Step();
  // A reconnect makes a new descriptor, perhaps with the old number.
  const uint64_t epoch = uplink_->counters().reconnects + 1;
  if (uplink_watch_epoch_ != epoch) {
    uplink_watch_epoch_ = epoch;
    loop_.Unwatch(uplink_watch_);
    uplink_watch_ = loop_.Watch(transport_->fd(), 0, [this] { StepUplink(); });
  }
  if (stopping_ && (spool_->batches() == 0 || !uplink_->connected())) return loop_.Stop();
  const int64_t wait_ns = std::max<int64_t>(next_ns - clock_.SteadyNs(), kNsPerMs);
  loop_.After(kUplinkSlot, wait_ns, [this] { StepUplink(); });
}

void Agent::Reload() {
  const auto fresh = reread_ ? reread_() : Fail(ErrorCode::kUnsupported, "no configuration to read");
  if (!fresh) {
    spdlog::error("the old configuration stays: {}", fresh.error().message);
    return;
  }
  config_ = std::make_shared<const v1::AgentConfig>(*fresh);
  CloseLeaves();
  checks_->Stop();
  const std::unique_ptr<CheckControl> old_checks = std::move(checks_);  // the old leaves refer to it
  const std::unique_ptr<CollectorHost> old = std::move(collector_host_);
  // What was read of log files must be in the spool before new readers ask for it.
  pipeline_->Flush();
  OpenChecks();
  OpenLeaves();
  old->EndMissing(*collector_host_);
  Schedule();
  spdlog::info("configuration read again: leaves are made anew; other parts keep theirs until a restart");
}

void Agent::Shutdown(int64_t deadline_ns) {
  if (stopping_) return loop_.Stop();
  stopping_ = true;
  spdlog::info("stopping: {} batches in the spool", spool_->batches());
  CloseLeaves();
  checks_->Stop();
  faults_->Stop();
  pipeline_->Flush();
  loop_.After(kStopSlot, deadline_ns, [this] { loop_.Stop(); });
  // After the last transitions, which Stop has posted.
  loop_.Post([this] {
    if (uplink_ == nullptr) return loop_.Stop();
    StepUplink();
  });
}

Page Agent::LeavesPage() const {
  boost::json::array leaves;
  for (const LeafReport& report : collector_host_->Leaves()) {
    leaves.push_back({{"kind", report.kind},
                      {"name", report.name},
                      {"doc", report.doc},
                      {"running", report.running},
                      {"success", report.success},
                      {"reason", report.reason},
                      {"own_thread", report.has_thread},
                      {"period_ms", report.period_ms},
                      {"last_duration_seconds", report.last_duration_seconds},
                      {"passes", report.passes},
                      {"failures", report.failures},
                      {"no_data", report.no_data}});
  }
  return {.content_type = "application/json",
          .body = boost::json::serialize(boost::json::object{{"leaves", std::move(leaves)}}) + "\n"};
}

Page Agent::ReadyPage() const {
  if (ticks_ == 0) return {.status = 503, .body = "no pass yet\n"};
  const bool connected = uplink_ != nullptr && uplink_->connected();
  std::string body = fmt::format("ready\nuplink {}\n", uplink_ == nullptr ? "off" : connected ? "connected" : "away");
  if (uplink_ != nullptr && !uplink_->last_refusal().empty()) body += uplink_->last_refusal() + "\n";
  return {.body = std::move(body)};
}

Result<void> Agent::RunOnce(const v1::AgentConfig& config, const std::vector<std::string>& only,
                            std::FILE* out) {
  static const SystemClock kClock;  // a leaf's thread may outlive us
  const auto shared_config = std::make_shared<const v1::AgentConfig>(config);
  const auto host = std::make_shared<const HostView>(HostView::Real(config.host_root(), &kClock));
  EventLoop loop;
  std::unique_ptr<ContainerIndex> containers;
  if (config.containers().enabled()) {
    if (auto index = ContainerIndex::Create(*host, config)) containers = *std::move(index);
    if (containers != nullptr) (void)containers->Refresh();
  }
  BatchPrinter printer(out);
  PipelineOptions options;
  options.max_series = config.collect().max_series();
  Pipeline pipeline(std::move(options), &kClock, &printer, containers.get());
  CollectorHost leaves(host, shared_config, containers.get(), &pipeline,
                       [&loop](std::function<void()> work) { loop.Post(std::move(work)); });
  const auto named = [&](const CollectorRow& row) {
    return only.empty() || std::find(only.begin(), only.end(), row.name) != only.end();
  };
  AddCatalogues(leaves, named);
  for (const std::string& name : only) {
    const auto reports = leaves.Leaves();
    const auto at = std::find_if(reports.begin(), reports.end(),
                                 [&](const LeafReport& report) { return report.name == name; });
    if (at == reports.end()) return Fail(ErrorCode::kNotFound, "--only: there is no leaf '{}'", name);
    if (!at->running) return Fail(ErrorCode::kUnsupported, "{} {}: {}", at->kind, name, at->reason);
  }
  leaves.OnIdle([&loop] { loop.Stop(); });
  if (!leaves.Tick()) {
    loop.After(kStopSlot, kOnceNs, [&loop] { loop.Stop(); });
    loop.Run();
  }
  pipeline.Flush();
  return {};
}

std::vector<std::string_view> CollectorNames() {
  std::vector<std::string_view> names = {"own"};
  for (const CollectorRow& row : CollectorCatalogue()) names.push_back(row.name);
  return names;
}

std::vector<std::string_view> FaultNames() {
  std::vector<std::string_view> names = {"*"};  // all; a few must be named besides
  for (const FaultRow& row : FaultCatalogue()) names.push_back(row.name);
  return names;
}

std::vector<std::string_view> CheckNames() {
  std::vector<std::string_view> names = {"kernel_log"};
  for (const CheckRow& row : CheckCatalogue()) names.push_back(row.name);
  return names;
}

std::string ListCatalogues() {
  std::string text;
  const auto add = [&text](std::string_view title, std::span<const CollectorRow> rows) {
    text += fmt::format("{}:\n", title);
    for (const CollectorRow& row : rows) {
      text += fmt::format("  {:24} {}{}\n", row.name, row.doc, row.on_by_default ? "" : " (off by default)");
    }
  };
  add("collectors", CollectorCatalogue());
  add("probes", ProbeCatalogue());
  text += "faults:\n";
  for (const FaultRow& row : FaultCatalogue()) {
    text += fmt::format("  {:24} {}\n", row.name, row.doc);
    for (const ParameterRow& parameter : row.parameters) {
      text += fmt::format("    {:22} {}{}\n", parameter.name, DescribeParameter(parameter),
                          parameter.fallback.empty() ? std::string()
                                                     : fmt::format(" (default {})", parameter.fallback));
    }
  }
  text += "checks:\n";
  for (const CheckRow& row : CheckCatalogue()) {
    text += fmt::format("  {:24} {}: {} ({}; every {} s)\n", row.name, row.module, row.doc, row.condition, row.interval_s);
  }
  text += "contracts of checks:\n";
  for (const ContractRow& row : ContractCatalogue()) text += fmt::format("  {:24} {}\n", row.name, row.doc);
  text += "log parsers:\n";
  for (const LogParserRow& row : LogParserCatalogue()) text += fmt::format("  {:24} {}\n", row.name, row.doc);
  text += "text parsers (logs.formats):\n";
  for (const TextParserRow& row : TextParserCatalogue()) text += fmt::format("  {:24} {}\n", row.name, row.doc);
  return text;
}

}  // namespace faultline
