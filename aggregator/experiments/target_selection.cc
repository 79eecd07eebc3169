#include "aggregator/experiments/target_selection.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/text.h"

namespace faultline {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool MatchesAny(const std::vector<std::string>& globs, std::string_view text) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return GlobMatch(glob, text); });
}

bool IsGlob(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

bool NodeMatches(const TargetSelector& selector, const NodeState& node) {
  if (!selector.nodes.empty() && !MatchesAny(selector.nodes, node.node)) return false;
  const auto& facts = node.inventory.facts();
  return std::all_of(selector.node_facts.begin(), selector.node_facts.end(),
                     [&](const auto& wanted) {
                       const auto at = facts.find(wanted.first);
                       return at != facts.end() && at->second == wanted.second;
                     });
}

bool ContainerMatches(const TargetSelector& selector, const v1::ContainerInfo& container) {
  const v1::Subject& subject = container.subject();
  if (!selector.namespaces.empty() && !Contains(selector.namespaces, subject.namespace_()))
    return false;
  if (!selector.containers.empty() && !Contains(selector.containers, subject.container()))
    return false;
  if (!selector.pods.empty()) {
    const auto names = selector.pods.find(subject.namespace_());
    if (names == selector.pods.end() || !Contains(names->second, subject.pod())) return false;
  }
  std::map<std::string, std::string> labels;
  for (const v1::Label& label : container.labels()) labels[label.name()] = label.value();
  return selector.labels.Matches(labels);
}

std::string IdOf(const std::string& node, const v1::Subject& subject) {
  if (!subject.pod().empty()) {
    return fmt::format("{}/{}/{}/{}", node, subject.namespace_(), subject.pod(),
                       subject.container());
  }
  if (!subject.cgroup().empty()) return node + subject.cgroup();
  if (subject.pid() != 0) return fmt::format("{}/pid:{}", node, subject.pid());
  if (!subject.comm().empty()) return fmt::format("{}/process:{}", node, subject.comm());
  return node;
}

class Found {
 public:
  void Add(const std::string& node, const v1::Subject& subject) {
    Target target{IdOf(node, subject), node, subject};
    if (ids_.insert(target.id).second) targets_.push_back(std::move(target));
  }
  bool empty() const { return targets_.empty(); }
  std::vector<Target> Take() {
    std::sort(targets_.begin(), targets_.end(),
              [](const Target& a, const Target& b) { return a.id < b.id; });
    return std::move(targets_);
  }

 private:
  std::set<std::string> ids_;
  std::vector<Target> targets_;
};

void AddProcesses(const TargetSelector& selector, const NodeState& node, Found& found) {
  for (const std::string& process : selector.processes) {
    v1::Subject subject;
    if (const auto pid = ParseUint(process); pid && *pid <= UINT32_MAX) {
      subject.set_pid(static_cast<uint32_t>(*pid));
    } else {
      subject.set_comm(process);
    }
    found.Add(node.node, subject);
  }
}

void AddCgroups(const TargetSelector& selector, const NodeState& node, Found& found) {
  for (const v1::ContainerInfo& container : node.inventory.containers()) {
    if (MatchesAny(selector.cgroups, container.subject().cgroup()))
      found.Add(node.node, container.subject());
  }
}

// Plain paths that no inventory lists: the node itself knows whether they are there.
void AddUnlistedCgroups(const TargetSelector& selector, const std::vector<NodeState>& nodes,
                        Found& found) {
  for (const NodeState& node : nodes) {
    if (!node.up || !NodeMatches(selector, node)) continue;
    for (const std::string& path : selector.cgroups) {
      v1::Subject subject;
      subject.set_cgroup(path);
      if (!IsGlob(path)) found.Add(node.node, subject);
    }
  }
}

// Without containerNames the first container of each pod, as Chaos Mesh does; every container
// outside of pods.
void AddContainers(const TargetSelector& selector, const NodeState& node, Found& found) {
  std::set<std::string> pods;
  for (const v1::ContainerInfo& container : node.inventory.containers()) {
    const v1::Subject& subject = container.subject();
    if (subject.container().empty() || subject.container() == "POD")
      continue;  // a pod's own cgroup, its sandbox
    if (!ContainerMatches(selector, container)) continue;
    const std::string pod = subject.namespace_() + "/" + subject.pod();
    if (selector.containers.empty() && !subject.pod().empty() && !pods.insert(pod).second) continue;
    found.Add(node.node, subject);
  }
}

// splitmix64: small, the same everywhere, good enough to draw lots.
class Lots {
 public:
  explicit Lots(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t limit) { return limit == 0 ? 0 : Next() % limit; }

 private:
  uint64_t state_;
};

}  // namespace

