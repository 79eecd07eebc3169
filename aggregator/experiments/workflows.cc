// Each pass compares the objects there are with what their courses want. Children carry the label
// faultline.io/workflow or faultline.io/schedule with the owner's name; an owner that is gone takes
// its children with it (they are aborted, so that what they injected is recovered).
#include "aggregator/experiments/workflows.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "aggregator/experiments/schedule_course.h"
#include "aggregator/experiments/workflow_course.h"
#include "common/bounded_queue.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr auto kPassPeriod = std::chrono::milliseconds(500);
constexpr size_t kMaxTasks = 10'000;

using Key = std::pair<std::string, std::string>;  // namespace, name

const json::object& ObjectAt(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool Annotated(const json::object& body, std::string_view name) {
  return TextAt(ObjectAt(ObjectAt(body, "metadata"), "annotations"), name) == "true";
}

bool IsOver(const json::object& body) {
  const std::string phase = TextAt(ObjectAt(body, "status"), "phase");
  return phase == "Finished" || phase == "Failed" || phase == "Planned" || phase == "Aborted" ||
         phase == "DeadlineExceeded";
}

// What an experiment that is over says about itself.
ChildState StateOf(const json::object& body) {
  ChildState state;
  const json::object& status = ObjectAt(body, "status");
  state.ended = IsOver(body);
  state.failed = TextAt(status, "phase") == "Failed";
  if (const json::value* list = status.if_contains("conditions");
      list != nullptr && list->is_array()) {
    for (const json::value& condition : list->get_array()) {
      if (condition.is_object() && TextAt(condition.get_object(), "type") == "Verified")
        state.message = TextAt(condition.get_object(), "message");
    }
  }
  const json::value* records = status.if_contains("records");
  if (records == nullptr || !records->is_array() || records->get_array().empty()) return state;
  const json::object& effect = ObjectAt(records->get_array().front().as_object(), "effect");
  const std::string reason = TextAt(effect, "reason");
  const size_t colon = reason.find(": ");
  state.stdout_text = colon == std::string::npos ? "" : reason.substr(colon + 2);
  if (const json::value* list = effect.if_contains("measurements");
      list != nullptr && list->is_array()) {
    for (const json::value& one : list->get_array()) {
      if (!one.is_object() || TextAt(one.get_object(), "name") != "exit_code") continue;
      const json::value* during = one.get_object().if_contains("during");
      if (during != nullptr && during->is_number()) state.exit_code = during->to_number<double>();
    }
  }
  return state;
}

// Outlives the workflows in the answers that were still under way.
struct Mailbox {
  BoundedQueue<std::function<void()>> tasks{kMaxTasks};
};

}  // namespace

struct Workflows::Impl {
  struct Running {
    std::unique_ptr<WorkflowCourse> course;
    std::string written;  // the status, as it was last kept
  };

  class World final : public WorkflowWorld {
   public:
    World(Impl* impl, Key key) : impl_(impl), key_(std::move(key)) {}
    Result<void> Make(const std::string& kind, const std::string& name,
                      const json::object& spec) override {
      return impl_->MakeChild(kind, key_.first, name, "faultline.io/workflow", key_.second, spec);
    }
    ChildState Look(const std::string& kind, const std::string& name) override {
      const auto object = impl_->objects->Get(kind, key_.first, name);
      if (!object) return {.ended = true, .failed = true, .message = "it is gone"};
      return StateOf(object->body);
    }
    void End(const std::string& kind, const std::string& name) override {
      impl_->EndChild(kind, key_.first, name);
    }
    void Ask(size_t step, const CheckSpec& check) override {
      impl_->checks->Ask(
          check, [mail = impl_->mail, impl = impl_, key = key_, step](Result<std::string> answer) {
            mail->tasks.TryPush([impl, key, step, answer = std::move(answer)] {
              const auto at = impl->running.find(key);
              if (at != impl->running.end())
                at->second.course->OnAnswer(step, answer, impl->clock->UnixNs());
            });
          });
    }

   private:
    Impl* const impl_;
    const Key key_;
  };

