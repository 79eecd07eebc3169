// One thread owns all running experiments; everything from outside (objects that change, replies,
// transitions) becomes a task in its queue. Each pass compares what is with what should be, so
// nothing depends on an event that was missed: what the queue had to refuse is found again in the
// objects and in the ground truth.
//
// A status is written before the command that it announces is sent: after a crash we know whom we
// may have hit.

#include "aggregator/experiments/experiments.h"

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "aggregator/experiments/blast_radius.h"
#include "aggregator/experiments/experiment_course.h"
#include "aggregator/experiments/label_objects.h"
#include "aggregator/objects/object_text.h"
#include "common/bounded_queue.h"
#include "common/log.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr std::string_view kKind = "Experiment";
constexpr std::string_view kFinalizer = "faultline.io/recover";
// A halt is a policy that allows nothing: people see it, and it outlives a restart.
constexpr std::string_view kHaltPolicy = "halt";
constexpr size_t kMaxTasks = 10'000;
constexpr size_t kMaxTargets = 500;  // the records of an experiment must fit into one object
constexpr auto kPassPeriod = std::chrono::milliseconds(500);
constexpr int64_t kSelectNs = 8 * kNsPerSecond;  // how long targets may take to appear
constexpr int64_t kCatchUpNs = 10 * kNsPerSecond;
constexpr int64_t kHaltAgainNs = 5 * kNsPerSecond;

using Key = std::pair<std::string, std::string>;  // namespace, name

