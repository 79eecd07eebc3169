// A per-CPU hash of counters by cgroup (all words of 64 bits), read once a pass and summed up by
// owner. Words are differences of what the kernel holds, so a cgroup that dies takes nothing away
// from the container around it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/probes/bpf_program.h"
#include "agent/probes/owner_directory.h"

namespace faultline {

class CgroupCounts {
 public:
  using Words = std::vector<uint64_t>;
  // What happened to word 0 in the last Read.
  struct Tally {
    uint64_t delivered = 0;
    uint64_t pending = 0;
    uint64_t given_up = 0;
  };
  CgroupCounts(int map_fd, size_t words, ContainerIndex& index);

  Result<Tally> Read();
  // By path of the owner, "/" for the node; owners that are gone are forgotten by the next Read.
  const std::map<std::string, Words, std::less<>>& totals() const { return totals_; }

 private:
  ContainerIndex& index_;
  const size_t words_;
  PercpuHash counts_;
  OwnerDirectory owners_;
  std::unordered_map<uint64_t, Words> last_;  // by key
  std::map<std::string, Words, std::less<>> totals_;
};

}  // namespace faultline
