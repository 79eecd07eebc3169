// Listeners (the webhook keeps what it has to tell) hear of a change before it is written: after a crash in between the
// same change is made again from the stored results and told again, so none is lost.
// What did not change is written once a minute. After a restart the results that came since are
// taken in again from the store.

#include "aggregator/checks/checks.h"

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "aggregator/checks/health_series.h"
#include "common/bounded_queue.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr std::string_view kDocument = "node_health";
constexpr size_t kMaxTasks = 50'000;
constexpr size_t kMaxReplayed = 200'000;
constexpr int64_t kReplayMarginNs = 120 * kNsPerSecond;
constexpr int64_t kSaveNs = 60 * kNsPerSecond;
constexpr int64_t kSeriesNs = 30 * kNsPerSecond;
constexpr int64_t kFleetNs = 2 * kNsPerSecond;
constexpr int64_t kAskRulesNs = 20 * kNsPerSecond;
constexpr int64_t kLookAgainNs = 30 * kNsPerSecond;
constexpr size_t kMaxNodes = 20'000;

v1::Event EventOf(const v1::HealthChange& change) {
  v1::Event event;
  event.set_time_unix_ns(change.time_unix_ns());
  event.set_type(change.is_fact() ? "fact_change" : "condition_change");
  event.set_severity(change.to() != "True"                        ? v1::SEVERITY_INFO
                     : change.level() >= v1::CHECK_LEVEL_CRITICAL ? v1::SEVERITY_ERROR
                                                                  : v1::SEVERITY_WARN);
  event.set_message(fmt::format("{}: {} → {}{}{}", change.subject(), change.from(), change.to(),
                                change.message().empty() ? "" : ": ", change.message()));
  const std::pair<const char*, const std::string&> attributes[] = {
      {"condition", change.subject()}, {"reason", change.reason()}, {"rule", change.rule()}};
  for (const auto& [name, value] : attributes) {
    if (value.empty()) continue;
    v1::Label& label = *event.add_attributes();
    label.set_name(name);
    label.set_value(value);
  }
  return event;
}

// A temporary problem: it happened, nothing holds.
v1::Event EventOf(const v1::CheckResult& result) {
  v1::Event event;
  event.set_time_unix_ns(result.started_unix_ns());
  event.set_type("check_event");
  event.set_severity(result.level() >= v1::CHECK_LEVEL_CRITICAL ? v1::SEVERITY_ERROR
                                                                : v1::SEVERITY_WARN);
  event.mutable_subject()->set_namespace_(result.namespace_());
  event.mutable_subject()->set_pod(result.pod());
  event.mutable_subject()->set_container(result.container());
  event.set_message(result.reason() + ": " + result.message().substr(0, 1000));
  v1::Label& label = *event.add_attributes();
  label.set_name("rule");
  label.set_value(result.rule());
  return event;
}

}  // namespace

struct Checks::Impl : std::enable_shared_from_this<Checks::Impl> {
  Impl(Store* the_store, Fleet* the_fleet, SelfMetrics* the_metrics, const Clock* the_clock,
       const ChecksOptions& the_options)
      : store(the_store),
        fleet(the_fleet),
        clock(the_clock),
        options(the_options),
        series(the_store),
        dropped(the_metrics->GetCounter(
            "faultline_checks_dropped_results_total",
            "Results that found the queue full; they are read back from the store.")),
        taken(the_metrics->GetCounter("faultline_checks_results_total",
                                      "Results of checks taken in.")) {
    options.verdict.not_before_unix_ns = clock->UnixNs();
  }

  void Run();
  void Pass();
  void Take(const std::string& node, const v1::CheckResult& result);
  void Finish(NodeHealth& health, const NodeHealth::Outcome& outcome);
  void LookAgain(const std::string& node, const std::string& rule);
  void AskForRules(const std::string& node);
  void WatchFleet();
  void Save(const NodeHealth& health);
  void SaveDirty();
  Result<void> Replay(int64_t begin_unix_ns);
  void Post(std::function<void()> task) {
    if (!tasks.TryPush(std::move(task))) missed = true;
  }

