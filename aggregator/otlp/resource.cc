#include "aggregator/otlp/resource.h"

#include <algorithm>

#include "aggregator/otlp/attribute_values.h"
#include "common/text.h"

namespace faultline::otlp {

std::string LabelNameOf(std::string_view attribute) {
  std::string name;
  for (const char c : attribute) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (digit && name.empty()) name = "key_";
    name += letter || digit ? c : '_';
  }
  if (name.starts_with('_') && !name.starts_with("__")) name.insert(0, "key");
  return name;
}

ResourceView::ResourceView(const v1::Resource& resource) {
  std::string space, host;
  for (const v1::KeyValue& pair : resource.attributes()) {
    const std::string text = TextOf(pair.value());
    const std::string& key = pair.key();
    if (key == "service.name") {
      service = text;
    } else if (key == "service.namespace") {
      space = text;
    } else if (key == "service.instance.id") {
      instance = text;
    } else if (key == "k8s.node.name") {
      node = text;
    } else if (key == "k8s.namespace.name") {
      subject.set_namespace_(text);
    } else if (key == "k8s.pod.name") {
      subject.set_pod(text);
    } else if (key == "k8s.container.name") {
      subject.set_container(text);
    } else {
      if (key == "host.name") host = text;
      if (key == "container.id") subject.set_container_id(text);
      if (key == "process.executable.name") subject.set_comm(text);
      if (key == "process.pid") {
        subject.set_pid(static_cast<uint32_t>(std::clamp<int64_t>(
            ParseInt(text).value_or(0), 0, INT32_MAX)));
      }
      if (!text.empty()) rest.emplace_back(LabelNameOf(key), text);
    }
  }
  if (service.empty()) service = "unknown_service";
  if (node.empty()) node = host;
  job = space.empty() ? service : space + "/" + service;
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"container", subject.container()},
           {"namespace", subject.namespace_()},
           {"node", node},
           {"pod", subject.pod()}}) {
    if (!value.empty()) place.emplace_back(name, value);
  }
}

}  // namespace faultline::otlp