  void Run();
  void Pass();
  void PassWorkflow(const Object& object);
  void PassSchedule(const Object& object);
  Result<void> MakeChild(const std::string& kind, const std::string& name_space,
                         const std::string& name, const std::string& label,
                         const std::string& owner, const json::object& spec);
  void EndChild(const std::string& kind, const std::string& name_space, const std::string& name);
  std::vector<Object> ChildrenOf(const std::string& name_space, const std::string& label,
                                 const std::string& owner) const;

  Objects* objects;
  CheckRunner* checks;
  const Clock* clock;
  const std::shared_ptr<Mailbox> mail = std::make_shared<Mailbox>();
  std::atomic<bool> stopping = false;
  std::thread thread;
  std::map<Key, Running> running;
  std::map<std::pair<std::string, Key>, bool> known;  // owners seen: kind and key
};

Result<void> Workflows::Impl::MakeChild(const std::string& kind, const std::string& name_space,
                                        const std::string& name, const std::string& label,
                                        const std::string& owner, const json::object& spec) {
  if (objects->Get(kind, name_space, name)) return {};
  json::object body = {
      {"apiVersion", kApiVersion},
      {"kind", kind},
      {"metadata", {{"name", name}, {"namespace", name_space}, {"labels", {{label, owner}}}}},
      {"spec", spec}};
  const auto made = objects->Create(std::move(body));
  if (made || made.error().code == ErrorCode::kConflict) return {};
  return std::unexpected(made.error());
}

void Workflows::Impl::EndChild(const std::string& kind, const std::string& name_space,
                               const std::string& name) {
  if (kind == "Schedule") {
    (void)objects->Delete(kind, name_space, name);
    return;
  }
  const json::value patch = {{"metadata", {{"annotations", {{"faultline.io/abort", "true"}}}}}};
  (void)objects->Patch(kind, name_space, name, patch);
}

std::vector<Object> Workflows::Impl::ChildrenOf(const std::string& name_space,
                                                const std::string& label,
                                                const std::string& owner) const {
  std::vector<Object> children;
  for (const char* kind : {"Experiment", "Workflow", "Schedule"}) {
    auto list = objects->List(kind, name_space, label + "=" + owner);
    if (!list) continue;
    for (Object& object : *list) children.push_back(std::move(object));
  }
  return children;
}

void Workflows::Impl::PassWorkflow(const Object& object) {
  const Key key{object.name_space, object.name};
  auto at = running.find(key);
  if (at == running.end()) {
    if (IsOver(object.body)) return;
    const json::value* status = object.body.if_contains("status");
    at = running.emplace(key, Running{}).first;
    at->second.course = std::make_unique<WorkflowCourse>(
        object.name, ObjectAt(object.body, "spec"), status == nullptr ? json::value() : *status);
  }
  Running& one = at->second;
  if (Annotated(object.body, "faultline.io/abort")) one.course->Abort("aborted");
  World world(this, key);
  // Paused: what runs goes on, nothing new begins.
  if (!Annotated(object.body, "faultline.io/pause")) one.course->Step(clock->UnixNs(), world);
  json::object status = one.course->ToJson();
  std::string text = json::serialize(status);
  if (text != one.written &&
      objects->SetStatus("Workflow", key.first, key.second, std::move(status)))
    one.written = std::move(text);
  if (one.course->finished()) running.erase(at);
}

