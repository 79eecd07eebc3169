#include "aggregator/checks/check_runs.h"

#include <atomic>
#include <map>
#include <thread>

#include "aggregator/checks/fleet_run.h"
#include "aggregator/checks/rule_choice.h"
#include "common/bounded_queue.h"
#include "common/cron.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxTasks = 10'000;
constexpr int64_t kDefaultTimeoutNs = 120 * kNsPerSecond;
constexpr int64_t kDefaultStaggerNs = 2 * kNsPerSecond;
constexpr int64_t kSaveNs = kNsPerSecond;
constexpr size_t kDefaultHistory = 10;

// kind, namespace, name
using Key = std::tuple<std::string, std::string, std::string>;

json::object ObjectAt(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : json::object();
}

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

int64_t DurationAt(const json::object& spec, std::string_view name, int64_t otherwise) {
  return ParseDurationNs(TextAt(spec, name)).value_or(otherwise);
}

bool Over(const json::object& status) {
  const std::string phase = TextAt(status, "phase");
  return phase == "Completed" || phase == "Failed";
}

}  // namespace

struct CheckRuns::Impl : std::enable_shared_from_this<CheckRuns::Impl> {
  struct Check {
    json::object spec;
    json::object status;
    std::optional<CronSchedule> schedule;
    std::optional<int64_t> next_unix_ns;
    std::optional<FleetRun> run;
    v1::CheckSelector selector;
    bool changed = false;  // since the status was saved
    int64_t save_at_unix_ns = 0;
  };

  Impl(Objects* the_objects, Fleet* the_fleet, const Clock* the_clock)
      : objects(the_objects), fleet(the_fleet), clock(the_clock) {}

  void Run();
  void ReloadAll();
  void Reload(const Key& key);
  void Step(const Key& key, Check& check);
  void Begin(const Key& key, Check& check);
  void Ask(const Key& key, Check& check, const std::string& node);
  void OnReply(const Key& key, const std::string& node, int64_t run_start,
               Result<v1::CommandReply> reply);
  void Save(const Key& key, Check& check);
  void Refuse(const Key& key, Check& check, const Error& error);

  Objects* const objects;
  Fleet* const fleet;
  const Clock* const clock;
  BoundedQueue<std::function<void()>> tasks{kMaxTasks};
  std::atomic<bool> stopping = false;
  std::atomic<bool> missed = true;
  std::thread thread;
  std::vector<uint64_t> watches;
  std::map<Key, Check> checks;  // owned by the thread
};

void CheckRuns::Impl::Run() {
  while (!stopping) {
    if (missed.exchange(false)) ReloadAll();
    if (auto task = tasks.Pop(std::chrono::milliseconds(100))) {
      (*task)();
      for (int more = 0; more < 1000 && (task = tasks.Pop(std::chrono::nanoseconds(0))); ++more)
        (*task)();
    }
    for (auto& [key, check] : checks) Step(key, check);
  }
}

void CheckRuns::Impl::ReloadAll() {
  for (const char* kind : {"NodeCheck", "ClusterCheck"}) {
    const auto list = objects->List(kind, "", "");
    for (const Object& object : list ? *list : std::vector<Object>())
      Reload({kind, object.name_space, object.name});
  }
}

void CheckRuns::Impl::Reload(const Key& key) {
  const auto& [kind, name_space, name] = key;
  const auto object = objects->Get(kind, name_space, name);
  if (!object) {
    checks.erase(key);
    return;
  }
  const json::object spec = ObjectAt(object->body, "spec");
  const auto at = checks.find(key);
  if (at != checks.end() && at->second.spec == spec) return;
  Check& check = checks[key];
  const bool is_new = at == checks.end();
  check.spec = spec;
  if (is_new) check.status = ObjectAt(object->body, "status");
  const bool cut_off = is_new && TextAt(check.status, "phase") == "Checking";
  check.schedule.reset();
  check.next_unix_ns.reset();
  const std::string schedule = TextAt(spec, "schedule");
  if (!schedule.empty()) {
    if (auto parsed = CronSchedule::Parse(schedule)) check.schedule = *parsed;
    // A turn that came while we were away is made up for, once.
    const auto last = is_new ? ParseTime(TextAt(check.status, "lastScheduleTime")) : std::nullopt;
    if (check.schedule) check.next_unix_ns = check.schedule->Next(last.value_or(clock->UnixNs()));
    if (check.next_unix_ns) check.status["nextScheduleTime"] = FormatTime(*check.next_unix_ns);
    check.changed = true;
    if (cut_off) Begin(key, check);
    return;
  }
  // Without a schedule: once; again when the spec changes.
  if (!Over(check.status) || !is_new) Begin(key, check);
}

