#include "agent/probes/owner_directory.h"

namespace faultline {

void OwnerDirectory::BeginPass() {
  ++pass_;
  // What nobody asked for in a while has been deleted from its map.
  std::erase_if(entries_, [&](const auto& entry) {
    return entry.second.asked_pass + kPatiencePasses < pass_;
  });
}

void OwnerDirectory::Judge(uint64_t key, Entry& entry) {
  const KernelOwner owner = index_.ResolveKernelKey(key);
  if (owner.is_node || owner.container != nullptr) {
    entry.path = owner.is_node ? "/" : owner.container->cgroup_path;
    entry.standing = Standing::kAlive;
  } else if (!entry.path.empty()) {
    entry.standing = Standing::kGone;
  } else {
    entry.standing =
        pass_ - entry.first_pass >= kPatiencePasses ? Standing::kGivenUp : Standing::kUnknown;
  }
}

OwnerDirectory::Owner OwnerDirectory::Of(uint64_t key) {
  Entry& entry = entries_[key];
  if (entry.first_pass == 0) entry.first_pass = pass_;
  if (entry.asked_pass != pass_) {
    entry.asked_pass = pass_;
    Judge(key, entry);
  }
  return {entry.standing, entry.path};
}

}  // namespace faultline
