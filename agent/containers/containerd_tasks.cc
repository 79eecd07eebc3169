// containerd keeps the OCI bundle of every running task in
// /run/containerd/io.containerd.runtime.v2.task/<namespace>/<id>/config.json; its CRI plugin writes
// pod and container into the annotations. Pod labels are not there: they live in containerd's own
// database only.
#include <boost/json.hpp>

#include "agent/containers/identity_source.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr std::string_view kTasks = "/run/containerd/io.containerd.runtime.v2.task";
constexpr size_t kMaxBundleBytes = size_t{1} << 20;

std::string Text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

class ContainerdTasks final : public IdentitySource {
 public:
  explicit ContainerdTasks(const HostView& host) : host_(host) {}

  void BeginPass() override {
    namespaces_ = host_.fs.List(kTasks).value_or(std::vector<std::string>());
  }

  bool Complete(ContainerIdentity& identity) override {
    if (identity.container_id.empty()) return false;
    for (const std::string& name_space : namespaces_) {
      const auto text = host_.fs.Read(
          fmt::format("{}/{}/{}/config.json", kTasks, name_space, identity.container_id),
          kMaxBundleBytes);
      if (!text) continue;
      return ReadBundle(*text, name_space, identity);
    }
    return false;
  }

 private:
  static bool ReadBundle(std::string_view text, const std::string& name_space,
                         ContainerIdentity& identity) {
    boost::system::error_code error;
    const json::value bundle = json::parse(json::string_view(text.data(), text.size()), error);
    if (error || !bundle.is_object()) return false;
    identity.runtime = name_space == "moby" ? "docker" : "containerd";
    const json::value* found = bundle.get_object().if_contains("annotations");
    if (found == nullptr || !found->is_object()) return name_space != "moby";
    const json::object& annotations = found->get_object();
    const std::string kind = Text(annotations, "io.kubernetes.cri.container-type");
    if (kind.empty()) return name_space != "moby";  // Docker's own state knows the name
    identity.container = kind == "sandbox" ? std::string(kSandboxName)
                                           : Text(annotations, "io.kubernetes.cri.container-name");
    identity.pod = Text(annotations, "io.kubernetes.cri.sandbox-name");
    identity.name_space = Text(annotations, "io.kubernetes.cri.sandbox-namespace");
    identity.image = Text(annotations, "io.kubernetes.cri.image-name");
    if (const std::string uid = Text(annotations, "io.kubernetes.cri.sandbox-uid"); !uid.empty()) {
      identity.pod_uid = uid;
    }
    return true;
  }

  const HostView& host_;
  std::vector<std::string> namespaces_;
};

}  // namespace

std::unique_ptr<IdentitySource> MakeContainerdTasks(const HostView& host) {
  return std::make_unique<ContainerdTasks>(host);
}

}  // namespace faultline
