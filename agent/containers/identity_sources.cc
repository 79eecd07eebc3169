// The order matters: state of the runtimes first (complete), then kubelet's log folders (names
// only).
#include "agent/containers/identity_source.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

std::span<const IdentitySourceRow> IdentitySourceCatalogue() {
  static constexpr IdentitySourceRow kRows[] = {
      {"containerd_tasks", "containerd's task bundles: annotations io.kubernetes.cri.*",
       MakeContainerdTasks},
      {"docker_state", "Docker's config.v2.json: name, image, labels", MakeDockerState},
      {"containers_storage", "CRI-O and Podman: containers.json and bundle annotations",
       MakeContainersStorage},
      {"container_logs", "kubelet's links <pod>_<namespace>_<container>-<id>.log",
       MakeContainerLogs},
      {"pod_logs", "kubelet's log folders <namespace>_<pod>_<uid>", MakePodLogs},
  };
  return kRows;
}

}  // namespace faultline
