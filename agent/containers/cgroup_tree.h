// One cgroup hierarchy as a tree that is kept current at the price of one stat per folder: the link
// count of a cgroup folder is 2 + its children, so a birth changes the parent, a death fails its
// own stat, and a rebirth under the same name has another inode. Folders are listed only where one
// of these says so. File systems without such link counts (overlayfs, btrfs: fixtures) are listed
// every time.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

class CgroupTree {
 public:
  // `root_folder` is the mount point as this process opens it.
  CgroupTree(std::string root_folder, size_t max_cgroups);

  // True if anything was born or died since the last call. A folder that cannot be read counts as
  // empty.
  bool Refresh();
  // Every cgroup below the root, parents first: path below the root (/a/b), inode, time of birth as
  // the kernel tells it. The root itself is not visited.
  using Visitor =
      std::function<void(const std::string& path, uint64_t inode, int64_t born_unix_ns)>;
  void ForEach(const Visitor& visit) const;

  uint64_t root_inode() const { return root_.inode; }
  uint64_t excess() const {
    return excess_;
  }  // folders seen but not entered because of max_cgroups

 private:
  struct Node {
    std::string name;
    uint64_t inode = 0;
    uint64_t links = 0;
    uint64_t skipped = 0;
    int64_t born_unix_ns = 0;
    std::vector<std::unique_ptr<Node>> children;  // sorted by name
  };
  bool Visit(Node& node, int depth);
  void ReadChildren(Node& node);
  void VisitChildren(Node& node, int depth, bool& child_gone);
  size_t Forget(const Node& node);
  static void Walk(const Node& node, std::string& path, const Visitor& visit);

  const std::string root_folder_;
  const size_t max_cgroups_;
  Node root_;
  std::string path_;  // of the node being visited; grows and shrinks with the walk
  size_t count_ = 0;
  uint64_t excess_ = 0;
  bool changed_ = false;
};

}  // namespace faultline
