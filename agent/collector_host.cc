#include "agent/collector_host.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "agent/blocking_leaf.h"
#include "common/log.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr MetricFamily kDuration{"node_scrape_collector_duration_seconds", v1::METRIC_TYPE_GAUGE,
                                 "Duration of the last pass of a collector."};
constexpr MetricFamily kSuccess{"node_scrape_collector_success", v1::METRIC_TYPE_GAUGE,
                                "Whether the last pass of a collector succeeded."};
constexpr int64_t kMinPeriodNs = 10 * kNsPerMs;
constexpr int64_t kDefaultPeriodNs = kNsPerSecond;
constexpr int64_t kDefaultTimeoutNs = 10 * kNsPerSecond;
// A collector is read for changes only if its last pass took no more than this share of the time between such readings:
// however large the host, that adds a twentieth of a percent of a core per collector at most.
constexpr int64_t kChangesShare = 2000;

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

// The sub-message of that name in probes, if there is one.
const google::protobuf::Message* ProbeSection(const v1::ProbesConfig& probes, std::string_view name) {
  const auto* field = probes.GetDescriptor()->FindFieldByName(std::string(name));
  if (field == nullptr || field->message_type() == nullptr || field->is_repeated()) return nullptr;
  return &probes.GetReflection()->GetMessage(probes, field);
}

std::optional<bool> EnabledField(const google::protobuf::Message& section) {
  const auto* field = section.GetDescriptor()->FindFieldByName("enabled");
  if (field == nullptr || !section.GetReflection()->HasField(section, field)) return std::nullopt;
  return section.GetReflection()->GetBool(section, field);
}

// Of a section of probes; nothing where it names none.
std::optional<int64_t> PeriodField(const google::protobuf::Message* section) {
  if (section == nullptr) return std::nullopt;
  const auto* field = section->GetDescriptor()->FindFieldByName("period");
  if (field == nullptr || !section->GetReflection()->HasField(*section, field)) return std::nullopt;
  return ToNs(static_cast<const google::protobuf::Duration&>(section->GetReflection()->GetMessage(*section, field)));
}

}  // namespace

struct CollectorHost::Leaf {
  LeafReport report;
  std::unique_ptr<Collector> collector;    // runs on the agent's thread
  std::unique_ptr<BlockingLeaf> blocking;  // or on its own
  Emitter* emitter = nullptr;
  std::string scrape_name;  // value of the label `collector`
  int64_t period_ns = 0;
  int64_t multiple = -1;  // of the period, that its last pass began at
  // Of the pass that runs on a thread.
  uint64_t pass = 0;
  bool busy = false;
  bool timed_out = false;
  int64_t pass_unix_ns = 0;
  int64_t begin_steady_ns = 0;
};

bool LeafEnabled(const v1::AgentConfig& config, std::string_view kind, const CollectorRow& row) {
  if (kind == "probe") {
    if (EnabledField(config.probes()) == false) return false;
    const auto* section = ProbeSection(config.probes(), row.name);
    return section == nullptr ? row.on_by_default : EnabledField(*section).value_or(row.on_by_default);
  }
  const auto at = config.collectors().find(std::string(row.name));
  if (at == config.collectors().end()) return row.on_by_default;
  return EnabledField(at->second).value_or(row.on_by_default);
}

CollectorHost::CollectorHost(std::shared_ptr<const HostView> host,
                             std::shared_ptr<const v1::AgentConfig> config, ContainerIndex* containers,
                             Pipeline* pipeline, Post post)
    : host_(std::move(host)),
      config_(std::move(config)),
      containers_(containers),
      pipeline_(pipeline),
      post_(std::move(post)),
      tick_ns_(PeriodOf("", "")),
      changes_ns_(ToNs(config_->collect().changes_period()) / kMinPeriodNs * kMinPeriodNs) {}

CollectorHost::~CollectorHost() { *alive_ = false; }

int64_t CollectorHost::PeriodOf(std::string_view kind, std::string_view name) const {
  int64_t period_ns = ToNs(config_->collect().period());
  if (kind == "collector") {
    const auto at = config_->collectors().find(std::string(name));
    if (at != config_->collectors().end() && at->second.has_period()) period_ns = ToNs(at->second.period());
  }
  if (kind == "probe") period_ns = PeriodField(ProbeSection(config_->probes(), name)).value_or(period_ns);
  if (period_ns <= 0) period_ns = kDefaultPeriodNs;
  return std::max(period_ns, kMinPeriodNs) / kMinPeriodNs * kMinPeriodNs;
}

