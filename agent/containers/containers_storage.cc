// CRI-O and Podman share containers/storage:
// /var/lib/containers/storage/overlay-containers/containers.json names every container, and the
// bundle /run/containers/storage/overlay-containers/<id>/userdata/config.json carries CRI-O's
// annotations, pod labels included. The list is re-read only in passes that ask.
#include <boost/json.hpp>

#include <map>

#include "agent/containers/identity_source.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr std::string_view kList = "/var/lib/containers/storage/overlay-containers/containers.json";
constexpr std::string_view kBundles = "/run/containers/storage/overlay-containers";
constexpr size_t kMaxListBytes = size_t{16} << 20;
constexpr size_t kMaxBundleBytes = size_t{1} << 20;
constexpr size_t kMaxLabels = 64;

std::string Text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

class ContainersStorage final : public IdentitySource {
 public:
  explicit ContainersStorage(const HostView& host) : host_(host) {}

  void BeginPass() override { list_read_ = false; }

  bool Complete(ContainerIdentity& identity) override {
    if (identity.container_id.empty()) return false;
    if (CompleteFromBundle(identity)) return true;
    ReadList();
    const auto found = names_.find(identity.container_id);
    if (found == names_.end()) return false;
    identity.container = found->second;
    if (identity.runtime != "crio") identity.runtime = "podman";
    return true;
  }

 private:
  bool CompleteFromBundle(ContainerIdentity& identity) {
    const auto text =
        host_.fs.Read(fmt::format("{}/{}/userdata/config.json", kBundles, identity.container_id),
                      kMaxBundleBytes);
    if (!text) return false;
    boost::system::error_code error;
    const json::value bundle = json::parse(*text, error);
    if (error || !bundle.is_object()) return false;
    const json::value* found = bundle.get_object().if_contains("annotations");
    if (found == nullptr || !found->is_object()) return false;
    const json::object& annotations = found->get_object();
    const std::string pod = Text(annotations, kPodNameKey);
    if (pod.empty()) return false;
    identity.runtime = "crio";
    identity.pod = pod;
    identity.name_space = Text(annotations, kPodNamespaceKey);
    identity.image = Text(annotations, "io.kubernetes.cri-o.ImageName");
    identity.container = Text(annotations, "io.kubernetes.cri-o.ContainerType") == "sandbox"
                             ? std::string(kSandboxName)
                             : Text(annotations, kContainerNameKey);
    if (const std::string uid = Text(annotations, kPodUidKey); !uid.empty()) identity.pod_uid = uid;
    ReadLabels(Text(annotations, "io.kubernetes.cri-o.Labels"), identity);
    return !identity.container.empty();
  }

  static void ReadLabels(const std::string& text, ContainerIdentity& identity) {
    boost::system::error_code error;
    const json::value labels = json::parse(text, error);
    if (error || !labels.is_object()) return;
    for (const auto& [key_view, value] : labels.get_object()) {
      const std::string_view key(key_view.data(), key_view.size());
      if (!value.is_string() || key.starts_with("io.kubernetes.")) continue;
      if (identity.labels.size() < kMaxLabels)
        identity.labels.emplace_back(key, value.get_string());
    }
  }

  void ReadList() {
    if (std::exchange(list_read_, true)) return;
    names_.clear();
    const auto text = host_.fs.Read(kList, kMaxListBytes);
    if (!text) return;
    boost::system::error_code error;
    const json::value list = json::parse(*text, error);
    if (error || !list.is_array()) return;
    for (const json::value& entry : list.get_array()) {
      if (!entry.is_object()) continue;
      const json::value* names = entry.get_object().if_contains("names");
      if (names == nullptr || !names->is_array() || names->get_array().empty()) continue;
      const json::value& first = names->get_array().front();
      if (first.is_string()) names_[Text(entry.get_object(), "id")] = first.get_string();
    }
  }

  const HostView& host_;
  bool list_read_ = false;
  std::map<std::string, std::string> names_;  // container id -> name
};

}  // namespace

std::unique_ptr<IdentitySource> MakeContainersStorage(const HostView& host) {
  return std::make_unique<ContainersStorage>(host);
}

}  // namespace faultline
