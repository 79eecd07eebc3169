#include "agent/containers/cgroup_tree.h"

#include <dirent.h>

#include <algorithm>
#include <utility>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

CgroupTree::CgroupTree(std::string root_folder, size_t max_cgroups)
    : root_folder_(std::move(root_folder)), max_cgroups_(max_cgroups) {}

bool CgroupTree::Refresh() {
  changed_ = false;
  path_ = root_folder_;
  if (!Visit(root_, 0) && !root_.children.empty()) {
    count_ -= Forget(root_);
    root_ = Node();
    changed_ = true;
  }
  return changed_;
}

size_t CgroupTree::Forget(const Node& node) {
  size_t count = 0;
  for (const auto& child : node.children) count += 1 + Forget(*child);
  excess_ -= node.skipped;
  return count;
}

bool CgroupTree::Visit(Node& node, int depth) {
  struct stat status{};
  if (stat(path_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  if (node.inode != status.st_ino) {
    count_ -= Forget(node);
    node.children.clear();
    node.skipped = 0;
    node.links = 0;
    node.inode = status.st_ino;
    node.born_unix_ns = status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec;
    changed_ = true;
  }
  if (depth >= kMaxDepth) return true;
  const bool links_say_nothing = status.st_nlink < 2;
  const bool room_again = node.skipped > 0 && count_ < max_cgroups_;
  if (links_say_nothing || room_again || node.links != status.st_nlink) {
    node.links = status.st_nlink;
    ReadChildren(node);
  }
  bool child_gone = false;
  VisitChildren(node, depth, child_gone);
  if (child_gone) {
    // Its place may have been taken by a new one, with the same link count.
    ReadChildren(node);
    VisitChildren(node, depth, child_gone);
  }
  return true;
}

void CgroupTree::VisitChildren(Node& node, int depth, bool& child_gone) {
  const size_t length = path_.size();
  std::erase_if(node.children, [&](std::unique_ptr<Node>& child) {
    path_ += '/';
    path_ += child->name;
    const bool alive = Visit(*child, depth + 1);
    path_.resize(length);
    if (alive) return false;
    count_ -= 1 + Forget(*child);
    child_gone = true;
    changed_ = true;
    return true;
  });
}

void CgroupTree::ReadChildren(Node& node) {
  std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path_.c_str()), closedir);
  if (!folder) return;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  excess_ -= node.skipped;
  node.skipped = 0;
  std::vector<std::unique_ptr<Node>> children;
  children.reserve(names.size());
  auto old = node.children.begin();
  for (std::string& name : names) {
    for (; old != node.children.end() && (*old)->name < name; ++old) {
      count_ -= 1 + Forget(**old);
      changed_ = true;
    }
    if (old != node.children.end() && (*old)->name == name) {
      children.push_back(std::move(*old++));
    } else if (count_ < max_cgroups_) {
      children.push_back(std::make_unique<Node>());
      children.back()->name = std::move(name);
      ++count_;
      changed_ = true;
    } else {
      ++node.skipped;
    }
  }
  for (; old != node.children.end(); ++old) {
    count_ -= 1 + Forget(**old);
    changed_ = true;
  }
  excess_ += node.skipped;
  node.children = std::move(children);
}

void CgroupTree::ForEach(const Visitor& visit) const {
  std::string path;
  Walk(root_, path, visit);
}

void CgroupTree::Walk(const Node& node, std::string& path, const Visitor& visit) {
  const size_t length = path.size();
  for (const auto& child : node.children) {
    path += '/';
    path += child->name;
    visit(path, child->inode, child->born_unix_ns);
    Walk(*child, path, visit);
    path.resize(length);
  }
}

}  // namespace faultline
