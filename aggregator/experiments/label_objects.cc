#include "aggregator/experiments/label_objects.h"

#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

const json::object* ObjectAt(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

std::string TextAt(const json::object* object, std::string_view name) {
  const json::value* value = object != nullptr ? object->if_contains(name) : nullptr;
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

void LabelObjects::Start() {
  watch_ = objects_->Watch("Label", [this](const ObjectEvent& event) { Take(event); });
  if (const auto list = objects_->List("Label", "", "")) {
    for (const Object& object : *list) Take({ObjectEvent::Type::kAdded, object});
  }
}

void LabelObjects::Stop() { objects_->Unwatch(watch_); }

void LabelObjects::Take(const ObjectEvent& event) {
  const Object& object = event.object;
  const std::string uid = fmt::format("object/{}/{}", object.name_space, object.name);
  Result<void> taken;
  if (event.type == ObjectEvent::Type::kDeleted) {
    taken = truth_->Remove(uid);
  } else {
    const json::object* spec = ObjectAt(object.body, "spec");
    FaultLabel label;
    label.uid = uid;
    label.source = TextAt(spec, "source") == "imported" ? "imported" : "manual";
    label.fault = TextAt(spec, "fault");
    label.node = TextAt(spec, "node");
    label.message = TextAt(spec, "message");
    label.target.set_namespace_(TextAt(spec, "namespace"));
    label.target.set_pod(TextAt(spec, "pod"));
    label.target.set_container(TextAt(spec, "container"));
    label.target.set_cgroup(TextAt(spec, "cgroup"));
    label.begin_unix_ns = ParseTime(TextAt(spec, "begin")).value_or(0);
    label.end_unix_ns = ParseTime(TextAt(spec, "end")).value_or(0);
    taken = truth_->Add(std::move(label));
  }
  if (!taken)
    spdlog::warn("label object {}/{}: {}", object.name_space, object.name, taken.error().message);
}

}  // namespace faultline
