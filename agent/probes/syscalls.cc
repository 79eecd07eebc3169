// System calls of every container: duration as a histogram, errors by errno (bpf/syscalls.bpf.c
// sums them up in the kernel). Read once a pass and never cleared, so that nothing is lost between
// a read and a clear: the difference to the last reading is what is added to the owner's series.
#include <algorithm>
#include <cstring>
#include <map>

#include "agent/probes/bpf_program.h"
#include "agent/probes/owner_directory.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/syscall_series.h"
#include "bpf/syscalls.h"
#include "faultline/v1/config.pb.h"
#include "syscalls.skel.h"

namespace faultline {
namespace {

constexpr size_t kTimesBudgetBytes = size_t{16} << 20;
constexpr size_t kErrorsBudgetBytes = size_t{2} << 20;
constexpr uint32_t kMostTimes = 8192;
constexpr uint32_t kMostErrors = 4096;

struct KeyLess {
  bool operator()(const syscall_key& a, const syscall_key& b) const {
    return std::tie(a.cgroup, a.number, a.error) < std::tie(b.cgroup, b.number, b.error);
  }
};

class SyscallsProbe final : public Collector {
 public:
  SyscallsProbe(const LeafContext& context, SkeletonPtr<syscalls_bpf> skeleton)
      : index_(*context.containers),
        selection_(context.config.probes().syscalls().cgroups().begin(),
                   context.config.probes().syscalls().cgroups().end()),
        skeleton_(std::move(skeleton)),
        times_(bpf_map__fd(skeleton_->maps.times), sizeof(syscall_key), sizeof(syscall_times)),
        errors_(bpf_map__fd(skeleton_->maps.errors), sizeof(syscall_key), sizeof(uint64_t)),
        owners_(index_),
        books_("syscalls", skeleton_->obj, skeleton_->bss->accounts) {
    Select();
  }

  Result<void> Collect(Emitter& out) override {
    Select();
    owners_.BeginPass();
    series_.BeginPass();
    FAULTLINE_TRY(ReadTimes());
    FAULTLINE_TRY(ReadErrors());
    ForgetTheDead();
    series_.Emit(out);
    books_.Emit(out);
    return {};
  }

 private:
  // Keeps the kernel's allow-list equal to the cgroups at and below the selected paths.
  void Select() {
    if (selection_.empty()) return;
    std::vector<uint64_t> keys;
    for (const std::string& path : selection_) {
      const auto below = index_.KernelKeys(path);
      keys.insert(keys.end(), below.begin(), below.end());
    }
    std::sort(keys.begin(), keys.end());
    const auto known = [](const std::vector<uint64_t>& set, uint64_t key) {
      return std::binary_search(set.begin(), set.end(), key);
    };
    const uint8_t one = 1;
    for (const uint64_t key : keys) {
      if (!known(selected_, key)) {
        bpf_map__update_elem(skeleton_->maps.selected, &key, sizeof key, &one, sizeof one, BPF_ANY);
      }
    }
    for (const uint64_t key : selected_) {
      if (!known(keys, key)) bpf_map__delete_elem(skeleton_->maps.selected, &key, sizeof key, 0);
    }
    selected_ = std::move(keys);
  }