void CheckRuns::Impl::Begin(const Key& key, Check& check) {
  const auto& [kind, name_space, name] = key;
  auto selector = ChooseRules(check.spec, name_space, *objects);
  if (!selector) return Refuse(key, check, selector.error());
  check.selector = *std::move(selector);
  std::vector<std::string> nodes;
  if (kind == "NodeCheck") {
    nodes = {TextAt(check.spec, "node")};
  } else {
    nodes = ChooseNodes(fleet->Nodes(), check.spec.if_contains("nodeSelector"));
  }
  if (nodes.empty())
    return Refuse(key, check, {ErrorCode::kNotFound, "spec.nodeSelector chooses no node"});
  const int64_t timeout = DurationAt(check.spec, "timeout", kDefaultTimeoutNs);
  const int64_t stagger =
      nodes.size() > 1 ? DurationAt(check.spec, "stagger", kDefaultStaggerNs) : 0;
  check.run = PlanRun(nodes, clock->UnixNs(), stagger, timeout);
  check.status.erase("error");
  check.changed = true;
}

void CheckRuns::Impl::Refuse(const Key& key, Check& check, const Error& error) {
  check.run.reset();
  check.status["phase"] = "Failed";
  check.status["error"] = error.message;
  check.status["completionTime"] = FormatTime(clock->UnixNs());
  check.changed = true;
  Save(key, check);
}

void CheckRuns::Impl::Step(const Key& key, Check& check) {
  const int64_t now = clock->UnixNs();
  if (check.next_unix_ns && now >= *check.next_unix_ns) {
    const json::value* suspend = check.spec.if_contains("suspend");
    const bool suspended = suspend != nullptr && suspend->is_bool() && suspend->get_bool();
    // One run at a time: a turn that comes while the last still runs is left out, and said.
    if (check.run) {
      check.status["lastSkippedTime"] = FormatTime(*check.next_unix_ns);
    } else if (!suspended) {
      check.status["lastScheduleTime"] = FormatTime(*check.next_unix_ns);
      Begin(key, check);
    }
    check.next_unix_ns = check.schedule->Next(now);
    if (check.next_unix_ns) check.status["nextScheduleTime"] = FormatTime(*check.next_unix_ns);
    check.changed = true;
  }
  if (check.run) {
    for (auto& [node, one] : check.run->nodes) {
      if (one.phase == NodeRunPhase::kWaiting && now >= one.start_at_unix_ns) {
        one.phase = NodeRunPhase::kAsked;
        check.changed = true;
        Ask(key, check, node);
      }
      // The fleet gives up at the deadline too; this is for replies that never come.
      if (one.phase == NodeRunPhase::kAsked &&
          now > check.run->deadline_unix_ns + 5 * kNsPerSecond) {
        one.phase = NodeRunPhase::kFailed;
        one.error = "no answer in time";
        check.changed = true;
      }
    }
  }
  const bool finished = check.run && check.run->Finished();
  if (check.changed && (finished || now >= check.save_at_unix_ns)) Save(key, check);
}

