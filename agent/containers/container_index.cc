// The index is the union of the cgroup trees, each path named once. A pass costs one stat per
// folder; paths are named, and runtimes' files read, only when something was born or died.
#include "agent/containers/container_index.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "agent/containers/cgroup_mounts.h"
#include "agent/containers/cgroup_tree.h"
#include "agent/containers/identity_source.h"
#include "agent/containers/path_identity.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr uint32_t kDefaultMaxCgroups = 1000;
constexpr size_t kMaxInventoryPids = 32;
// A runtime writes its files around the birth of the cgroup: ask in each of the first passes, then
// now and then.
constexpr int kEagerPasses = 10;
constexpr int kPatientEvery = 32;

// What the index knows of one path beyond its identity.
struct Standing {
  uint64_t key_inode = 0;  // in the first hierarchy that has it: another one is another cgroup
  bool complete = false;
  int passes = 0;
};

struct Found {
  uint64_t key_inode = 0;
  uint64_t unified_inode = 0;
  uint64_t memory_inode = 0;  // in v1's memory hierarchy
  int64_t born_unix_ns = 0;
};

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

std::string_view Parent(std::string_view path) {
  const size_t at = path.rfind('/');
  return at == std::string_view::npos ? "" : path.substr(0, at);
}

class CgroupIndex final : public ContainerIndex {
 public:
  CgroupIndex(const HostView& host, CgroupMounts mounts, uint32_t max_cgroups)
      : host_(host), mounts_(std::move(mounts)), max_cgroups_(max_cgroups) {
    AddTrees();
    for (const IdentitySourceRow& row : IdentitySourceCatalogue())
      sources_.push_back(row.make(host_));
  }

  Result<void> Exclude(const std::string& pattern) {
    auto expression = std::make_unique<re2::RE2>(pattern, re2::RE2::Quiet);
    if (!expression->ok()) {
      return Fail(ErrorCode::kInvalidArgument, "containers.exclude: '{}': {}", pattern,
                  expression->error());
    }
    exclude_.push_back(std::move(expression));
    return {};
  }

  Result<void> Refresh() override {
    bool changed = !built_;
    for (size_t i = 0; i < trees_.size(); ++i) {
      const bool due = !built_ || i < primary_trees_ || i == next_tree_;
      if (due && trees_[i]->Refresh()) changed = true;
    }
    if (primary_trees_ < trees_.size() && ++next_tree_ >= trees_.size())
      next_tree_ = primary_trees_;
    for (const auto& source : sources_) source->BeginPass();
    if (changed) Rebuild();
    built_ = true;
    CompleteAll();
    return {};
  }

  const ContainerIdentity* Resolve(const Origin& origin) override {
    bool is_root = false;
    const ContainerIdentity* identity = Find(origin, is_root);
    if (identity == nullptr && !is_root) ++misses_;
    return identity;
  }

  KernelOwner ResolveKernelKey(uint64_t key) override {
    KernelOwner owner;
    if ((key & kV1KeyBit) == 0) {
      bool is_root = false;
      owner.container = Find(Origin{.cgroup_id = key}, is_root);
      owner.is_node = is_root || unified_tree_ == nullptr;  // without v2, all tasks are in its root
    } else if (const auto found = by_memory_inode_.find(key & ~kV1KeyBit);
               found != by_memory_inode_.end()) {
      owner.container = &identities_[found->second];
    }
    return owner;
  }

  std::vector<uint64_t> KernelKeys(std::string_view cgroup_path) const override {
    std::vector<uint64_t> keys;
    for (const CgroupTree* tree : {unified_tree_, memory_tree_}) {
      if (tree == nullptr) continue;
      tree->ForEach([&](const std::string& path, uint64_t inode, int64_t) {
        const bool below = path.size() > cgroup_path.size() && path[cgroup_path.size()] == '/';
        if (!path.starts_with(cgroup_path) || !(below || path.size() == cgroup_path.size())) return;
        keys.push_back(tree == unified_tree_ ? inode : inode | kV1KeyBit);
      });
    }
    return keys;
  }

