// Docker writes each container's state to /var/lib/docker/containers/<id>/config.v2.json: its name,
// image and labels; dockershim's labels name the pod.
#include <boost/json.hpp>

#include "agent/containers/identity_source.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxStateBytes = size_t{1} << 20;
constexpr size_t kMaxLabels = 64;

std::string Text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

class DockerState final : public IdentitySource {
 public:
  explicit DockerState(const HostView& host) : host_(host) {}

  bool Complete(ContainerIdentity& identity) override {
    if (identity.container_id.empty()) return false;
    const auto text = host_.fs.Read(
        fmt::format("/var/lib/docker/containers/{}/config.v2.json", identity.container_id),
        kMaxStateBytes);
    if (!text) return false;
    boost::system::error_code error;
    const json::value state = json::parse(*text, error);
    if (error || !state.is_object()) return false;
    identity.runtime = "docker";
    std::string name = Text(state.get_object(), "Name");
    if (name.starts_with('/')) name.erase(0, 1);
    if (!name.empty()) identity.container = name;
    if (const json::value* config = state.get_object().if_contains("Config");
        config != nullptr && config->is_object()) {
      ReadConfig(config->get_object(), identity);
    }
    return !name.empty();
  }

 private:
  static void ReadConfig(const json::object& config, ContainerIdentity& identity) {
    identity.image = Text(config, "Image");
    const json::value* found = config.if_contains("Labels");
    if (found == nullptr || !found->is_object()) return;
    for (const auto& [key_view, value] : found->get_object()) {
      if (!value.is_string()) continue;
      const std::string_view key(key_view.data(), key_view.size());
      std::string text(value.get_string());
      if (key == kPodNameKey) {
        identity.pod = std::move(text);
      } else if (key == kPodNamespaceKey) {
        identity.name_space = std::move(text);
      } else if (key == kPodUidKey) {
        identity.pod_uid = std::move(text);
      } else if (key == kContainerNameKey) {
        identity.container = std::move(text);
      } else if (!key.starts_with("io.kubernetes.") && !key.starts_with("annotation.") &&
                 identity.labels.size() < kMaxLabels) {
        identity.labels.emplace_back(key, std::move(text));
      }
    }
  }

  const HostView& host_;
};

}  // namespace

std::unique_ptr<IdentitySource> MakeDockerState(const HostView& host) {
  return std::make_unique<DockerState>(host);
}

}  // namespace faultline