  Result<void> ReadTimes() {
    uint64_t pending = 0;
    std::vector<syscall_key> finished;
    FAULTLINE_TRY(times_.ForEach([&](const void* raw_key, const std::byte* raw) {
      syscall_key key;
      std::memcpy(&key, raw_key, sizeof key);
      SyscallTimes total;
      for (int cpu = 0; cpu < times_.cpus(); ++cpu) {
        syscall_times part;
        std::memcpy(&part, raw + static_cast<size_t>(cpu) * times_.stride(), sizeof part);
        total.sum_ns += part.sum_ns;
        for (size_t i = 0; i < total.buckets.size(); ++i) total.buckets[i] += part.buckets[i];
      }
      const OwnerDirectory::Owner owner = owners_.Of(key.cgroup);
      if (owner.standing == OwnerDirectory::Standing::kUnknown) {
        pending += total.Count();
        return;
      }
      if (owner.standing == OwnerDirectory::Standing::kGivenUp) {
        books_.Dropped("unattributed", total.Count());
      } else {
        SyscallTimes& last = last_times_[key];
        SyscallTimes delta = total;
        delta.sum_ns -= last.sum_ns;
        for (size_t i = 0; i < delta.buckets.size(); ++i) delta.buckets[i] -= last.buckets[i];
        books_.Delivered(delta.Count());
        series_.AddCalls(owner.path, key.number, delta);
        last = total;
      }
      if (owner.standing != OwnerDirectory::Standing::kAlive) finished.push_back(key);
    }));
    for (const syscall_key& key : finished) {
      times_.Delete(&key);
      last_times_.erase(key);
    }
    books_.Pending(pending);
    return {};
  }

  Result<void> ReadErrors() {
    std::vector<syscall_key> finished;
    FAULTLINE_TRY(errors_.ForEach([&](const void* raw_key, const std::byte* raw) {
      syscall_key key;
      std::memcpy(&key, raw_key, sizeof key);
      uint64_t total = 0;
      for (int cpu = 0; cpu < errors_.cpus(); ++cpu) {
        uint64_t part;
        std::memcpy(&part, raw + static_cast<size_t>(cpu) * errors_.stride(), sizeof part);
        total += part;
      }
      const OwnerDirectory::Owner owner = owners_.Of(key.cgroup);
      if (owner.standing == OwnerDirectory::Standing::kUnknown) return;
      if (owner.standing != OwnerDirectory::Standing::kGivenUp) {
        uint64_t& last = last_errors_[key];
        series_.AddErrors(owner.path, key.number, key.error, total - last);
        last = total;
      }
      if (owner.standing != OwnerDirectory::Standing::kAlive) finished.push_back(key);
    }));
    for (const syscall_key& key : finished) {
      errors_.Delete(&key);
      last_errors_.erase(key);
    }
    return {};
  }

  void ForgetTheDead() {
    std::vector<std::string> dead;
    series_.ForEachOwner([&](const std::string& path) {
      if (path == "/") return;
      const ContainerIdentity* owner = index_.Resolve(Origin{.cgroup_path = path});
      if (owner == nullptr || owner->cgroup_path != path) dead.push_back(path);
    });
    for (const std::string& path : dead) series_.Forget(path);
  }

  ContainerIndex& index_;
  const std::vector<std::string> selection_;
  std::vector<uint64_t> selected_;  // sorted
  SkeletonPtr<syscalls_bpf> skeleton_;
  PercpuHash times_;
  PercpuHash errors_;
  OwnerDirectory owners_;
  SyscallSeries series_;
  std::map<syscall_key, SyscallTimes, KeyLess> last_times_;
  std::map<syscall_key, uint64_t, KeyLess> last_errors_;
  ProbeBooks books_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSyscallsProbe(const LeafContext& context) {
  if (context.containers == nullptr) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: containers are off, or no cgroup file system is mounted");
  }
  const ProgramSet alternatives[] = {{"syscall_enter", "syscall_exit"},
                                     {"syscall_enter_tp", "syscall_exit_tp"}};
  const bool only_selected = context.config.probes().syscalls().cgroups_size() > 0;
  FAULTLINE_ASSIGN(
      auto skeleton, LoadProbe<syscalls_bpf>("syscalls", alternatives, [&](syscalls_bpf& object) {
        object.rodata->only_selected = only_selected;
        bpf_map__set_max_entries(
            object.maps.times, EntriesWithin(kTimesBudgetBytes, sizeof(syscall_times), kMostTimes));
        bpf_map__set_max_entries(object.maps.errors,
                                 EntriesWithin(kErrorsBudgetBytes, sizeof(uint64_t), kMostErrors));
      }));
  return std::make_unique<SyscallsProbe>(context, std::move(skeleton));
}

}  // namespace faultline