  const std::vector<ContainerIdentity>& containers() const override { return identities_; }
  uint64_t misses() const override { return misses_; }
  const CgroupMounts& mounts() const override { return mounts_; }

  uint64_t excess_cgroups() const override {
    uint64_t not_entered = 0;
    for (const auto& tree : trees_) not_entered = std::max(not_entered, tree->excess());
    return unlisted_ + not_entered;
  }

  Result<std::vector<uint32_t>> Pids(std::string_view cgroup_path) const override {
    std::vector<uint32_t> pids;
    bool exists = false;
    for (const std::string& mount_point : mount_points_) {
      auto text = host_.fs.Read(mount_point + std::string(cgroup_path) + "/cgroup.procs");
      if (!text) continue;
      exists = true;
      std::string_view rest = *text, line;
      while (NextLine(rest, line)) {
        if (const auto pid = ParseUint(Trim(line))) pids.push_back(static_cast<uint32_t>(*pid));
      }
      if (!pids.empty()) break;
    }
    if (!exists) return Fail(ErrorCode::kNotFound, "no cgroup {} in any hierarchy", cgroup_path);
    std::sort(pids.begin(), pids.end());
    pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
    return pids;
  }

  v1::Inventory Inventory() const override {
    v1::Inventory inventory;
    inventory.set_time_unix_ns(host_.clock->UnixNs());
    for (const ContainerIdentity& identity : identities_) {
      v1::ContainerInfo& out = *inventory.add_containers();
      v1::Subject& subject = *out.mutable_subject();
      subject.set_namespace_(identity.name_space);
      subject.set_pod(identity.pod);
      subject.set_container(identity.container);
      subject.set_container_id(identity.container_id);
      subject.set_cgroup(identity.cgroup_path);
      out.set_runtime(identity.runtime);
      out.set_image(identity.image);
      out.set_pod_uid(identity.pod_uid);
      out.set_started_unix_ns(identity.started_unix_ns);
      for (const auto& [name, value] : identity.labels) {
        v1::Label& label = *out.add_labels();
        label.set_name(name);
        label.set_value(value);
      }
      auto pids = Pids(identity.cgroup_path).value_or(std::vector<uint32_t>());
      if (pids.size() > kMaxInventoryPids) pids.resize(kMaxInventoryPids);
      out.mutable_pids()->Assign(pids.begin(), pids.end());
    }
    return inventory;
  }

 private:
  // The unified, memory and CPU hierarchies are looked at in every pass, one of the others in each:
  // a cgroup that exists in, say, pids alone is seen a few passes late.
  void AddTrees() {
    const auto add = [&](const std::string& mount_point) -> const CgroupTree* {
      const auto same = std::find(mount_points_.begin(), mount_points_.end(), mount_point);
      if (same != mount_points_.end())
        return trees_[static_cast<size_t>(same - mount_points_.begin())].get();
      mount_points_.push_back(mount_point);
      // Nested cgroups of containers are not listed but must resolve: leave them room.
      trees_.push_back(
          std::make_unique<CgroupTree>(host_.fs.Path(mount_point), size_t{2} * max_cgroups_));
      return trees_.back().get();
    };
    if (!mounts_.unified.empty()) unified_tree_ = add(mounts_.unified);
    if (mounts_.IsV1("memory")) memory_tree_ = add(mounts_.Folder("memory", ""));
    if (mounts_.IsV1("cpu")) add(mounts_.Folder("cpu", ""));
    primary_trees_ = next_tree_ = trees_.size();
    for (const auto& [controller, mount_point] : mounts_.v1) {
      if (!controller.starts_with("name=") && controller != "devices") add(mount_point);
    }
  }

