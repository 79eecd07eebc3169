// Loading, attaching and reading BPF objects: the one place that knows libbpf's ways. What the
// kernel refuses comes back as kUnsupported with the reason, and libbpf's own messages go into it
// instead of to standard error.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace faultline {

// While it lives, libbpf's warnings of this process are kept here and not printed.
class LibbpfMessages {
 public:
  LibbpfMessages();
  ~LibbpfMessages();
  LibbpfMessages(const LibbpfMessages&) = delete;
  LibbpfMessages& operator=(const LibbpfMessages&) = delete;
  std::string FirstLine() const;
};

// Programs that do the same work in different ways; the first set that loads and attaches is taken.
using ProgramSet = std::vector<const char*>;

Error BpfRefused(std::string_view probe, std::string_view step, int error_number,
                 const std::string& message);
Result<void> ChoosePrograms(bpf_object* object, const ProgramSet& programs);
// A map limit that keeps a per-CPU map of such values within `budget_bytes` over all CPUs.
uint32_t EntriesWithin(size_t budget_bytes, size_t value_bytes, uint32_t most);
// Gives the memory that loading took (the kernel's type information, some MB) back to the system.
void ReleaseLoadMemory();

template <typename Skeleton>
struct SkeletonCloser {
  void operator()(Skeleton* skeleton) const { Skeleton::destroy(skeleton); }
};
template <typename Skeleton>
using SkeletonPtr = std::unique_ptr<Skeleton, SkeletonCloser<Skeleton>>;

// `prepare` sets map limits and constants before the load.
template <typename Skeleton, typename Prepare>
Result<SkeletonPtr<Skeleton>> LoadProbe(std::string_view probe,
                                        std::span<const ProgramSet> alternatives, Prepare prepare) {
  Error error;
  for (const ProgramSet& programs : alternatives) {
    LibbpfMessages messages;
    SkeletonPtr<Skeleton> skeleton(Skeleton::open());
    if (!skeleton) return std::unexpected(BpfRefused(probe, "open", errno, messages.FirstLine()));
    FAULTLINE_TRY(ChoosePrograms(skeleton->obj, programs));
    prepare(*skeleton);
    if (const int refused = Skeleton::load(skeleton.get()); refused != 0) {
      error = BpfRefused(probe, "load", -refused, messages.FirstLine());
      continue;
    }
    if (const int refused = Skeleton::attach(skeleton.get()); refused != 0) {
      error = BpfRefused(probe, "attach", -refused, messages.FirstLine());
      continue;
    }
    ReleaseLoadMemory();
    return skeleton;
  }
  return std::unexpected(std::move(error));
}

// Attachments of programs to classic tracepoints, which need a tracefs that we may read.
class TracepointLinks {
 public:
  TracepointLinks() = default;
  ~TracepointLinks() { clear(); }
  TracepointLinks(const TracepointLinks&) = delete;
  TracepointLinks& operator=(const TracepointLinks&) = delete;
  Result<void> Add(const bpf_program* program, const std::string& category,
                   const std::string& tracepoint);
  void clear();

 private:
  std::vector<bpf_link*> links_;
};

// Every entry of a per-CPU hash; `values` has one value per possible CPU, each padded to eight
// bytes. Of a hash that is not per CPU, with `cpus` 1, the one value.
class PercpuHash {
 public:
  PercpuHash(int map_fd, size_t key_bytes, size_t value_bytes,
             int cpus = libbpf_num_possible_cpus());
  using Visitor = std::function<void(const void* key, const std::byte* values)>;
  // In batches where the kernel can, else key by key. Entries that come or go meanwhile may be
  // missed or seen.
  Result<void> ForEach(const Visitor& visit);
  void Delete(const void* key);
  int cpus() const { return cpus_; }
  size_t stride() const { return value_bytes_; }

 private:
  Result<void> KeyByKey(const Visitor& visit);

  const int fd_;
  const size_t key_bytes_;
  const size_t value_bytes_;  // padded
  const int cpus_;
  bool batches_ = true;
  std::vector<std::byte> keys_;
  std::vector<std::byte> values_;
};

}  // namespace faultline