  Store* const store;
  Fleet* const fleet;
  const Clock* const clock;
  ChecksOptions options;
  HealthSeries series;
  Counter& dropped;
  Counter& taken;

  BoundedQueue<std::function<void()>> tasks{kMaxTasks};
  std::atomic<bool> stopping = false;
  std::atomic<bool> missed = false;
  std::thread thread;
  std::vector<OnChange> listeners;

  mutable std::mutex mutex;  // of what follows; the thread alone writes
  std::map<std::string, NodeHealth> nodes;
  PriorityTable priorities;

  // Owned by the thread.
  std::set<std::string> dirty;
  std::map<std::string, int64_t> ask_at;  // when the node is asked for its rules again
  int64_t save_at = 0, series_at = 0, fleet_at = 0;
  int64_t newest_seen_unix_ns = 0;
};

void Checks::Impl::Run() {
  while (!stopping) {
    if (auto task = tasks.Pop(std::chrono::milliseconds(250))) {
      (*task)();
      for (int more = 0; more < 1000 && (task = tasks.Pop(std::chrono::nanoseconds(0))); ++more)
        (*task)();
    }
    Pass();
  }
  series.Flush();
  SaveDirty();
}

void Checks::Impl::Pass() {
  const int64_t now = clock->SteadyNs();
  if (missed.exchange(false)) {
    if (auto replayed = Replay(newest_seen_unix_ns - kReplayMarginNs); !replayed) {
      spdlog::warn("results of checks: {}", replayed.error().message);
    }
  }
  if (now >= fleet_at) {
    fleet_at = now + kFleetNs;
    WatchFleet();
  }
  if (now >= series_at) {
    series_at = now + kSeriesNs;
    const std::lock_guard lock(mutex);
    for (const auto& [name, health] : nodes) series.AddConditions(health, clock->UnixNs());
  }
  series.Flush();
  if (now >= save_at) {
    save_at = now + kSaveNs;
    SaveDirty();
  }
}

void Checks::Impl::Take(const std::string& node, const v1::CheckResult& result) {
  taken.Add();
  const int64_t now = clock->UnixNs();
  newest_seen_unix_ns = std::max(newest_seen_unix_ns, std::min(now, result.started_unix_ns()));
  NodeHealth::Outcome outcome;
  NodeHealth* health = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!nodes.contains(node) && nodes.size() >= kMaxNodes) return dropped.Add();
    health = &nodes.try_emplace(node, node).first->second;
    outcome = health->Take(result, now, options.verdict);
  }
  dirty.insert(node);
  series.AddRun(node, result, now);
  if (outcome.event) series.AddEvent(node, EventOf(result));
  Finish(*health, outcome);
  if (!outcome.look_again.empty()) LookAgain(node, outcome.look_again);
}

void Checks::Impl::Finish(NodeHealth& health, const NodeHealth::Outcome& outcome) {
  if (outcome.changes.empty()) return;
  const PriorityTable table = [&] {
    const std::lock_guard lock(mutex);
    return priorities;
  }();
  for (const v1::HealthChange& change : outcome.changes) {
    for (const OnChange& listener : listeners)
      listener(health.node(), change, table.Of(change.subject(), change.level()));
  }
  dirty.insert(health.node());
  Save(health);
  series.AddConditions(health, clock->UnixNs());
  for (const v1::HealthChange& change : outcome.changes) {
    series.AddEvent(health.node(), EventOf(change));
  }
}