  void Rebuild() {
    std::map<std::string, Found> found;
    for (const auto& tree : trees_) {
      tree->ForEach([&](const std::string& path, uint64_t inode, int64_t born_unix_ns) {
        Found& entry = found[path];
        if (tree.get() == unified_tree_) entry.unified_inode = inode;
        if (tree.get() == memory_tree_) entry.memory_inode = inode;
        if (entry.key_inode != 0) return;
        entry.key_inode = inode;
        entry.born_unix_ns = born_unix_ns;
      });
    }
    std::vector<ContainerIdentity> old_identities = std::move(identities_);
    std::vector<Standing> old_standings = std::move(standings_);
    const auto old_by_path = std::move(by_path_);
    identities_.clear();
    standings_.clear();
    by_path_.clear();
    by_id_.clear();
    by_memory_inode_.clear();
    by_container_id_.clear();
    unlisted_ = 0;
    for (const auto& [path, entry] : found) {
      const auto old = old_by_path.find(path);
      if (old != old_by_path.end() && old_standings[old->second].key_inode == entry.key_inode) {
        Place(path, entry, &old_identities[old->second], old_standings[old->second]);
      } else {
        Place(path, entry, nullptr, Standing{entry.key_inode, false, 0});
      }
    }
  }

  // Lists one path, or lets its nearest listed ancestor answer for it.
  void Place(const std::string& path, const Found& entry, ContainerIdentity* old,
             const Standing& standing) {
    const auto above = Above(path);
    const bool in_container = above && !identities_[*above].container_id.empty();
    const bool excluded =
        std::any_of(exclude_.begin(), exclude_.end(),
                    [&](const auto& expression) { return re2::RE2::FullMatch(path, *expression); });
    const bool listed = !in_container && !excluded && identities_.size() < max_cgroups_;
    if (!in_container && !excluded && !listed) ++unlisted_;
    if (listed) {
      by_path_.emplace(path, identities_.size());
      identities_.push_back(old != nullptr ? std::move(*old) : NameOf(path));
      if (old == nullptr) identities_.back().started_unix_ns = entry.born_unix_ns;
      identities_.back().cgroup_id = entry.unified_inode;
      standings_.push_back(standing);
      const std::string& id = identities_.back().container_id;
      if (!id.empty()) by_container_id_[id] = identities_.size() - 1;
    }
    const auto owner = listed ? std::optional(identities_.size() - 1) : above;
    if (owner && entry.unified_inode != 0) by_id_[entry.unified_inode] = *owner;
    if (owner && entry.memory_inode != 0) by_memory_inode_[entry.memory_inode] = *owner;
  }

  static ContainerIdentity NameOf(const std::string& path) {
    PathIdentity parts = IdentityOfPath(path);
    ContainerIdentity identity;
    identity.cgroup_path = path;
    identity.container_id = std::move(parts.container_id);
    identity.pod_uid = std::move(parts.pod_uid);
    identity.runtime = parts.runtime.empty() ? "cgroup" : std::move(parts.runtime);
    if (!identity.container_id.empty()) {
      identity.container = identity.container_id;
    } else if (!parts.is_pod) {
      identity.container = path.substr(path.rfind('/') + 1);
    }
    return identity;
  }

  void CompleteAll() {
    for (size_t i = 0; i < identities_.size(); ++i) {
      Standing& standing = standings_[i];
      ContainerIdentity& identity = identities_[i];
      const bool plain = identity.container_id.empty() && identity.pod_uid.empty();
      if (standing.complete || plain) continue;
      const int pass = standing.passes++;
      if (pass >= kEagerPasses && pass % kPatientEvery != 0) continue;
      for (const auto& source : sources_) {
        if (source->Complete(identity)) {
          standing.complete = true;
          break;
        }
      }
    }
  }

  // The listed cgroup at or above `path`.
  std::optional<size_t> AtOrAbove(std::string_view path) const {
    for (; path.size() > 1; path = Parent(path)) {
      if (const auto found = by_path_.find(path); found != by_path_.end()) return found->second;
    }
    return std::nullopt;
  }
  std::optional<size_t> Above(std::string_view path) const { return AtOrAbove(Parent(path)); }

