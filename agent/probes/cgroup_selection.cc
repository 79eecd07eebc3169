#include "agent/probes/cgroup_selection.h"

#include <linux/bpf.h>

#include <algorithm>

#include "bpf/include/selection.h"

namespace faultline {

void CgroupSelection::Update() {
  if (paths_.empty()) return;
  std::vector<uint64_t> keys;
  for (const std::string& path : paths_) {
    const auto below = index_.KernelKeys(path);
    keys.insert(keys.end(), below.begin(), below.end());
  }
  std::sort(keys.begin(), keys.end());
  if (keys == selected_) return;
  const auto known = [](const std::vector<uint64_t>& set, uint64_t key) {
    return std::binary_search(set.begin(), set.end(), key);
  };
  const uint8_t one = 1;
  for (const uint64_t key : keys) {
    if (known(selected_, key)) continue;
    bpf_map__update_elem(map_, &key, sizeof key, &one, sizeof one, BPF_ANY);
    maybe_[key % SELECTION_BITS / 64] |= uint64_t{1} << (key % 64);
  }
  for (const uint64_t key : selected_) {
    if (!known(keys, key)) bpf_map__delete_elem(map_, &key, sizeof key, 0);
  }
  // Bits of what is gone may be shared, and only cost a look-up: swept when the set has changed.
  uint64_t fresh[SELECTION_BITS / 64] = {};
  for (const uint64_t key : keys) fresh[key % SELECTION_BITS / 64] |= uint64_t{1} << (key % 64);
  std::copy(std::begin(fresh), std::end(fresh), maybe_);
  selected_ = std::move(keys);
}

}  // namespace faultline