void CollectorHost::Add(std::string_view kind, const CollectorRow& row) {
  if (!LeafEnabled(*config_, kind, row)) {
    AddMade(kind, row.name, row.doc, row.may_block,
            Fail(ErrorCode::kUnsupported, "off: not enabled in the configuration"));
    return;
  }
  AddMade(kind, row.name, row.doc, row.may_block, row.make({.host = *host_, .config = *config_, .containers = row.may_block ? nullptr : containers_}));
}

void CollectorHost::AddMade(std::string_view kind, std::string_view name, std::string_view doc,
                            bool may_block, Result<std::unique_ptr<Collector>> made) {
  auto leaf = std::make_unique<Leaf>();
  leaf->report.kind = kind;
  leaf->report.name = name;
  leaf->report.doc = doc;
  leaf->period_ns = PeriodOf(kind, name);
  leaf->report.period_ms = leaf->period_ns / kNsPerMs;
  leaf->scrape_name = kind == "probe" ? fmt::format("probes.{}", name) : std::string(name);
  if (!made) {
    leaf->report.reason = made.error().message;
    leaves_.push_back(std::move(leaf));
    return;
  }
  leaf->report.running = true;
  leaf->emitter = &pipeline_->Leaf(fmt::format("{}/{}", kind, name));
  leaf->report.has_thread = may_block;
  if (may_block) {
    Leaf* const raw = leaf.get();
    auto done = [this, raw, post = post_, alive = alive_](BlockingLeaf::Outcome outcome) {
      post([this, raw, alive, kept = std::move(outcome)] {
        if (*alive) FinishBlocking(*raw, &kept);
      });
    };
    auto keep = std::make_shared<std::pair<std::shared_ptr<const HostView>, std::shared_ptr<const v1::AgentConfig>>>(
        host_, config_);
    leaf->blocking = std::make_unique<BlockingLeaf>(*std::move(made), host_->clock, keep, std::move(done));
  } else {
    leaf->collector = *std::move(made);
  }
  leaves_.push_back(std::move(leaf));
  AdjustTick();
}

void CollectorHost::AdjustTick() {
  tick_ns_ = 0;
  for (const auto& leaf : leaves_) {
    if (leaf->report.running) tick_ns_ = std::gcd(tick_ns_, leaf->period_ns);
  }
  tick_ns_ = std::gcd(tick_ns_, changes_ns_);
}

bool CollectorHost::Tick() {
  const int64_t unix_ns = host_->clock->UnixNs();
  const auto due = [&](Leaf& leaf) {
    const int64_t last = std::exchange(leaf.multiple, Multiple(unix_ns, leaf.period_ns));
    return last != leaf.multiple;
  };
  // Of what is due, those with threads first: they work while the others run here.
  for (auto& leaf : leaves_) {
    if (leaf->blocking != nullptr && (due(*leaf) || (leaf->busy && !leaf->timed_out))) StartBlocking(*leaf, unix_ns);
  }
  bool changes = false;
  if (changes_ns_ != 0) {
    const int64_t last = std::exchange(changes_multiple_, Multiple(unix_ns, changes_ns_));
    changes = last != changes_multiple_;
  }
  for (auto& leaf : leaves_) {
    if (leaf->collector == nullptr) continue;
    if (due(*leaf)) {
      RunInline(*leaf, unix_ns);
    } else if (changes) {
      SendChanges(*leaf, unix_ns);
    }
  }
  return outstanding_ == 0;
}

void CollectorHost::SendChanges(Leaf& leaf, int64_t unix_ns) {
  const auto last_ns = static_cast<int64_t>(leaf.report.last_duration_seconds * 1e9);
  if (leaf.report.kind != "collector" || !leaf.report.success || last_ns > changes_ns_ / kChangesShare) return;
  pipeline_->BeginPass(*leaf.emitter, unix_ns, Pipeline::Pass::kChanges);
  // What goes wrong here is told by the next pass.
  (void)leaf.collector->Collect(*leaf.emitter);
  pipeline_->EndPass(*leaf.emitter, false);
}

void CollectorHost::RunInline(Leaf& leaf, int64_t unix_ns) {
  const int64_t begin_ns = host_->clock->SteadyNs();
  pipeline_->BeginPass(*leaf.emitter, unix_ns);
  const Result<void> result = leaf.collector->Collect(*leaf.emitter);
  pipeline_->EndPass(*leaf.emitter, true);
  Ended(leaf, result, host_->clock->SteadyNs() - begin_ns, unix_ns);
}