  const ContainerIdentity* Find(const Origin& origin, bool& is_root) const {
    if (origin.cgroup_id != 0) {
      if (const auto found = by_id_.find(origin.cgroup_id); found != by_id_.end()) {
        return &identities_[found->second];
      }
      is_root = unified_tree_ != nullptr && unified_tree_->root_inode() == origin.cgroup_id;
    }
    if (!origin.cgroup_path.empty()) {
      if (const auto at = AtOrAbove(origin.cgroup_path)) return &identities_[*at];
      is_root |= origin.cgroup_path == "/";
    }
    if (origin.pid == 0) return nullptr;
    const auto at = FindPid(origin.pid, is_root);
    return at ? &identities_[*at] : nullptr;
  }

  // The deepest listed cgroup of the process in any hierarchy: in hybrid set-ups it may be in one
  // only.
  std::optional<size_t> FindPid(uint32_t pid, bool& is_root) const {
    const auto text = host_.fs.Read(fmt::format("/proc/{}/cgroup", pid), size_t{64} << 10);
    if (!text) return std::nullopt;
    std::optional<size_t> best;
    std::string_view rest = *text, line;
    bool all_root = true;
    while (NextLine(rest, line)) {
      const size_t colon = line.find(':', line.find(':') + 1);
      if (colon == std::string_view::npos) continue;
      std::string_view path = line.substr(colon + 1);
      // From within a cgroup namespace, others' paths begin with /..
      while (path.starts_with("/..")) path.remove_prefix(3);
      if (path.size() > 1) all_root = false;
      auto at = AtOrAbove(path);
      if (!at) {
        const std::string id = IdentityOfPath(path).container_id;
        if (const auto found = by_container_id_.find(id); found != by_container_id_.end())
          at = found->second;
      }
      if (at &&
          (!best || identities_[*at].cgroup_path.size() > identities_[*best].cgroup_path.size())) {
        best = at;
      }
    }
    is_root |= all_root;
    return best;
  }

  const HostView& host_;
  const CgroupMounts mounts_;
  const uint32_t max_cgroups_;
  std::vector<std::unique_ptr<re2::RE2>> exclude_;
  std::vector<std::unique_ptr<IdentitySource>> sources_;
  std::vector<std::string> mount_points_;  // of trees_, in the same order
  std::vector<std::unique_ptr<CgroupTree>> trees_;
  const CgroupTree* unified_tree_ = nullptr;
  const CgroupTree* memory_tree_ = nullptr;  // v1's
  size_t primary_trees_ = 0;
  size_t next_tree_ = 0;
  bool built_ = false;
  std::vector<ContainerIdentity> identities_;  // sorted by path
  std::vector<Standing> standings_;            // of identities_, in the same order
  std::unordered_map<std::string, size_t, StringHash, std::equal_to<>> by_path_;
  std::unordered_map<std::string, size_t> by_container_id_;
  std::unordered_map<uint64_t, size_t> by_id_;  // nested cgroups of containers too
  std::unordered_map<uint64_t, size_t> by_memory_inode_;
  uint64_t unlisted_ = 0;
  uint64_t misses_ = 0;
};

}  // namespace

Result<std::unique_ptr<ContainerIndex>> ContainerIndex::Create(const HostView& host,
                                                               const v1::AgentConfig& config) {
  FAULTLINE_ASSIGN(CgroupMounts mounts, ReadCgroupMounts(host.fs));
  const uint32_t max_cgroups = config.containers().max_cgroups();
  auto index = std::make_unique<CgroupIndex>(host, std::move(mounts),
                                             max_cgroups == 0 ? kDefaultMaxCgroups : max_cgroups);
  for (const std::string& pattern : config.containers().exclude())
    FAULTLINE_TRY(index->Exclude(pattern));
  return index;
}

}  // namespace faultline
