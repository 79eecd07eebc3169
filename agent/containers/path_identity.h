// What the path of a cgroup says about who lives in it, by the conventions of kubelet (cgroupfs and
// systemd drivers), containerd, Docker, CRI-O and Podman. Pure: looks at the text only.
#pragma once

#include <string>
#include <string_view>

namespace faultline {

struct PathIdentity {
  std::string runtime;       // empty: a plain cgroup, or that of a pod
  std::string container_id;  // empty: not a container
  std::string pod_uid;       // of the pod that the path lies in; dashes as Kubernetes writes them
  bool is_pod = false;       // the pod's own cgroup
};

PathIdentity IdentityOfPath(std::string_view cgroup_path);

}  // namespace faultline