const json::object* ObjectAt(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

std::string TextAt(const json::object* object, std::string_view name) {
  const json::value* value = object != nullptr ? object->if_contains(name) : nullptr;
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool Annotated(const json::object& metadata, std::string_view name) {
  return TextAt(ObjectAt(metadata, "annotations"), name) == "true";
}

bool HasFinalizer(const json::object& metadata) {
  const json::value* list = metadata.if_contains("finalizers");
  if (list == nullptr || !list->is_array()) return false;
  for (const json::value& item : list->get_array()) {
    if (item.is_string() && item.get_string() == kFinalizer) return true;
  }
  return false;
}

uint64_t RandomSeed() {
  std::random_device random;
  return (uint64_t{random()} << 31) ^ random();
}

}  // namespace

namespace {

// Outlives the experiments in the callbacks of commands that were still under way.
struct Inbox {
  BoundedQueue<std::function<void()>> tasks{kMaxTasks};
  std::atomic<bool> missed = true;  // look at everything again

  void Post(std::function<void()> task) {
    if (!tasks.TryPush(std::move(task))) missed = true;
  }
};

}  // namespace

struct Experiments::Impl {
  struct Running {
    ExperimentCourse course;
    int64_t since_unix_ns = 0;        // when it was opened here
    std::vector<CheckCourse> steady;  // as in the spec
  };

  Impl(Objects* the_objects, Fleet* the_fleet, GroundTruth* truth, const Clock* the_clock)
      : objects(the_objects), fleet(the_fleet), ground_truth(truth), clock(the_clock) {}

  void Run();
  void Pass();
  void ReloadAll();
  void Reload(const Key& key);
  void Open(const Key& key, const Object& object);
  void Steer(Running& running, const Object& object);
  void Step(const Key& key, Running& running);
  void TrySelect(const Key& key, Running& running);
  Result<std::vector<Target>> Choose(const Key& key, const Running& running, uint64_t seed) const;
  Result<void> AddFinalizer(const Key& key);
  void Send(const Key& key, const ExperimentCourse& course, const ExperimentRequest& request);
  void CatchUp(ExperimentCourse& course);
  void TellHalt();
  void CheckSteadyState(const Key& key, Running& running);
  Result<TargetSelector> WithMachines(const TargetSelector& selector) const;
  Result<void> ResolveOtherSide(ExperimentCourse& course, uint64_t seed) const;

  CheckRunner* checks = nullptr;
  Objects* const objects;
  Fleet* const fleet;
  GroundTruth* const ground_truth;
  const Clock* const clock;

  const std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  std::atomic<bool> stopping = false;
  std::atomic<bool> halted = false;
  std::thread thread;
  uint64_t watch = 0;
  LabelObjects labels{objects, ground_truth};

  // Owned by the thread.
  std::map<Key, Running> open;
  std::set<std::string> to_halt;  // nodes that have not confirmed
  int64_t next_catch_up_ns = 0;
  int64_t next_halt_ns = 0;
};

void Experiments::Impl::Run() {
  while (!stopping) {
    const auto begin = clock->SteadyNs();
    if (inbox->missed.exchange(false)) ReloadAll();
    Pass();
    // Tasks are taken as they come; a pass follows at once when there was one, else after the
    // period.
    auto left = kPassPeriod - std::chrono::nanoseconds(clock->SteadyNs() - begin);
    if (auto task = inbox->tasks.Pop(std::max(left, std::chrono::nanoseconds(1'000'000)))) {
      (*task)();
      while ((task = inbox->tasks.Pop(std::chrono::nanoseconds(0)))) (*task)();
    }
  }
}

void Experiments::Impl::Pass() {
  const bool catch_up = clock->SteadyNs() >= next_catch_up_ns;
  if (catch_up) next_catch_up_ns = clock->SteadyNs() + kCatchUpNs;
  std::vector<Key> done;
  for (auto& [key, running] : open) {
    if (catch_up) CatchUp(running.course);
    Step(key, running);
    if (running.course.Finished()) done.push_back(key);
  }
  for (const Key& key : done) {
    // Nothing is in force any more: the object may go when its owner likes.
    const auto removed = objects->RemoveFinalizer(kKind, key.first, key.second, kFinalizer);
    if (removed || removed.error().code == ErrorCode::kNotFound) open.erase(key);
  }
  if (!to_halt.empty() && clock->SteadyNs() >= next_halt_ns) TellHalt();
}

void Experiments::Impl::ReloadAll() {
  const auto list = objects->List(kKind, "", "");
  if (!list) {
    inbox->missed = true;
    return;
  }
  for (const Object& object : *list) Reload({object.name_space, object.name});
  next_catch_up_ns = 0;
}

void Experiments::Impl::Reload(const Key& key) {
  const auto object = objects->Get(kKind, key.first, key.second);
  const auto at = open.find(key);
  if (!object) {
    if (at == open.end()) return;
    // Gone without our consent (its finalizer was taken away): what is in force is still ours to
    // undo.
    Running& running = at->second;
    running.course.Stop("deleted");
    for (const ExperimentRequest& request : running.course.Next(clock->UnixNs()))
      Send(key, running.course, request);
    open.erase(at);
    return;
  }
  if (at == open.end()) {
    Open(key, *object);
  } else {
    Steer(at->second, *object);
  }
}

void Experiments::Impl::Open(const Key& key, const Object& object) {
  const json::object* metadata = ObjectAt(object.body, "metadata");
  const json::value* stored = object.body.if_contains("status");
  ExperimentStatus status = stored != nullptr ? StatusFromJson(*stored) : ExperimentStatus();
  auto spec = ReadExperimentSpec(object.body);
  const std::string refusal = spec ? "" : spec.error().message;
  Running running{ExperimentCourse(TextAt(metadata, "uid"), key.first + "/" + key.second,
                                   spec ? *std::move(spec) : ExperimentSpec(), std::move(status)),
                  clock->UnixNs(),
                  {}};
  for (const CheckSpec& check : running.course.spec().steady_state)
    running.steady.emplace_back(check);
  if (!refusal.empty()) running.course.RefuseSelection("BadSpec", refusal, true);
  const bool over = running.course.Finished() && stored != nullptr;
  const bool deleted = metadata != nullptr && metadata->contains("deletionTimestamp");
  if (over && !deleted && !HasFinalizer(*metadata)) return;
  Steer(running, object);
  open.emplace(key, std::move(running));
}

void Experiments::Impl::Steer(Running& running, const Object& object) {
  const json::object* metadata = ObjectAt(object.body, "metadata");
  if (metadata == nullptr) return;
  if (metadata->contains("deletionTimestamp")) running.course.Stop("deleted");
  if (Annotated(*metadata, "faultline.io/abort")) running.course.Stop("aborted");
  const bool pause = Annotated(*metadata, "faultline.io/pause");
  if (pause != running.course.status().paused) running.course.Pause(pause);
}

void Experiments::Impl::Step(const Key& key, Running& running) {
  ExperimentCourse& course = running.course;
  if (halted && course.status().selected) course.Stop("halt");
  const ExperimentStatus& status = course.status();
  if (!status.selected && !status.refused && status.stop_reason.empty() && !status.paused)
    TrySelect(key, running);
  CheckSteadyState(key, running);
  const int64_t now = clock->UnixNs();
  const std::vector<ExperimentRequest> requests = course.Next(now);
  course.Summarise(now);
  const auto saved =
      objects->SetStatus(kKind, key.first, key.second, StatusToJson(course.status()));
  if (!saved && LogAllowed("experiments/status")) {
    spdlog::error("status of experiment {}/{} cannot be kept: {}", key.first, key.second,
                  saved.error().message);
  }
  for (const ExperimentRequest& request : requests) {
    if (saved || request.recover) {
      Send(key, course, request);
    } else {
      const std::string uid = course.status().records[request.record].fault_uid;
      course.OnReply(uid, false,
                     std::unexpected(Error{ErrorCode::kUnavailable, saved.error().message}), now);
    }
  }
}

void Experiments::Impl::TrySelect(const Key& key, Running& running) {
  ExperimentCourse& course = running.course;
  if (halted)
    return course.RefuseSelection("Halted", "all faults are halted until somebody resumes them",
                                  false);
  const uint64_t seed = course.spec().seed ? *course.spec().seed : RandomSeed();
  const auto targets = Choose(key, running, seed);
  if (targets) {
    if (const auto resolved = ResolveOtherSide(course, seed); !resolved) {
      const bool final = clock->UnixNs() - running.since_unix_ns > kSelectNs;
      return course.RefuseSelection("NothingMatches", resolved.error().message, final);
    }
    if (const auto guarded = AddFinalizer(key); guarded) return course.Select(*targets, seed);
    return;  // next time
  }
  const bool nothing = targets.error().code == ErrorCode::kNotFound;
  const bool final = !nothing || clock->UnixNs() - running.since_unix_ns > kSelectNs;
  const bool policy = targets.error().code == ErrorCode::kPermissionDenied;
  course.RefuseSelection(nothing  ? "NothingMatches"
                         : policy ? "PolicyRefuses"
                                  : "CannotSelect",
                         targets.error().message, final);
}

Result<std::vector<Target>> Experiments::Impl::Choose(const Key& key, const Running& running,
                                                      uint64_t seed) const {
  ExperimentSpec spec = running.course.spec();
  const std::vector<NodeState> nodes = fleet->Nodes();
  FAULTLINE_ASSIGN(spec.selector, WithMachines(spec.selector));
  FAULTLINE_ASSIGN(std::vector<Target> found, FindTargets(spec, nodes));
  FAULTLINE_ASSIGN(std::vector<Target> targets, ChooseTargets(spec, std::move(found), seed));
  if (targets.size() > kMaxTargets) {
    return Fail(ErrorCode::kResourceExhausted, "{} targets, limit {}", targets.size(), kMaxTargets);
  }
  FAULTLINE_ASSIGN(const std::vector<Object> policies, objects->List("Policy", "", ""));
  std::vector<json::object> bodies;
  for (const Object& policy : policies) bodies.push_back(policy.body);
  FleetUse use;
  use.nodes_all = nodes.size();
  for (const auto& [other, experiment] : open) {
    if (other == key) continue;
    for (const TargetRecord& record : experiment.course.status().records) {
      const bool in_force =
          record.phase != RecordPhase::kRecovered && record.phase != RecordPhase::kFailed;
      if (in_force) use.nodes_under_fault.insert(record.node);
    }
  }
  FAULTLINE_TRY(CheckBlastRadius(bodies, spec, targets, use));
  return targets;
}

// Machines are nodes under the names that others gave them.
Result<TargetSelector> Experiments::Impl::WithMachines(const TargetSelector& selector) const {
  TargetSelector resolved = selector;
  if (!selector.machines) return resolved;
  FAULTLINE_ASSIGN(const std::vector<Object> machines, objects->List("PhysicalMachine", "", ""));
  const MachineSelector& wanted = *selector.machines;
  const auto contains = [](const std::vector<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  std::vector<std::string> nodes;
  for (const Object& machine : machines) {
    if (!wanted.namespaces.empty() && !contains(wanted.namespaces, machine.name_space)) continue;
    if (!wanted.names.empty()) {
      const auto names = wanted.names.find(machine.name_space);
      if (names == wanted.names.end() || !contains(names->second, machine.name)) continue;
    }
    if (!wanted.labels.Matches(LabelsOf(machine.body))) continue;
    const json::object* spec = ObjectAt(machine.body, "spec");
    std::string node = TextAt(spec, "node");
    if (node.empty()) node = machine.name;
    nodes.push_back(node);
    std::string address = TextAt(spec, "address");
    if (const size_t scheme = address.find("://"); scheme != std::string::npos)
      address = address.substr(scheme + 3);
    address = address.substr(0, address.find(':'));
    if (!address.empty()) nodes.push_back(address);
  }
  if (nodes.empty())
    return Fail(ErrorCode::kNotFound, "no PhysicalMachine matches spec.selector.machines");
  resolved.nodes.insert(resolved.nodes.end(), nodes.begin(), nodes.end());
  resolved.machines.reset();
  return resolved;
}

Result<void> Experiments::Impl::ResolveOtherSide(ExperimentCourse& course, uint64_t seed) const {
  const ExperimentSpec& spec = course.spec();
  if (!spec.other_side) return {};
  ExperimentSpec other = spec;
  other.selector = spec.other_side->selector;
  other.mode = spec.other_side->mode;
  other.mode_value = spec.other_side->mode_value;
  const std::vector<NodeState> nodes = fleet->Nodes();
  FAULTLINE_ASSIGN(std::vector<Target> found, FindTargets(other, nodes));
  FAULTLINE_ASSIGN(const std::vector<Target> chosen, ChooseTargets(other, std::move(found), seed));
  FAULTLINE_ASSIGN(const std::vector<std::string> addresses, AddressesOf(chosen, nodes));
  std::string list;
  for (const std::string& address : addresses) list += (list.empty() ? "" : ",") + address;
  course.Resolve("targets", list);
  return {};
}

// Asked from before the first injection on; the first breach ends it.
void Experiments::Impl::CheckSteadyState(const Key& key, Running& running) {
  if (checks == nullptr || !running.course.status().stop_reason.empty()) return;
  for (size_t i = 0; i < running.steady.size(); ++i) {
    CheckCourse& check = running.steady[i];
    if (check.state() == CheckCourse::State::kFailed) {
      running.course.Stop("steadyState: " + check.message());
      return;
    }
    if (!check.Due(clock->UnixNs())) continue;
    checks->Ask(check.spec(), [this, mail = inbox, key, i](Result<std::string> answer) {
      mail->Post([this, key, i, answer = std::move(answer)] {
        const auto at = open.find(key);
        if (at != open.end() && i < at->second.steady.size())
          at->second.steady[i].OnAnswer(answer, clock->UnixNs());
      });
    });
  }
}

Result<void> Experiments::Impl::AddFinalizer(const Key& key) {
  FAULTLINE_ASSIGN(const Object object, objects->Get(kKind, key.first, key.second));
  const json::object* metadata = ObjectAt(object.body, "metadata");
  if (metadata != nullptr && HasFinalizer(*metadata)) return {};
  json::array finalizers;
  if (metadata != nullptr) {
    if (const json::value* list = metadata->if_contains("finalizers");
        list != nullptr && list->is_array()) {
      finalizers = list->get_array();
    }
  }
  finalizers.push_back(json::string(kFinalizer));
  const json::value patch = {{"metadata", {{"finalizers", finalizers}}}};
  FAULTLINE_TRY(objects->Patch(kKind, key.first, key.second, patch));
  return {};
}

void Experiments::Impl::Send(const Key& key, const ExperimentCourse& course,
                             const ExperimentRequest& request) {
  const TargetRecord& record = course.status().records[request.record];
  const std::string uid = record.fault_uid;
  v1::Command command = course.CommandFor(request);
  command.set_deadline_unix_ns(clock->UnixNs() + 30 * kNsPerSecond);
  fleet->Send(
      record.node, std::move(command),
      [this, mail = inbox, key, uid, recover = request.recover](Result<v1::CommandReply> reply) {
        mail->Post([this, key, uid, recover, reply = std::move(reply)] {
          const auto at = open.find(key);
          if (at != open.end()) at->second.course.OnReply(uid, recover, reply, clock->UnixNs());
        });
      });
}

// What the ground truth knows and we may have missed.
void Experiments::Impl::CatchUp(ExperimentCourse& course) {
  std::vector<std::pair<std::string, std::string>> waiting;
  for (const TargetRecord& record : course.status().records) {
    const bool over = record.phase == RecordPhase::kRecovered && !record.cause_of_end.empty() &&
                      record.after.verdict() != v1::VERDICT_UNSPECIFIED;
    if (!record.fault_uid.empty() && !over) waiting.emplace_back(record.fault_uid, record.node);
  }
  for (const auto& [uid, node] : waiting) {
    const auto label = ground_truth->Find(uid);
    if (!label) continue;
    v1::FaultTransition transition;
    transition.set_fault_uid(uid);
    transition.set_phase(v1::FAULT_PHASE_INJECTED);
    course.OnTransition(node, transition, label->begin_unix_ns);
    if (label->effect.verdict() != v1::VERDICT_UNSPECIFIED) {
      transition.set_phase(v1::FAULT_PHASE_VERIFIED);
      *transition.mutable_effect() = label->effect;
      course.OnTransition(node, transition, label->begin_unix_ns);
    }
    if (label->end_unix_ns == 0) continue;
    transition.set_phase(label->phase);
    *transition.mutable_effect() = label->after;
    transition.mutable_residue()->Assign(label->residue.begin(), label->residue.end());
    transition.set_cause_of_end(label->message.substr(0, label->message.find(':')));
    transition.set_message(label->message);
    course.OnTransition(node, transition, label->end_unix_ns);
  }
}

void Experiments::Impl::TellHalt() {
  next_halt_ns = clock->SteadyNs() + kHaltAgainNs;
  for (const std::string& node : to_halt) {
    v1::Command command;
    command.set_requested_by("halt");
    command.mutable_recover_fault()->set_reason("halt");
    fleet->Send(node, std::move(command),
                [this, mail = inbox, node](Result<v1::CommandReply> reply) {
                  if (reply) mail->Post([this, node] { to_halt.erase(node); });
                });
  }
}

// ---- The outside -------------------------------------------------------------------------------

Experiments::Experiments(Objects* objects, Fleet* fleet, GroundTruth* ground_truth,
                         const Clock* clock)
    : impl_(std::make_unique<Impl>(objects, fleet, ground_truth, clock)) {}

Experiments::~Experiments() { Stop(); }

void Experiments::UseChecks(CheckRunner* checks) { impl_->checks = checks; }

void Experiments::Start() {
  impl_->watch = impl_->objects->Watch(kKind, [impl = impl_.get()](const ObjectEvent& event) {
    const Key key{event.object.name_space, event.object.name};
    impl->inbox->Post([impl, key] { impl->Reload(key); });
  });
  impl_->labels.Start();
  impl_->halted = impl_->objects->Get("Policy", "default", kHaltPolicy).has_value();
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void Experiments::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->objects->Unwatch(impl_->watch);
  impl_->labels.Stop();
  impl_->stopping = true;
  impl_->inbox->Post([] {});
  impl_->thread.join();
  impl_->inbox->tasks.Close();
}

Result<int> Experiments::Halt(const std::string& principal) {
  impl_->halted = true;
  spdlog::warn("all faults are halted by {}", principal);
  const auto kept = impl_->objects->Apply(
      {{"apiVersion", kApiVersion},
       {"kind", "Policy"},
       {"metadata",
        {{"name", kHaltPolicy}, {"annotations", {{"faultline.io/halted-by", principal}}}}},
       {"spec", {{"maxNodes", 0}}}});
  if (!kept) spdlog::error("the halt will not outlive a restart: {}", kept.error().message);
  int told = 0;
  std::set<std::string> nodes;
  for (const NodeState& node : impl_->fleet->Nodes()) {
    nodes.insert(node.node);
    told += node.up ? 1 : 0;
  }
  impl_->inbox->Post([impl = impl_.get(), nodes] {
    impl->to_halt = nodes;
    impl->next_halt_ns = 0;
  });
  return told;
}

Result<void> Experiments::Resume(const std::string& principal) {
  spdlog::warn("faults are allowed again by {}", principal);
  if (const auto gone = impl_->objects->Delete("Policy", "default", kHaltPolicy);
      !gone && gone.error().code != ErrorCode::kNotFound) {
    return gone;
  }
  impl_->halted = false;
  impl_->inbox->Post([impl = impl_.get()] { impl->to_halt.clear(); });
  return {};
}

bool Experiments::halted() const { return impl_->halted; }

void Experiments::OnTransition(const std::string& node, const v1::FaultTransition& transition) {
  const auto state = impl_->fleet->Node(node);
  const int64_t time_unix_ns = transition.time_unix_ns() - (state ? state->clock_offset_ns : 0);
  impl_->inbox->Post([impl = impl_.get(), node, transition, time_unix_ns] {
    for (auto& [key, running] : impl->open) {
      if (running.course.OnTransition(node, transition, time_unix_ns)) return;
    }
  });
}

}  // namespace faultline
