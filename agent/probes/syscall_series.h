// Sums of system calls by owner, bounded in series: each owner shows at most kMaxSyscalls syscalls
// (and kMaxErrors pairs of syscall and errno) by name, all others together as "other". A name keeps
// its place while it is active; after kIdlePasses of silence it may lose it to another. Everything
// only ever grows, as counters must. Pure.
#pragma once

#include <linux/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "bpf/syscalls.h"
#include "common/emitter.h"

namespace faultline {

struct SyscallTimes {
  uint64_t calls = 0;   // all
  uint64_t sum_ns = 0;  // of those that were timed, as the buckets
  std::array<uint64_t, TIME_BUCKETS> buckets{};
  void Add(const SyscallTimes& other);
  void Subtract(const SyscallTimes& other);
};

class SyscallSeries {
 public:
  static constexpr size_t kMaxSyscalls = 24;
  static constexpr size_t kMaxErrors = 32;
  static constexpr uint64_t kIdlePasses = 60;

  void BeginPass() { ++pass_; }
  // What happened since the last time. `owner` is a cgroup path, "/" for the node itself.
  void AddCalls(std::string_view owner, uint32_t number, const SyscallTimes& delta);
  void AddErrors(std::string_view owner, uint32_t number, uint32_t error_number, uint64_t delta);
  void Forget(std::string_view owner);
  // `is_sampled`: only some calls were timed, so that their number is told apart from the
  // histogram.
  void Emit(bool is_sampled, Emitter& out) const;
  // For Forget: which owners there are.
  template <typename Visit>
  void ForEachOwner(Visit visit) const {
    for (const auto& [path, owner] : owners_) visit(path);
  }

 private:
  template <typename Value>
  struct Shown {
    Value value{};
    uint64_t active_pass = 0;
    bool shown = false;
  };
  using ErrorKey = std::pair<uint32_t, uint32_t>;  // syscall, errno
  struct Owner {
    std::map<uint32_t, Shown<SyscallTimes>> calls;
    std::map<ErrorKey, Shown<uint64_t>> errors;
    SyscallTimes other_calls;
    uint64_t other_errors = 0;
  };
  Owner& OwnerAt(std::string_view path);
  // True if the name that `key` stands for has a series of its own now.
  template <typename Map>
  bool Admit(Map& map, const typename Map::key_type& key, size_t most);

  std::map<std::string, Owner, std::less<>> owners_;
  uint64_t pass_ = 0;
};

}  // namespace faultline
