// kubelet links every container's log as
// /var/log/containers/<pod>_<namespace>_<container>-<id>.log, whatever the runtime: pod and
// namespace names hold no underscore, so the name splits without doubt.
#include <map>

#include "agent/containers/identity_source.h"

namespace faultline {
namespace {

class ContainerLogs final : public IdentitySource {
 public:
  explicit ContainerLogs(const HostView& host) : host_(host) {}

  void BeginPass() override { listed_ = false; }

  bool Complete(ContainerIdentity& identity) override {
    if (identity.container_id.empty()) return false;
    List();
    const auto found = by_id_.find(identity.container_id);
    if (found == by_id_.end()) return false;
    identity.pod = found->second.pod;
    identity.name_space = found->second.name_space;
    identity.container = found->second.container;
    return true;
  }

 private:
  struct Names {
    std::string pod, name_space, container;
  };

  void List() {
    if (std::exchange(listed_, true)) return;
    by_id_.clear();
    const auto files = host_.fs.List("/var/log/containers");
    if (!files) return;
    for (std::string_view file : *files) {
      if (!file.ends_with(".log")) continue;
      file.remove_suffix(4);
      const size_t first = file.find('_');
      const size_t second = first == file.npos ? file.npos : file.find('_', first + 1);
      const size_t dash = file.rfind('-');
      if (second == file.npos || dash == file.npos || dash < second) continue;
      by_id_[std::string(file.substr(dash + 1))] = {
          std::string(file.substr(0, first)),
          std::string(file.substr(first + 1, second - first - 1)),
          std::string(file.substr(second + 1, dash - second - 1))};
    }
  }

  const HostView& host_;
  bool listed_ = false;
  std::map<std::string, Names> by_id_;
};

}  // namespace

std::unique_ptr<IdentitySource> MakeContainerLogs(const HostView& host) {
  return std::make_unique<ContainerLogs>(host);
}

}  // namespace faultline
