#include "agent/probes/cgroup_counts.h"

#include <cstring>

namespace faultline {

CgroupCounts::CgroupCounts(int map_fd, size_t words, ContainerIndex& index)
    : index_(index),
      words_(words),
      counts_(map_fd, sizeof(uint64_t), words * sizeof(uint64_t)),
      owners_(index) {}

Result<CgroupCounts::Tally> CgroupCounts::Read() {
  using Standing = OwnerDirectory::Standing;
  owners_.BeginPass();
  std::erase_if(totals_, [&](const auto& entry) {
    const ContainerIdentity* owner = index_.Resolve(Origin{.cgroup_path = entry.first});
    return entry.first != "/" && (owner == nullptr || owner->cgroup_path != entry.first);
  });
  Tally tally;
  std::vector<uint64_t> finished;
  FAULTLINE_TRY(counts_.ForEach([&](const void* raw_key, const std::byte* raw) {
    uint64_t key;
    std::memcpy(&key, raw_key, sizeof key);
    Words sum(words_);
    for (int cpu = 0; cpu < counts_.cpus(); ++cpu) {
      Words part(words_);
      std::memcpy(part.data(), raw + static_cast<size_t>(cpu) * counts_.stride(),
                  words_ * sizeof(uint64_t));
      for (size_t i = 0; i < words_; ++i) sum[i] += part[i];
    }
    const OwnerDirectory::Owner owner = owners_.Of(key);
    if (owner.standing == Standing::kUnknown) {
      tally.pending += sum[0];
      return;
    }
    if (owner.standing != Standing::kAlive) finished.push_back(key);
    if (owner.standing == Standing::kGivenUp) {
      tally.given_up += sum[0];
      return;
    }
    Words& last = last_[key];
    Words& total = totals_[std::string(owner.path)];
    last.resize(words_);
    total.resize(words_);
    tally.delivered += sum[0] - last[0];
    for (size_t i = 0; i < words_; ++i) total[i] += sum[i] - last[i];
    last = std::move(sum);
  }));
  for (const uint64_t key : finished) {
    counts_.Delete(&key);
    last_.erase(key);
  }
  return tally;
}

}  // namespace faultline
