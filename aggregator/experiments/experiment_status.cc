#include "aggregator/experiments/experiment_status.h"

#include <array>

#include "aggregator/labels/label_json.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxEvents = 20;
constexpr std::array<std::string_view, 6> kPhases = {"Selected",   "Injecting", "Injected",
                                                     "Recovering", "Recovered", "Failed"};

const json::value& At(const json::value& value, std::string_view name) {
  static const json::value kNone;
  const json::value* found = value.is_object() ? value.get_object().if_contains(name) : nullptr;
  return found != nullptr ? *found : kNone;
}

std::string TextAt(const json::value& value, std::string_view name) {
  const json::value& found = At(value, name);
  return found.is_string() ? std::string(found.get_string()) : std::string();
}

// Nanoseconds do not fit the numbers of many JSON readers: times are RFC 3339, with all nine
// digits.
void PutTime(json::object& object, std::string_view name, int64_t time_unix_ns) {
  if (time_unix_ns != 0) object[name] = FormatTime(time_unix_ns);
}

int64_t TimeAt(const json::value& value, std::string_view name) {
  return ParseTime(TextAt(value, name)).value_or(0);
}

std::vector<std::string> ListAt(const json::value& value, std::string_view name) {
  std::vector<std::string> list;
  if (const json::value& found = At(value, name); found.is_array()) {
    for (const json::value& item : found.get_array()) {
      if (item.is_string()) list.emplace_back(item.get_string());
    }
  }
  return list;
}

int64_t IntAt(const json::value& value, std::string_view name) {
  const json::value& found = At(value, name);
  if (found.is_int64()) return found.get_int64();
  return found.is_uint64() ? static_cast<int64_t>(found.get_uint64()) : 0;
}

json::object RecordToJson(const TargetRecord& record) {
  json::object object;
  object["id"] = record.id;
  object["node"] = record.node;
  object["target"] = SubjectToJson(record.target);
  object["phase"] = RecordPhaseName(record.phase);
  object["faultUid"] = record.fault_uid;
  object["durationMs"] = record.duration_ms;
  PutTime(object, "askedAt", record.asked_unix_ns);
  PutTime(object, "injectedAt", record.injected_unix_ns);
  PutTime(object, "recoveredAt", record.recovered_unix_ns);
  if (record.effect.verdict() != v1::VERDICT_UNSPECIFIED)
    object["effect"] = EffectToJson(record.effect);
  if (record.after.verdict() != v1::VERDICT_UNSPECIFIED)
    object["after"] = EffectToJson(record.after);
  if (!record.residue.empty())
    object["residue"] = json::array(record.residue.begin(), record.residue.end());
  if (!record.victims.empty())
    object["victims"] = json::array(record.victims.begin(), record.victims.end());
  if (!record.cause_of_end.empty()) object["causeOfEnd"] = record.cause_of_end;
  if (!record.message.empty()) object["message"] = record.message;
  json::array& events = object["events"].emplace_array();
  for (const RecordEvent& event : record.events) {
    events.push_back({{"timestamp", FormatTime(event.time_unix_ns)},
                      {"operation", event.operation},
                      {"type", event.succeeded ? "Succeeded" : "Failed"},
                      {"message", event.message}});
  }
  return object;
}

TargetRecord RecordFromJson(const json::value& value) {
  TargetRecord record;
  record.id = TextAt(value, "id");
  record.node = TextAt(value, "node");
  record.target = SubjectFromJson(At(value, "target"));
  const std::string phase = TextAt(value, "phase");
  for (size_t i = 0; i < kPhases.size(); ++i) {
    if (kPhases[i] == phase) record.phase = static_cast<RecordPhase>(i);
  }
  record.fault_uid = TextAt(value, "faultUid");
  record.duration_ms = IntAt(value, "durationMs");
  record.asked_unix_ns = TimeAt(value, "askedAt");
  record.injected_unix_ns = TimeAt(value, "injectedAt");
  record.recovered_unix_ns = TimeAt(value, "recoveredAt");
  record.effect = EffectFromJson(At(value, "effect"));
  record.after = EffectFromJson(At(value, "after"));
  record.residue = ListAt(value, "residue");
  record.victims = ListAt(value, "victims");
  record.cause_of_end = TextAt(value, "causeOfEnd");
  record.message = TextAt(value, "message");
  if (const json::value& events = At(value, "events"); events.is_array()) {
    for (const json::value& event : events.get_array()) {
      record.events.push_back({TimeAt(event, "timestamp"), TextAt(event, "operation"),
                               TextAt(event, "type") == "Succeeded", TextAt(event, "message")});
    }
  }
  return record;
}

}  // namespace