void CheckRuns::Impl::Ask(const Key& key, Check& check, const std::string& node) {
  v1::Command command;
  command.set_requested_by(
      fmt::format("{} {}/{}", std::get<0>(key), std::get<1>(key), std::get<2>(key)));
  command.set_deadline_unix_ns(check.run->deadline_unix_ns);
  *command.mutable_run_checks()->mutable_selector() = check.selector;
  const int64_t start = check.run->start_unix_ns;
  fleet->Send(node, std::move(command),
              [weak = weak_from_this(), key, node, start](Result<v1::CommandReply> reply) {
                const auto self = weak.lock();
                if (!self) return;
                auto task = [raw = self.get(), key, node, start, reply = std::move(reply)] {
                  raw->OnReply(key, node, start, reply);
                };
                if (!self->tasks.TryPush(std::move(task)) && LogAllowed("check_runs/queue")) {
                  spdlog::warn("replies of checks are dropped: {} wait", kMaxTasks);
                }
              });
}

void CheckRuns::Impl::OnReply(const Key& key, const std::string& node, int64_t run_start,
                              Result<v1::CommandReply> reply) {
  const auto at = checks.find(key);
  if (at == checks.end() || !at->second.run || at->second.run->start_unix_ns != run_start) return;
  NodeRun& one = at->second.run->nodes[node];
  if (one.phase != NodeRunPhase::kAsked) return;
  one.phase = reply && reply->checks_size() > 0 ? NodeRunPhase::kDone : NodeRunPhase::kFailed;
  if (!reply) {
    one.error = reply.error().message;
  } else if (reply->checks_size() == 0) {
    one.error = "no rule of this node is chosen";
  } else {
    one.results.assign(reply->checks().begin(), reply->checks().end());
  }
  at->second.changed = true;
}

void CheckRuns::Impl::Save(const Key& key, Check& check) {
  const auto& [kind, name_space, name] = key;
  const int64_t now = clock->UnixNs();
  check.changed = false;
  check.save_at_unix_ns = now + kSaveNs;
  bool finished = false;
  if (check.run) {
    finished = check.run->Finished();
    const json::value* limit = check.spec.if_contains("historyLimit");
    const size_t history = limit != nullptr && limit->is_int64()
                               ? static_cast<size_t>(limit->get_int64())
                               : kDefaultHistory;
    const std::vector<Outlier> outliers =
        finished ? FindOutliers(GatherAnswers(fleet->Nodes(), *check.run)) : std::vector<Outlier>();
    json::object status = RunStatus(*check.run, check.status, outliers, now, history);
    if (kind == "NodeCheck") {
      // As AegisNodeHealthCheck has it.
      status["status"] = finished
                             ? check.run->Count(NodeRunPhase::kFailed) > 0 ? "Failed" : "Succeeded"
                             : "Checking";
      for (const auto& [node, one] : check.run->nodes) {
        status["results"] = ResultInfos(one.results);
        if (!one.error.empty()) status["error"] = one.error;
      }
    }
    // What went before is kept until this run is over: the difference is made against it.
    if (finished) check.status = status;
    const auto kept = objects->SetStatus(kind, name_space, name, std::move(status));
    if (!kept && kept.error().code != ErrorCode::kNotFound && LogAllowed("check_runs/status")) {
      spdlog::error("status of {} {}/{} cannot be kept: {}", kind, name_space, name,
                    kept.error().message);
    }
  } else {
    (void)objects->SetStatus(kind, name_space, name, check.status);
  }
  if (finished) check.run.reset();
}

CheckRuns::CheckRuns(Objects* objects, Fleet* fleet, const Clock* clock)
    : impl_(std::make_shared<Impl>(objects, fleet, clock)) {}

CheckRuns::~CheckRuns() { Stop(); }

void CheckRuns::Start() {
  for (const char* kind : {"NodeCheck", "ClusterCheck"}) {
    impl_->watches.push_back(
        impl_->objects->Watch(kind, [impl = impl_.get()](const ObjectEvent& event) {
          Key key{event.object.kind, event.object.name_space, event.object.name};
          if (!impl->tasks.TryPush([impl, key] { impl->Reload(key); })) impl->missed = true;
        }));
  }
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void CheckRuns::Stop() {
  if (!impl_->thread.joinable()) return;
  for (const uint64_t watch : impl_->watches) impl_->objects->Unwatch(watch);
  impl_->stopping = true;
  impl_->tasks.TryPush([] {});
  impl_->thread.join();
  impl_->tasks.Close();
}

}  // namespace faultline
