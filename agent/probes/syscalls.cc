// System calls of every container: duration as a histogram, errors by errno (bpf/syscalls.bpf.c
// sums them up in the kernel), and the slow ones as spans. Sums are read once a pass and never
// cleared, so that nothing is lost between a read and a clear: the difference to the last reading
// is what is added to the owner's series.
#include <cstring>
#include <map>

#include "agent/probes/bpf_program.h"
#include "agent/probes/cgroup_selection.h"
#include "agent/probes/counts_probe.h"
#include "agent/probes/owner_directory.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/slow_calls.h"
#include "agent/probes/syscall_choice.h"
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
        skeleton_(std::move(skeleton)),
        selection_(index_,
                   {context.config.probes().syscalls().cgroups().begin(),
                    context.config.probes().syscalls().cgroups().end()},
                   skeleton_->maps.selected, skeleton_->bss->maybe_selected),
        times_(bpf_map__fd(skeleton_->maps.times), sizeof(syscall_key), sizeof(syscall_times)),
        errors_(bpf_map__fd(skeleton_->maps.errors), sizeof(syscall_key), sizeof(uint64_t)),
        owners_(index_),
        is_sampled_(skeleton_->rodata->timed_one_in > 1),
        books_("syscalls", skeleton_->obj, skeleton_->bss->accounts),
        slow_(context.host, index_, books_, context.config.probes().syscalls().slow_streams()) {
    selection_.Update();
  }

  // With `chosen`, the programs are attached to the tracepoints of these calls only.
  Result<void> Open(std::vector<std::string> chosen) {
    FAULTLINE_TRY(slow_.Open(bpf_map__fd(skeleton_->maps.ring)));
    if (chosen.empty()) {
      MakeSheddable(books_, *skeleton_);
      return {};
    }
    auto attach = [this, calls = std::move(chosen)] { return AttachEach(calls); };
    FAULTLINE_TRY(attach());
    books_.Sheddable([this] { links_.clear(); }, std::move(attach));
    return {};
  }

  std::optional<int> wake_fd() const override { return slow_.wake_fd(); }
  Result<void> Wake(Emitter& out) override { return slow_.Consume(out); }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    FAULTLINE_TRY(slow_.Consume(out));
    selection_.Update();
    owners_.BeginPass();
    series_.BeginPass();
    FAULTLINE_TRY(ReadTimes());
    FAULTLINE_TRY(ReadErrors());
    ForgetTheDead();
    series_.Emit(is_sampled_, out);
    books_.Emit(out);
    return {};
  }

 private:
  Result<void> AttachEach(const std::vector<std::string>& calls) {
    for (const std::string& call : calls) {
      FAULTLINE_TRY(
          links_.Add(skeleton_->progs.syscall_enter_one, "syscalls", "sys_enter_" + call));
      FAULTLINE_TRY(links_.Add(skeleton_->progs.syscall_exit_one, "syscalls", "sys_exit_" + call));
    }
    return {};
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
        total.calls += part.calls;
        total.sum_ns += part.timed.sum_ns;
        for (size_t i = 0; i < total.buckets.size(); ++i) total.buckets[i] += part.timed.buckets[i];
      }
      const OwnerDirectory::Owner owner = owners_.Of(key.cgroup);
      if (owner.standing == OwnerDirectory::Standing::kUnknown) {
        pending += total.calls;
        return;
      }
      if (owner.standing == OwnerDirectory::Standing::kGivenUp) {
        books_.Dropped("unattributed", total.calls);
      } else {
        SyscallTimes& last = last_times_[key];
        SyscallTimes delta = total;
        delta.Subtract(last);
        books_.Delivered(delta.calls);
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
  SkeletonPtr<syscalls_bpf> skeleton_;
  TracepointLinks links_;
  CgroupSelection selection_;
  PercpuHash times_;
  PercpuHash errors_;
  OwnerDirectory owners_;
  SyscallSeries series_;
  std::map<syscall_key, SyscallTimes, KeyLess> last_times_;
  std::map<syscall_key, uint64_t, KeyLess> last_errors_;
  const bool is_sampled_;
  ProbeBooks books_;
  SlowCalls slow_;
};

Result<std::unique_ptr<Collector>> Load(const LeafContext& context, const SyscallChoice& choice,
                                        std::span<const ProgramSet> alternatives,
                                        std::vector<std::string> attached_to) {
  const v1::SyscallsProbeConfig& config = context.config.probes().syscalls();
  FAULTLINE_ASSIGN(
      auto skeleton, LoadProbe<syscalls_bpf>("syscalls", alternatives, [&](syscalls_bpf& object) {
        object.rodata->only_selected = config.cgroups_size() > 0;
        object.rodata->only_chosen = !choice.names.empty();
        object.rodata->timed_one_in = std::max(1U, config.timed_one_in());
        object.rodata->slow_ns = static_cast<uint64_t>(config.slow().seconds()) * kNsPerSecond +
                                 static_cast<uint64_t>(config.slow().nanos());
        std::memcpy(const_cast<uint8_t*>(object.rodata->treatment), choice.treatment.data(),
                    sizeof object.rodata->treatment);
        bpf_map__set_max_entries(
            object.maps.times, EntriesWithin(kTimesBudgetBytes, sizeof(syscall_times), kMostTimes));
        bpf_map__set_max_entries(object.maps.errors,
                                 EntriesWithin(kErrorsBudgetBytes, sizeof(uint64_t), kMostErrors));
      }));
  auto probe = std::make_unique<SyscallsProbe>(context, std::move(skeleton));
  FAULTLINE_TRY(probe->Open(std::move(attached_to)));
  return probe;
}

}  // namespace

Result<std::unique_ptr<Collector>> MakeSyscallsProbe(const LeafContext& context) {
  FAULTLINE_TRY(NeedContainers(context));
  FAULTLINE_ASSIGN(const SyscallChoice choice,
                   ReadSyscallChoice(context.config.probes().syscalls()));
  if (!choice.names.empty()) {
    // Where tracefs may not be read, all calls pass by the probe, which looks at the chosen ones.
    const ProgramSet each[] = {{"syscall_enter_one", "syscall_exit_one"}};
    if (auto probe = Load(context, choice, each, choice.names)) return probe;
  }
  const ProgramSet all[] = {{"syscall_enter", "syscall_exit"},
                            {"syscall_enter_tp", "syscall_exit_tp"}};
  return Load(context, choice, all, {});
}

}  // namespace faultline
