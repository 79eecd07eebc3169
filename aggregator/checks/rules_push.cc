#include "aggregator/checks/rules_push.h"

#include <atomic>
#include <set>
#include <thread>

#include "aggregator/checks/rule_sets.h"
#include "common/bounded_queue.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr std::string_view kKind = "CheckRules";
constexpr std::string_view kDocument = "check_rules_in_force";
constexpr size_t kMaxTasks = 10'000;
constexpr int64_t kAnswerNs = 20 * kNsPerSecond;
constexpr int64_t kPassNs = kNsPerSecond;

std::string VersionOf(const RuleSpecs& specs, int64_t now_unix_ns) {
  return specs.empty() ? "" : FormatTime(now_unix_ns).substr(0, 23) + "Z";
}

json::object SpecOf(const Object& object) {
  const json::value* spec = object.body.if_contains("spec");
  return spec != nullptr && spec->is_object() ? spec->get_object() : json::object();
}

}  // namespace

struct RulesPush::Impl : std::enable_shared_from_this<RulesPush::Impl> {
  // A change on its way: `wait` is asked now, `todo` comes after it.
  struct Rollout {
    RuleSpecs specs;
    std::string version;
    std::vector<std::string> todo;
    std::set<std::string> waiting, took;
  };

  Impl(Objects* the_objects, Store* the_store, Fleet* the_fleet, const Clock* the_clock)
      : objects(the_objects), store(the_store), fleet(the_fleet), clock(the_clock) {}

  void Run();
  void Pass();
  RuleSpecs Wanted() const;
  void BeginRollout(RuleSpecs specs);
  void SendNext();
  void OnAnswer(const std::string& node, const std::string& version,
                const Result<v1::CommandReply>& reply);
  void Finish();
  void RollBack(const std::string& node, const std::string& reason);
  void Send(const NodeState& node, const RuleSpecs& specs, const std::string& version,
            bool rollout);
  void Greet(const NodeState& node);
  void Tell(const RuleSpecs& about, std::string_view phase, const std::string& version,
            const std::string& message);
  void Post(std::function<void()> task) {
    if (!tasks.TryPush(std::move(task)) && LogAllowed("rules_push/queue"))
      spdlog::warn("answers about check rules are dropped");
  }

  Objects* const objects;
  Store* const store;
  Fleet* const fleet;
  const Clock* const clock;
  BoundedQueue<std::function<void()>> tasks{kMaxTasks};
  std::atomic<bool> stopping = false;
  std::thread thread;
  uint64_t watch = 0;
  std::atomic<bool> changed = true;

  // Owned by the thread.
  RuleSpecs in_force;
  std::string version_in_force;
  std::optional<RuleSpecs> refused;  // not tried again until it changes
  std::optional<Rollout> rollout;
  std::map<std::string, uint64_t> greeted;  // node -> session
};

void RulesPush::Impl::Run() {
  while (!stopping) {
    if (auto task = tasks.Pop(std::chrono::nanoseconds(kPassNs))) {
      (*task)();
      while ((task = tasks.Pop(std::chrono::nanoseconds(0)))) (*task)();
    }
    Pass();
  }
}

RuleSpecs RulesPush::Impl::Wanted() const {
  RuleSpecs specs;
  const auto list = objects->List(kKind, "", "");
  for (const Object& object : list ? *list : std::vector<Object>())
    specs[object.name_space + "/" + object.name] = SpecOf(object);
  return specs;
}

void RulesPush::Impl::Pass() {
  if (!rollout && changed.exchange(false)) {
    RuleSpecs wanted = Wanted();
    if (wanted != in_force && (!refused || *refused != wanted)) BeginRollout(std::move(wanted));
  }
  if (rollout) return;
  for (const NodeState& node : fleet->Nodes()) {
    uint64_t& session = greeted[node.node];
    if (!node.up || session == node.session) continue;
    session = node.session;
    Greet(node);
  }
}

void RulesPush::Impl::BeginRollout(RuleSpecs specs) {
  refused.reset();
  rollout.emplace();
  rollout->version = VersionOf(specs, clock->UnixNs());
  rollout->specs = std::move(specs);
  for (const NodeState& node : fleet->Nodes()) {
    if (!node.up) continue;
    greeted[node.node] = node.session;
    const bool differs =
        RulesFor(node, rollout->specs, "").hash() != RulesFor(node, in_force, "").hash();
    if (differs) rollout->todo.push_back(node.node);
  }
  Tell(rollout->specs, "Pushing", rollout->version,
       fmt::format("to {} nodes", rollout->todo.size()));
  SendNext();
}

// One node alone at first: what is wrong is wrong on one node only.
void RulesPush::Impl::SendNext() {
  if (rollout->todo.empty()) return Finish();
  std::vector<std::string> now = {rollout->todo.front()};
  if (!rollout->took.empty()) now = rollout->todo;
  for (const std::string& name : now) {
    std::erase(rollout->todo, name);
    const auto node = fleet->Node(name);
    if (!node) continue;
    rollout->waiting.insert(name);
    Send(*node, rollout->specs, rollout->version, true);
  }
  if (rollout->waiting.empty()) Finish();
}