std::string_view RecordPhaseName(RecordPhase phase) { return kPhases[static_cast<size_t>(phase)]; }

void TargetRecord::AddEvent(int64_t time_unix_ns, std::string operation, bool succeeded,
                            std::string text) {
  // The same failure again and again (a node that is away) is one event.
  if (!events.empty() && events.back().operation == operation && events.back().message == text)
    return;
  events.push_back({time_unix_ns, std::move(operation), succeeded, std::move(text)});
  if (events.size() > kMaxEvents) events.erase(events.begin());
}

json::object StatusToJson(const ExperimentStatus& status) {
  json::object object;
  object["phase"] = status.phase;
  object["selected"] = status.selected;
  if (!status.refusal.empty()) {
    object["refusal"] = {
        {"reason", status.refusal_reason}, {"message", status.refusal}, {"final", status.refused}};
  }
  if (status.seed) object["seed"] = std::to_string(*status.seed);
  object["attempt"] = status.attempt;
  object["paused"] = status.paused;
  if (!status.stop_reason.empty()) object["stopReason"] = status.stop_reason;
  if (!status.resolved.empty()) {
    json::object& resolved = object["resolvedParameters"].emplace_object();
    for (const auto& [name, value] : status.resolved) resolved[name] = value;
  }
  json::array& conditions = object["conditions"].emplace_array();
  for (const Condition& condition : status.conditions) {
    conditions.push_back({{"type", condition.type},
                          {"status", condition.status},
                          {"reason", condition.reason},
                          {"message", condition.message},
                          {"lastTransitionTime", FormatTime(condition.since_unix_ns)}});
  }
  json::array& records = object["records"].emplace_array();
  for (const TargetRecord& record : status.records) records.push_back(RecordToJson(record));
  return object;
}

ExperimentStatus StatusFromJson(const json::value& value) {
  ExperimentStatus status;
  if (!value.is_object()) return status;
  if (const std::string phase = TextAt(value, "phase"); !phase.empty()) status.phase = phase;
  if (const json::value& resolved = At(value, "resolvedParameters"); resolved.is_object()) {
    for (const auto& [name, text] : resolved.get_object()) {
      if (text.is_string()) status.resolved[std::string(name)] = std::string(text.get_string());
    }
  }
  const json::value& selected = At(value, "selected");
  status.selected = selected.is_bool() && selected.get_bool();
  status.refusal = TextAt(At(value, "refusal"), "message");
  const json::value& final = At(At(value, "refusal"), "final");
  status.refused = final.is_bool() && final.get_bool();
  status.refusal_reason = TextAt(At(value, "refusal"), "reason");
  status.seed = ParseUint(TextAt(value, "seed"));
  status.attempt = IntAt(value, "attempt");
  const json::value& paused = At(value, "paused");
  status.paused = paused.is_bool() && paused.get_bool();
  status.stop_reason = TextAt(value, "stopReason");
  if (const json::value& conditions = At(value, "conditions"); conditions.is_array()) {
    for (const json::value& item : conditions.get_array()) {
      status.conditions.push_back({TextAt(item, "type"), TextAt(item, "status"),
                                   TextAt(item, "reason"), TextAt(item, "message"),
                                   TimeAt(item, "lastTransitionTime")});
    }
  }
  if (const json::value& records = At(value, "records"); records.is_array()) {
    for (const json::value& record : records.get_array())
      status.records.push_back(RecordFromJson(record));
  }
  return status;
}

}  // namespace faultline
