// Who is who on this node: cgroup -> container -> pod. Built by walking the cgroup tree (v1, v2 and
// hybrid) and asking what the path says; refreshed incrementally. Owned by the agent, used on its
// thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/emitter.h"
#include "common/host_view.h"
#include "common/result.h"

namespace faultline::v1 {
class AgentConfig;
}

namespace faultline {

// One cgroup of interest: a container, a pod (`container` empty, as in cAdvisor), or a plain cgroup
// that is no part of a container. `container` is the runtime's or pod's container name where known
// (POD for a pod's sandbox), else the container id, else the last part of the path, so that a plain
// cgroup can be named as well.
struct ContainerIdentity {
  std::string name_space;  // Kubernetes namespace, or empty
  std::string pod;
  std::string container;
  std::string container_id;
  std::string pod_uid;
  std::string image;
  std::string runtime;          // containerd, docker, crio, podman, cgroup
  std::string cgroup_path;      // as Origin::cgroup_path; the same in all hierarchies
  uint64_t cgroup_id = 0;       // inode in the v2 hierarchy, 0 if it is not there
  int64_t started_unix_ns = 0;  // birth of the cgroup, as its folder tells it
  std::vector<std::pair<std::string, std::string>> labels;  // of the pod, where known
};

// What a BPF program says of a task (bpf/include/cgroup_key.h): the id of its v2 cgroup, or with
// kV1KeyBit that of its cgroup in v1's memory hierarchy.
constexpr uint64_t kV1KeyBit = uint64_t{1} << 63;
struct KernelOwner {
  bool is_node = false;                          // in the root cgroup
  const ContainerIdentity* container = nullptr;  // neither: nobody known, yet or any more
};

// Paths of the hierarchies, as seen from the host root (FsRoot::Path opens them): cgroup v1 mounts
// one per controller.
struct CgroupMounts {
  std::string unified;                                  // v2 mount point, empty if none
  std::vector<std::pair<std::string, std::string>> v1;  // controller -> mount point
  // The folder of `cgroup_path` under the hierarchy that carries `controller` (cpu, cpuacct,
  // memory, blkio, pids, freezer, …), v1 first, then v2. Empty if no hierarchy carries it.
  std::string Folder(std::string_view controller, std::string_view cgroup_path) const;
  bool IsV1(std::string_view controller) const;
};

class ContainerIndex {
 public:
  // Reads /proc/self/mountinfo below the host root. `host` and `config` outlive the index.
  static Result<std::unique_ptr<ContainerIndex>> Create(const HostView& host,
                                                        const v1::AgentConfig& config);
  virtual ~ContainerIndex() = default;

  // Walks the tree and forgets what is gone. Cheap enough for every period.
  virtual Result<void> Refresh() = 0;
  // Resolves by id, then path, then pid (/proc/<pid>/cgroup). nullptr: nobody known; counted in
  // misses(), except for the root cgroup, which is the node itself. A cgroup that is not listed but
  // lies below a listed one resolves to that one. Pointers live until Refresh.
  virtual const ContainerIdentity* Resolve(const Origin& origin) = 0;
  virtual KernelOwner ResolveKernelKey(uint64_t key) = 0;
  // The keys of the cgroup at `cgroup_path` and of all below it.
  virtual std::vector<uint64_t> KernelKeys(std::string_view cgroup_path) const = 0;
  virtual const std::vector<ContainerIdentity>& containers() const = 0;
  virtual uint64_t misses() const = 0;
  // Cgroups that containers.max_cgroups kept out at the last Refresh, at least: what lies below
  // them is not seen.
  virtual uint64_t excess_cgroups() const = 0;
  virtual const CgroupMounts& mounts() const = 0;
  // Process ids directly in the cgroup (any hierarchy).
  virtual Result<std::vector<uint32_t>> Pids(std::string_view cgroup_path) const = 0;
  virtual v1::Inventory Inventory() const = 0;
};

}  // namespace faultline
