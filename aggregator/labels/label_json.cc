#include "aggregator/labels/label_json.h"

#include <array>

#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 7> kPhases = {"",         "requested", "planned", "injected",
                                                     "verified", "recovered", "failed"};
constexpr std::array<std::string_view, 4> kVerdicts = {"", "true", "false", "inconclusive"};

const json::value* Find(const json::value& value, std::string_view name) {
  return value.is_object() ? value.get_object().if_contains(name) : nullptr;
}

std::string TextOf(const json::value& value, std::string_view name) {
  const json::value* found = Find(value, name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

double NumberOf(const json::value& value, std::string_view name) {
  const json::value* found = Find(value, name);
  return found != nullptr && found->is_number() ? found->to_number<double>() : 0;
}

template <size_t N>
int IndexOf(const std::array<std::string_view, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<int>(i);
  }
  return 0;
}

}  // namespace

json::object SubjectToJson(const v1::Subject& subject) {
  json::object object;
  const auto put = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  put("namespace", subject.namespace_());
  put("pod", subject.pod());
  put("container", subject.container());
  put("containerId", subject.container_id());
  put("cgroup", subject.cgroup());
  put("comm", subject.comm());
  if (subject.pid() != 0) object["pid"] = subject.pid();
  return object;
}

v1::Subject SubjectFromJson(const json::value& value) {
  v1::Subject subject;
  subject.set_namespace_(TextOf(value, "namespace"));
  subject.set_pod(TextOf(value, "pod"));
  subject.set_container(TextOf(value, "container"));
  subject.set_container_id(TextOf(value, "containerId"));
  subject.set_cgroup(TextOf(value, "cgroup"));
  subject.set_comm(TextOf(value, "comm"));
  subject.set_pid(static_cast<uint32_t>(NumberOf(value, "pid")));
  return subject;
}

std::string_view FaultPhaseName(v1::FaultPhase phase) {
  const auto index = static_cast<size_t>(phase);
  return index < kPhases.size() ? kPhases[index] : "";
}

std::string_view VerdictName(v1::Verdict verdict) {
  const auto index = static_cast<size_t>(verdict);
  return index < kVerdicts.size() ? kVerdicts[index] : "";
}

json::object EffectToJson(const v1::Effect& effect) {
  json::object object;
  object["verdict"] = VerdictName(effect.verdict());
  object["reason"] = effect.reason();
  json::array& measurements = object["measurements"].emplace_array();
  for (const v1::Measurement& measurement : effect.measurements()) {
    measurements.push_back({{"name", measurement.name()},
                            {"before", measurement.before()},
                            {"during", measurement.during()},
                            {"asked", measurement.asked()}});
  }
  return object;
}

v1::Effect EffectFromJson(const json::value& value) {
  v1::Effect effect;
  effect.set_verdict(static_cast<v1::Verdict>(IndexOf(kVerdicts, TextOf(value, "verdict"))));
  effect.set_reason(TextOf(value, "reason"));
  if (const json::value* list = Find(value, "measurements"); list != nullptr && list->is_array()) {
    for (const json::value& row : list->get_array()) {
      v1::Measurement& measurement = *effect.add_measurements();
      measurement.set_name(TextOf(row, "name"));
      measurement.set_before(NumberOf(row, "before"));
      measurement.set_during(NumberOf(row, "during"));
      measurement.set_asked(NumberOf(row, "asked"));
    }
  }
  return effect;
}

json::object LabelToJson(const FaultLabel& label) {
  json::object object;
  object["uid"] = label.uid;
  object["experiment"] = label.experiment;
  object["fault"] = label.fault;
  object["node"] = label.node;
  object["target"] = SubjectToJson(label.target);
  object["beginUnixNs"] = std::to_string(label.begin_unix_ns);
  object["begin"] = FormatTime(label.begin_unix_ns);
  object["endUnixNs"] = std::to_string(label.end_unix_ns);
  if (label.end_unix_ns != 0) object["end"] = FormatTime(label.end_unix_ns);
  object["phase"] = FaultPhaseName(label.phase);
  object["effect"] = EffectToJson(label.effect);
  object["after"] = EffectToJson(label.after);
  object["residue"] = json::array(label.residue.begin(), label.residue.end());
  json::object& parameters = object["parameters"].emplace_object();
  for (const auto& [name, text] : label.parameters) parameters[name] = text;
  object["source"] = label.source;
  object["message"] = label.message;
  return object;
}

Result<FaultLabel> LabelFromJson(const json::value& value) {
  FaultLabel label;
  label.uid = TextOf(value, "uid");
  label.fault = TextOf(value, "fault");
  if (label.uid.empty() || label.fault.empty())
    return Fail(ErrorCode::kCorruption, "label: uid or fault is missing");
  const auto begin = ParseInt(TextOf(value, "beginUnixNs"));
  const auto end = ParseInt(TextOf(value, "endUnixNs"));
  if (!begin || !end) return Fail(ErrorCode::kCorruption, "label {}: no begin or end", label.uid);
  label.begin_unix_ns = *begin;
  label.end_unix_ns = *end;
  label.experiment = TextOf(value, "experiment");
  label.node = TextOf(value, "node");
  const json::value none;
  const auto part = [&](std::string_view name) -> const json::value& {
    const json::value* found = Find(value, name);
    return found != nullptr ? *found : none;
  };
  label.target = SubjectFromJson(part("target"));
  label.phase = static_cast<v1::FaultPhase>(IndexOf(kPhases, TextOf(value, "phase")));
  label.effect = EffectFromJson(part("effect"));
  label.after = EffectFromJson(part("after"));
  if (const json::value& residue = part("residue"); residue.is_array()) {
    for (const json::value& row : residue.get_array()) {
      if (row.is_string()) label.residue.emplace_back(row.get_string());
    }
  }
  if (const json::value& parameters = part("parameters"); parameters.is_object()) {
    for (const auto& [name, text] : parameters.get_object()) {
      if (text.is_string()) label.parameters[std::string(name)] = std::string(text.get_string());
    }
  }
  label.source = TextOf(value, "source");
  label.message = TextOf(value, "message");
  return label;
}

}  // namespace faultline