// A problem seen once: the node runs the rule again now. What cannot be run again counts as it is.
void Checks::Impl::LookAgain(const std::string& node, const std::string& rule) {
  v1::Command command;
  command.set_requested_by("checks: second sample");
  command.set_deadline_unix_ns(clock->UnixNs() + kLookAgainNs);
  command.mutable_run_checks()->mutable_selector()->add_rules(rule);
  fleet->Send(node, std::move(command),
              [weak = weak_from_this(), node, rule](Result<v1::CommandReply> reply) {
                const auto self = weak.lock();
                if (!self) return;
                const bool ran = reply && reply->checks_size() > 0;
                const bool unreachable = !reply && (reply.error().code == ErrorCode::kUnavailable ||
                                                    reply.error().code == ErrorCode::kTimeout);
                // The second sample is on its way as a record, or the schedule will bring it.
                if (ran || unreachable) return;
                self->Post([raw = self.get(), node, rule] {
                  NodeHealth* health = nullptr;
                  NodeHealth::Outcome outcome;
                  {
                    const std::lock_guard lock(raw->mutex);
                    const auto at = raw->nodes.find(node);
                    if (at == raw->nodes.end()) return;
                    health = &at->second;
                    outcome = health->Confirm(rule, raw->clock->UnixNs());
                  }
                  raw->Finish(*health, outcome);
                });
              });
}

// Rules that a node no longer has must not leave conditions behind.
void Checks::Impl::AskForRules(const std::string& node) {
  v1::Command command;
  command.set_requested_by("checks: rules in force");
  command.mutable_list_checks();
  fleet->Send(
      node, std::move(command),
      [weak = weak_from_this(), node, asked = clock->UnixNs()](Result<v1::CommandReply> reply) {
        const auto self = weak.lock();
        if (!self || !reply || !reply->has_check_rules()) return;
        std::vector<std::string> rules;
        for (const v1::CheckRuleState& rule : reply->check_rules().rules())
          rules.push_back(rule.rule());
        self->Post([raw = self.get(), node, asked, rules = std::move(rules)] {
          NodeHealth* health = nullptr;
          NodeHealth::Outcome outcome;
          {
            const std::lock_guard lock(raw->mutex);
            const auto at = raw->nodes.find(node);
            if (at == raw->nodes.end()) return;
            health = &at->second;
            outcome = health->KeepRules(rules, asked, raw->clock->UnixNs());
          }
          raw->dirty.insert(node);
          raw->Finish(*health, outcome);
        });
      });
}

void Checks::Impl::WatchFleet() {
  const int64_t now = clock->UnixNs();
  std::map<std::string, NodeState> states;
  for (NodeState& state : fleet->Nodes()) states.emplace(state.node, std::move(state));
  std::vector<std::pair<NodeHealth*, NodeHealth::Outcome>> outcomes;
  std::vector<std::string> to_ask;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [name, state] : states) {
      if (nodes.contains(name) || nodes.size() < kMaxNodes) nodes.try_emplace(name, name);
    }
    for (auto& [name, health] : nodes) {
      const auto at = states.find(name);
      const bool up = at != states.end() && at->second.up;
      if (up || now - options.verdict.not_before_unix_ns > options.ready_grace_ns) {
        outcomes.emplace_back(&health, health.SetReady(up, now));
      }
      outcomes.emplace_back(&health, health.Tick(now, options.verdict));
      if (!up) continue;
      const auto& facts = at->second.inventory.facts();
      outcomes.emplace_back(
          &health, health.TakeFacts(at->second.boot_id, {facts.begin(), facts.end()}, now));
      int64_t& due = ask_at[name];
      if (clock->SteadyNs() < due) continue;
      due = clock->SteadyNs() + kAskRulesNs;
      to_ask.push_back(name);
    }
  }
  for (auto& [health, outcome] : outcomes) Finish(*health, outcome);
  for (const std::string& node : to_ask) AskForRules(node);
}

void Checks::Impl::Save(const NodeHealth& health) {
  const std::string text = health.ToMemory(clock->UnixNs()).SerializeAsString();
  if (auto kept = store->PutDocument(kDocument, health.node(), text); !kept) {
    if (LogAllowed("checks/save"))
      spdlog::error("health of {} cannot be kept: {}", health.node(), kept.error().message);
    return;
  }
  dirty.erase(health.node());
}

