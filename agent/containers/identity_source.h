// A place where a runtime or kubelet leaves, as plain files, who a container is. Sources are asked
// in the order of the catalogue until one knows; they read files only, never a socket, so that
// asking cannot hang and needs no client of any runtime's API.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/containers/container_index.h"
#include "common/host_view.h"

namespace faultline {

class IdentitySource {
 public:
  virtual ~IdentitySource() = default;
  // Called once per pass before any Complete of that pass: lists what it wants to list only then.
  virtual void BeginPass() {}
  // `identity` holds what the path says (container_id, pod_uid, runtime); fills in name_space, pod,
  // container, image and labels. True if it knew the container or, for a pod's own cgroup, the pod.
  virtual bool Complete(ContainerIdentity& identity) = 0;
};

struct IdentitySourceRow {
  std::string_view name;
  std::string_view doc;
  std::unique_ptr<IdentitySource> (*make)(const HostView& host) = nullptr;
};

std::span<const IdentitySourceRow> IdentitySourceCatalogue();

// For the catalogue only.
std::unique_ptr<IdentitySource> MakeContainerLogs(const HostView& host);
std::unique_ptr<IdentitySource> MakeContainerdTasks(const HostView& host);
std::unique_ptr<IdentitySource> MakeContainersStorage(const HostView& host);
std::unique_ptr<IdentitySource> MakeDockerState(const HostView& host);
std::unique_ptr<IdentitySource> MakePodLogs(const HostView& host);

// Kubernetes' conventional annotations and labels (io.kubernetes.pod.name, …), as Docker and CRI-O
// keep them.
constexpr std::string_view kPodNameKey = "io.kubernetes.pod.name";
constexpr std::string_view kPodNamespaceKey = "io.kubernetes.pod.namespace";
constexpr std::string_view kPodUidKey = "io.kubernetes.pod.uid";
constexpr std::string_view kContainerNameKey = "io.kubernetes.container.name";
// The name that the pod's sandbox goes by in queries since cAdvisor.
constexpr std::string_view kSandboxName = "POD";

}  // namespace faultline