void RulesPush::Impl::Send(const NodeState& node, const RuleSpecs& specs,
                           const std::string& version, bool is_rollout) {
  v1::Command command;
  command.set_requested_by("check rules");
  command.set_deadline_unix_ns(clock->UnixNs() + kAnswerNs);
  *command.mutable_set_check_rules() = RulesFor(node, specs, version);
  fleet->Send(node.node, std::move(command),
              [weak = weak_from_this(), name = node.node, version,
               is_rollout](Result<v1::CommandReply> reply) {
                const auto self = weak.lock();
                if (!self) return;
                if (!is_rollout) {
                  if (!reply) spdlog::warn("check rules {}: {}", version, reply.error().message);
                  return;
                }
                self->Post([raw = self.get(), name, version, reply = std::move(reply)] {
                  raw->OnAnswer(name, version, reply);
                });
              });
}

void RulesPush::Impl::OnAnswer(const std::string& node, const std::string& version,
                               const Result<v1::CommandReply>& reply) {
  if (!rollout || rollout->version != version || rollout->waiting.erase(node) == 0) return;
  if (reply) {
    rollout->took.insert(node);
  } else if (reply.error().code == ErrorCode::kUnavailable ||
             reply.error().code == ErrorCode::kTimeout) {
    greeted.erase(node);  // it gets them with its next hello
  } else {
    return RollBack(node, reply.error().message);
  }
  if (rollout->waiting.empty()) SendNext();
}

void RulesPush::Impl::Finish() {
  in_force = std::move(rollout->specs);
  version_in_force = rollout->version;
  json::object kept;
  for (const auto& [name, spec] : in_force) kept[name] = spec;
  const std::string text =
      json::serialize(json::object{{"version", version_in_force}, {"specs", std::move(kept)}});
  if (auto saved = store->PutDocument(kDocument, "rules", text); !saved) {
    spdlog::error("check rules in force cannot be kept: {}", saved.error().message);
  }
  Tell(in_force, "InForce", version_in_force,
       fmt::format("{} nodes took them", rollout->took.size()));
  rollout.reset();
  changed = true;  // what changed meanwhile
}

void RulesPush::Impl::RollBack(const std::string& node, const std::string& reason) {
  spdlog::warn("check rules {} are refused by {} and rolled back: {}", rollout->version, node,
               reason);
  std::set<std::string> back = rollout->took;
  back.insert(rollout->waiting.begin(), rollout->waiting.end());
  for (const std::string& name : back) {
    if (const auto state = fleet->Node(name)) Send(*state, in_force, version_in_force, false);
  }
  RuleSpecs changed_specs;
  for (const auto& [name, spec] : rollout->specs) {
    const auto before = in_force.find(name);
    if (before == in_force.end() || before->second != spec) changed_specs.emplace(name, spec);
  }
  Tell(changed_specs, "Refused", rollout->version,
       fmt::format("{}; {} nodes have the rules before it again", reason, back.size()));
  refused = std::move(rollout->specs);
  rollout.reset();
  changed = true;
}

void RulesPush::Impl::Greet(const NodeState& node) {
  v1::Command command;
  command.set_requested_by("check rules");
  command.set_deadline_unix_ns(clock->UnixNs() + kAnswerNs);
  command.mutable_list_checks();
  fleet->Send(node.node, std::move(command),
              [weak = weak_from_this(), node](Result<v1::CommandReply> reply) {
                const auto self = weak.lock();
                if (!self || !reply) return;
                self->Post([raw = self.get(), node, hash = reply->check_rules().hash()] {
                  if (RulesFor(node, raw->in_force, "").hash() != hash)
                    raw->Send(node, raw->in_force, raw->version_in_force, false);
                });
              });
}

void RulesPush::Impl::Tell(const RuleSpecs& about, std::string_view phase,
                           const std::string& version, const std::string& message) {
  for (const auto& [name, spec] : about) {
    const size_t slash = name.find('/');
    json::object status = {{"phase", phase},
                           {"version", version},
                           {"message", message},
                           {"time", FormatTime(clock->UnixNs())}};
    const auto told =
        objects->SetStatus(kKind, name.substr(0, slash), name.substr(slash + 1), std::move(status));
    if (!told && told.error().code != ErrorCode::kNotFound)
      spdlog::warn("status of CheckRules {}: {}", name, told.error().message);
  }
}

RulesPush::RulesPush(Objects* objects, Store* store, Fleet* fleet, const Clock* clock)
    : impl_(std::make_shared<Impl>(objects, store, fleet, clock)) {}

RulesPush::~RulesPush() { Stop(); }

Result<void> RulesPush::Load() {
  const auto text = impl_->store->GetDocument(kDocument, "rules");
  if (!text)
    return text.error().code == ErrorCode::kNotFound ? Result<void>()
                                                     : std::unexpected(text.error());
  boost::system::error_code error;
  const json::value kept = json::parse(*text, error);
  const json::value* specs =
      !error && kept.is_object() ? kept.get_object().if_contains("specs") : nullptr;
  if (specs == nullptr || !specs->is_object())
    return Fail(ErrorCode::kCorruption, "the check rules in force do not parse");
  for (const auto& [name, spec] : specs->get_object()) {
    if (spec.is_object()) impl_->in_force[std::string(name)] = spec.get_object();
  }
  if (const json::value* version = kept.get_object().if_contains("version");
      version != nullptr && version->is_string()) {
    impl_->version_in_force = std::string(version->get_string());
  }
  return {};
}

void RulesPush::Start() {
  impl_->watch = impl_->objects->Watch(kKind, [impl = impl_.get()](const ObjectEvent&) {
    impl->changed = true;
    impl->tasks.TryPush([] {});
  });
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void RulesPush::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->objects->Unwatch(impl_->watch);
  impl_->stopping = true;
  impl_->tasks.TryPush([] {});
  impl_->thread.join();
  impl_->tasks.Close();
}

}  // namespace faultline