void Checks::Impl::SaveDirty() {
  // The thread alone changes `nodes`, so it may read without the lock.
  for (const std::string& node : std::set<std::string>(dirty)) {
    const auto at = nodes.find(node);
    if (at != nodes.end()) Save(at->second);
  }
}

Result<void> Checks::Impl::Replay(int64_t begin_unix_ns) {
  const auto results =
      store->Checks(begin_unix_ns, clock->UnixNs() + 600 * kNsPerSecond, kMaxReplayed);
  if (!results) return std::unexpected(results.error());
  for (const StoredCheck& stored : *results) {
    const auto at = nodes.find(stored.node);
    const auto* rules = at == nodes.end() ? nullptr : &at->second.rules();
    const auto rule =
        rules == nullptr ? decltype(rules->end()){} : rules->find(stored.result.rule());
    const bool known = rules != nullptr && rule != rules->end() &&
                       rule->second.newest_started_unix_ns() >= stored.result.started_unix_ns();
    if (!known) Take(stored.node, stored.result);
  }
  return {};
}

Checks::Checks(Store* store, Fleet* fleet, SelfMetrics* metrics, const Clock* clock,
               const ChecksOptions& options)
    : impl_(std::make_shared<Impl>(store, fleet, metrics, clock, options)) {}

Checks::~Checks() { Stop(); }

Result<void> Checks::Load() {
  FAULTLINE_ASSIGN(const auto documents, impl_->store->ListDocuments(kDocument));
  int64_t oldest = impl_->clock->UnixNs();
  for (const auto& [name, text] : documents) {
    v1::NodeHealthMemory memory;
    if (!memory.ParseFromString(text) || memory.node() != name) {
      spdlog::warn("what was remembered of the health of {} does not parse and is made anew", name);
      continue;
    }
    oldest = std::min(oldest, memory.saved_unix_ns());
    impl_->nodes.emplace(name, NodeHealth::FromMemory(memory));
  }
  if (const auto text = impl_->store->GetDocument(kPrioritiesDocument, "table")) {
    FAULTLINE_ASSIGN(impl_->priorities,
                     PriorityTable::Parse(*text, "the priorities kept in the store"));
  }
  // Tests keep documents only; a store without results has none to take in.
  if (const auto replayed = impl_->Replay(oldest - kReplayMarginNs);
      !replayed && replayed.error().code != ErrorCode::kUnsupported) {
    return replayed;
  }
  return {};
}

void Checks::Start() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void Checks::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->stopping = true;
  impl_->Post([] {});
  impl_->thread.join();
  impl_->tasks.Close();
}

void Checks::OnResult(const std::string& node, const v1::CheckResult& result) {
  const bool taken =
      impl_->tasks.TryPush([impl = impl_.get(), node, result] { impl->Take(node, result); });
  if (taken) return;
  impl_->dropped.Add();
  impl_->missed = true;
}

std::optional<NodeHealth> Checks::Node(const std::string& node) const {
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->nodes.find(node);
  return at == impl_->nodes.end() ? std::nullopt : std::optional(at->second);
}

std::vector<NodeHealth> Checks::Nodes() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<NodeHealth> nodes;
  for (const auto& [name, health] : impl_->nodes) nodes.push_back(health);
  return nodes;
}

Result<void> Checks::SetPriorities(std::string_view text, std::string_view file) {
  FAULTLINE_ASSIGN(PriorityTable table, PriorityTable::Parse(text, file));
  FAULTLINE_TRY(impl_->store->PutDocument(kPrioritiesDocument, "table", text));
  const std::lock_guard lock(impl_->mutex);
  impl_->priorities = std::move(table);
  return {};
}

PriorityTable Checks::priorities() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->priorities;
}

void Checks::AddListener(OnChange on_change) { impl_->listeners.push_back(std::move(on_change)); }

}  // namespace faultline