void Workflows::Impl::PassSchedule(const Object& object) {
  const json::object& spec = ObjectAt(object.body, "spec");
  const auto rules = ReadScheduleRules(spec);
  if (!rules || Annotated(object.body, "faultline.io/pause")) return;
  std::vector<Object> children =
      ChildrenOf(object.name_space, "faultline.io/schedule", object.name);
  std::vector<std::string> active, over;
  for (const Object& child : children)
    (IsOver(child.body) ? over : active).push_back(child.kind + "/" + child.name);
  const json::object& before = ObjectAt(object.body, "status");
  const int64_t now = clock->UnixNs();
  const std::string last_text = TextAt(before, "lastScheduleTime");
  const std::string made_text = TextAt(ObjectAt(object.body, "metadata"), "creationTimestamp");
  const int64_t last = ParseTime(last_text.empty() ? made_text : last_text).value_or(now);
  const ScheduleDecision decision = DecideSchedule(*rules, last, now, active.size());
  std::string message = decision.message;
  int64_t count = before.contains("started") && before.at("started").is_int64()
                      ? before.at("started").get_int64()
                      : 0;
  if (decision.start_unix_ns) {
    const std::string kind = spec.contains("experiment") ? "Experiment" : "Workflow";
    const std::string name =
        fmt::format("{}-{}", object.name.substr(0, 200), *decision.start_unix_ns / kNsPerSecond);
    const auto made = MakeChild(kind, object.name_space, name, "faultline.io/schedule", object.name,
                                ObjectAt(spec, kind == "Experiment" ? "experiment" : "workflow"));
    message = made ? "started " + name : made.error().message;
    if (made) active.push_back(kind + "/" + name), ++count;
  }
  // The oldest go first: their names carry the time.
  std::sort(over.begin(), over.end());
  for (size_t i = 0; i + rules->history_limit < over.size(); ++i) {
    const size_t slash = over[i].find('/');
    (void)objects->Delete(over[i].substr(0, slash), object.name_space, over[i].substr(slash + 1));
  }
  if (over.size() > rules->history_limit)
    over.erase(over.begin(), over.end() - static_cast<long>(rules->history_limit));
  json::object status = {{"phase", "Running"},
                         {"active", json::array(active.begin(), active.end())},
                         {"history", json::array(over.begin(), over.end())},
                         {"started", count}};
  if (decision.last_unix_ns != last || !last_text.empty())
    status["lastScheduleTime"] = FormatTime(decision.last_unix_ns);
  if (const auto next = rules->cron.Next(std::max(decision.last_unix_ns, now)))
    status["nextScheduleTime"] = FormatTime(*next);
  if (!message.empty()) status["message"] = message;
  // @every counts from the last start.
  if (const auto next = rules->cron.Next(decision.last_unix_ns); next && *next > now)
    status["nextScheduleTime"] = FormatTime(*next);
  if (json::serialize(status) != json::serialize(before))
    (void)objects->SetStatus("Schedule", object.name_space, object.name, std::move(status));
}

void Workflows::Impl::Pass() {
  for (auto& [owner, there] : known) there = false;
  for (const char* kind : {"Workflow", "Schedule"}) {
    const auto list = objects->List(kind, "", "");
    if (!list) return;
    for (const Object& object : *list) {
      if (object.body.at("metadata").as_object().contains("deletionTimestamp")) continue;
      known[{kind, {object.name_space, object.name}}] = true;
      if (std::string_view(kind) == "Workflow") {
        PassWorkflow(object);
      } else {
        PassSchedule(object);
      }
    }
  }
  for (auto at = known.begin(); at != known.end();) {
    if (at->second) {
      ++at;
      continue;
    }
    const auto& [kind, key] = at->first;
    running.erase(key);
    for (const Object& child : ChildrenOf(
             key.first, kind == "Workflow" ? "faultline.io/workflow" : "faultline.io/schedule",
             key.second)) {
      if (!IsOver(child.body)) EndChild(child.kind, key.first, child.name);
    }
    at = known.erase(at);
  }
}

void Workflows::Impl::Run() {
  while (!stopping) {
    Pass();
    if (auto task = mail->tasks.Pop(kPassPeriod)) {
      (*task)();
      while ((task = mail->tasks.Pop(std::chrono::nanoseconds(0)))) (*task)();
    }
  }
}

Workflows::Workflows(Objects* objects, CheckRunner* checks, const Clock* clock)
    : impl_(std::make_unique<Impl>()) {
  impl_->objects = objects;
  impl_->checks = checks;
  impl_->clock = clock;
}

Workflows::~Workflows() { Stop(); }

void Workflows::Start() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void Workflows::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->stopping = true;
  impl_->mail->tasks.TryPush([] {});
  impl_->thread.join();
  impl_->mail->tasks.Close();
}

}  // namespace faultline
