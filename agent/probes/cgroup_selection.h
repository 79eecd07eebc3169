// Keeps a program's allow-list (bpf/include/selection.h) equal to the cgroups at and below chosen
// paths.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "agent/containers/container_index.h"

namespace faultline {

class CgroupSelection {
 public:
  // `maybe` is the bitmap of selection.h in the object's bss. No paths: all are selected, and there
  // is nothing to do.
  CgroupSelection(ContainerIndex& index, std::vector<std::string> paths, const bpf_map* selected,
                  unsigned long long* maybe)
      : index_(index), paths_(std::move(paths)), map_(selected), maybe_(maybe) {}
  // After the index was refreshed.
  void Update();

 private:
  ContainerIndex& index_;
  const std::vector<std::string> paths_;
  const bpf_map* const map_;
  unsigned long long* const maybe_;
  std::vector<uint64_t> selected_;  // sorted
};

}  // namespace faultline
