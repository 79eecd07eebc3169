// kubelet keeps logs in /var/log/pods/<namespace>_<pod>_<uid>/<container>/, whatever the runtime.
// That names the pod of a uid; not the container, as nothing there carries a container id.
#include <map>

#include "agent/containers/identity_source.h"
#include "common/text.h"

namespace faultline {
namespace {

class PodLogs final : public IdentitySource {
 public:
  explicit PodLogs(const HostView& host) : host_(host) {}

  void BeginPass() override { listed_ = false; }

  bool Complete(ContainerIdentity& identity) override {
    if (identity.pod_uid.empty()) return false;
    List();
    const auto found = folder_by_uid_.find(identity.pod_uid);
    if (found == folder_by_uid_.end()) return false;
    const auto parts = Split(found->second, '_');
    identity.name_space = parts[0];
    identity.pod = parts[1];
    return identity.container_id.empty();
  }

 private:
  void List() {
    if (std::exchange(listed_, true)) return;
    folder_by_uid_.clear();
    const auto folders = host_.fs.List("/var/log/pods");
    if (!folders) return;
    for (const std::string& folder : *folders) {
      const auto parts = Split(folder, '_');
      if (parts.size() == 3) folder_by_uid_[std::string(parts[2])] = folder;
    }
  }

  const HostView& host_;
  bool listed_ = false;
  std::map<std::string, std::string> folder_by_uid_;
};

}  // namespace

std::unique_ptr<IdentitySource> MakePodLogs(const HostView& host) {
  return std::make_unique<PodLogs>(host);
}

}  // namespace faultline