void CollectorHost::StartBlocking(Leaf& leaf, int64_t unix_ns) {
  const int64_t now_ns = host_->clock->SteadyNs();
  if (!leaf.busy) {
    leaf.busy = true;
    leaf.timed_out = false;
    leaf.pass_unix_ns = unix_ns;
    leaf.begin_steady_ns = now_ns;
    ++outstanding_;
    leaf.blocking->Start(++leaf.pass);
    return;
  }
  int64_t timeout_ns = ToNs(config_->collect().timeout());
  if (timeout_ns <= 0) timeout_ns = kDefaultTimeoutNs;
  const int64_t elapsed_ns = now_ns - leaf.begin_steady_ns;
  if (elapsed_ns < timeout_ns) return;
  if (!leaf.timed_out) {
    leaf.timed_out = true;
    --outstanding_;
    // Its series end: nobody knows their values any more.
    pipeline_->BeginPass(*leaf.emitter, unix_ns);
    pipeline_->EndPass(*leaf.emitter, true);
  }
  Ended(leaf, Fail(ErrorCode::kTimeout, "no answer for {} s", elapsed_ns / kNsPerSecond), elapsed_ns, unix_ns);
}

void CollectorHost::FinishBlocking(Leaf& leaf, const void* outcome_of_pass) {
  const auto& outcome = *static_cast<const BlockingLeaf::Outcome*>(outcome_of_pass);
  leaf.busy = false;
  // What a pass says after its timeout is old news; its drops are counted all the same.
  if (!leaf.timed_out) {
    pipeline_->BeginPass(*leaf.emitter, leaf.pass_unix_ns);
    outcome.emitted->ReplayInto(*leaf.emitter);
    pipeline_->EndPass(*leaf.emitter, true);
    Ended(leaf, outcome.result, outcome.duration_ns, leaf.pass_unix_ns);
    if (--outstanding_ == 0 && idle_) idle_();
  }
}

void CollectorHost::Ended(Leaf& leaf, const Result<void>& result, int64_t duration_ns, int64_t unix_ns) {
  LeafReport& report = leaf.report;
  ++report.passes;
  report.last_duration_seconds = static_cast<double>(duration_ns) / 1e9;
  report.success = result.has_value();
  report.reason.clear();
  if (!result) {
    const bool no_data = result.error().code == ErrorCode::kNotFound;
    ++(no_data ? report.no_data : report.failures);
    report.reason = (no_data ? "no data: " : "") + result.error().message;
    if (!no_data && LogAllowed(fmt::format("leaf {}/{}", report.kind, report.name))) {
      spdlog::warn("{} {}: {}", report.kind, report.name, result.error().message);
    }
  }
  EmitScrape(leaf, report.last_duration_seconds, report.success, unix_ns);
}

void CollectorHost::EmitScrape(Leaf& leaf, double seconds, bool success, int64_t unix_ns) {
  Emitter& out = pipeline_->Leaf("collector_host");
  pipeline_->BeginPass(out, unix_ns);
  const LabelView label{"collector", leaf.scrape_name};
  out.Sample(kDuration, {label}, seconds);
  out.Sample(kSuccess, {label}, success ? 1 : 0);
  // Not complete: this leaf's two series only.
  pipeline_->EndPass(out, false);
}

void CollectorHost::EndMissing(const CollectorHost& fresh) {
  const auto end = [this](Emitter& emitter) {
    pipeline_->BeginPass(emitter, host_->clock->UnixNs());
    pipeline_->EndPass(emitter, true);
  };
  for (const auto& leaf : leaves_) {
    const bool goes_on = std::any_of(fresh.leaves_.begin(), fresh.leaves_.end(), [&](const auto& other) {
      return other->emitter == leaf->emitter;
    });
    if (leaf->emitter != nullptr && !goes_on) end(*leaf->emitter);
  }
  // Durations and successes of those that go on come back with their next pass.
  end(pipeline_->Leaf("collector_host"));
}

std::vector<CollectorHost::Waker> CollectorHost::Wakers() const {
  std::vector<Waker> wakers;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i]->collector == nullptr) continue;
    if (const auto fd = leaves_[i]->collector->wake_fd()) wakers.push_back({i, *fd});
  }
  return wakers;
}

void CollectorHost::Wake(size_t index) {
  Leaf& leaf = *leaves_.at(index);
  pipeline_->BeginPass(*leaf.emitter, host_->clock->UnixNs());
  const Result<void> result = leaf.collector->Wake(*leaf.emitter);
  pipeline_->EndPass(*leaf.emitter, false);
  pipeline_->FlushSoon();  // a log line or an event does not wait for the next tick
  if (!result && result.error().code != ErrorCode::kNotFound) {
    ++leaf.report.failures;
    leaf.report.reason = result.error().message;
  }
}

std::vector<LeafReport> CollectorHost::Leaves() const {
  std::vector<LeafReport> reports;
  for (const auto& leaf : leaves_) reports.push_back(leaf->report);
  return reports;
}

bool CollectorHost::HasStuckLeaf() const {
  for (const auto& leaf : leaves_) {
    if (leaf->busy) return true;
  }
  return false;
}

}  // namespace faultline
