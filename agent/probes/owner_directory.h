// From the cgroup keys that BPF programs write to owners by path, across births and deaths: a
// cgroup is first seen by the kernel, then by the index, and its last records are read after it is
// gone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/containers/container_index.h"

namespace faultline {

class OwnerDirectory {
 public:
  // After so many passes a key that the index never knew is given up.
  static constexpr uint64_t kPatiencePasses = 30;

  enum class Standing {
    kAlive,    // owned by `path`
    kGone,     // was owned by `path`; nothing more will come for it
    kUnknown,  // may become known in a later pass
    kGivenUp,  // nobody will ever know
  };
  struct Owner {
    Standing standing = Standing::kUnknown;
    std::string_view
        path;  // of the listed cgroup, "/" for the node; valid until the next BeginPass
  };

  explicit OwnerDirectory(ContainerIndex& index) : index_(index) {}
  void BeginPass();
  Owner Of(uint64_t key);

 private:
  struct Entry {
    std::string path;
    uint64_t first_pass = 0;
    uint64_t asked_pass = 0;
    Standing standing = Standing::kUnknown;
  };
  void Judge(uint64_t key, Entry& entry);

  ContainerIndex& index_;
  std::unordered_map<uint64_t, Entry>
      entries_;  // of keys asked for of late: bounded by the maps they come from
  uint64_t pass_ = 0;
};

}  // namespace faultline