Result<std::vector<Target>> FindTargets(const ExperimentSpec& spec,
                                        const std::vector<NodeState>& nodes) {
  const TargetSelector& selector = spec.selector;
  const bool by_processes = !selector.processes.empty();
  const bool by_cgroups = !selector.cgroups.empty();
  if (!selector.SelectsContainers() && !selector.SelectsNodes() && !by_processes && !by_cgroups) {
    return Fail(ErrorCode::kNotFound, "the selector is empty: name whom to hit");
  }
  Found found;
  size_t matched = 0;
  size_t down = 0;
  size_t unable = 0;
  for (const NodeState& node : nodes) {
    if (!NodeMatches(selector, node)) continue;
    ++matched;
    if (!node.up) {
      ++down;
      continue;
    }
    if (!node.capabilities.empty() && !Contains(node.capabilities, "fault/" + spec.fault)) {
      ++unable;
      continue;
    }
    if (by_processes) {
      AddProcesses(selector, node, found);
    } else if (by_cgroups) {
      AddCgroups(selector, node, found);
    } else if (selector.SelectsContainers()) {
      AddContainers(selector, node, found);
    } else {
      found.Add(node.node, v1::Subject());
    }
  }
  if (by_cgroups && found.empty()) AddUnlistedCgroups(selector, nodes, found);
  std::vector<Target> targets = found.Take();
  if (!targets.empty()) return targets;
  if (matched == 0)
    return Fail(ErrorCode::kNotFound, "none of {} node(s) matches the selector", nodes.size());
  if (down + unable == matched) {
    return Fail(ErrorCode::kNotFound, "of {} matching node(s) {} are down and {} cannot inject {}",
                matched, down, unable, spec.fault);
  }
  return Fail(ErrorCode::kNotFound,
              "no container on {} matching node(s) matches the selector ({} down, {} unable)",
              matched, down, unable);
}

Result<std::vector<std::string>> AddressesOf(const std::vector<Target>& targets,
                                             const std::vector<NodeState>& nodes) {
  std::vector<std::string> addresses;
  for (const Target& target : targets) {
    const size_t before = addresses.size();
    for (const NodeState& node : nodes) {
      if (node.node != target.node) continue;
      for (const v1::ContainerInfo& container : node.inventory.containers()) {
        if (container.subject().cgroup() != target.subject.cgroup()) continue;
        for (const v1::Label& label : container.labels()) {
          if (label.name() != kAddressLabel) continue;
          for (const std::string_view address : Split(label.value(), ','))
            addresses.emplace_back(address);
        }
      }
    }
    if (addresses.size() == before)
      return Fail(ErrorCode::kNotFound, "spec.target: no address of {} is known", target.id);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

Result<std::vector<Target>> ChooseTargets(const ExperimentSpec& spec, std::vector<Target> targets,
                                          uint64_t seed) {
  Lots lots(seed);
  const size_t all = targets.size();
  const auto percent = [&](uint64_t share) { return std::max<size_t>(1, all * share / 100); };
  size_t count = 0;
  if (spec.mode == "all") return targets;
  if (spec.mode == "one") {
    count = 1;
  } else if (spec.mode == "fixed") {
    count = static_cast<size_t>(std::max<int64_t>(spec.mode_value, 0));
  } else if (spec.mode == "fixed-percent") {
    count = percent(static_cast<uint64_t>(std::clamp<int64_t>(spec.mode_value, 0, 100)));
  } else if (spec.mode == "random-max-percent") {
    count = 1 + lots.Below(
                    percent(static_cast<uint64_t>(std::clamp<int64_t>(spec.mode_value, 0, 100))));
  } else {
    return Fail(ErrorCode::kInvalidArgument, "spec.mode: '{}' is not known", spec.mode);
  }
  count = std::min(count, all);
  for (size_t i = 0; i < count; ++i) std::swap(targets[i], targets[i + lots.Below(all - i)]);
  targets.resize(count);
  std::sort(targets.begin(), targets.end(),
            [](const Target& a, const Target& b) { return a.id < b.id; });
  return targets;
}

}  // namespace faultline
