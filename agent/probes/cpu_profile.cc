// Where CPUs spend their time, by container and stack (bpf/cpu_profile.bpf.c): for a while when
// somebody asks, around an incident, or always. A profile is sampled in the kernel, read when its
// window is over, named on another thread, and becomes log records {job="cpu_profile"}, a stack
// each with its samples. User stacks need frame pointers; a process that ends before the first pass
// that could see it has addresses but no names.
#include "agent/probes/cpu_profile.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>

#include "agent/probes/bpf_program.h"
#include "agent/probes/counts_probe.h"
#include "agent/probes/cpu_clock.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/stack_namer.h"
#include "bpf/cpu_profile.h"
#include "cpu_profile.skel.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr uint32_t kEntriesPerCpu = 1024;  // of stacks and samples
constexpr uint32_t kMostEntries = 16'384;
constexpr int64_t kNamedWithinNs = 30 * kNsPerSecond;
constexpr size_t kMostChunks = 4096;  // that wait for the pipeline

CpuProfiler* running = nullptr;

class CpuProfile final : public Collector, public CpuProfiler {
 public:
  CpuProfile(const LeafContext& context, SkeletonPtr<cpu_profile_bpf> skeleton,
             std::unique_ptr<StackNamer> namer)
      : clock_(*context.host.clock),
        index_(*context.containers),
        frequency_hz_(context.config.probes().cpu_profile().frequency_hz()),
        is_continuous_(context.config.probes().cpu_profile().continuous()),
        wants_incidents_(context.config.probes().cpu_profile().on_incident()),
        window_ns_(context.config.probes().cpu_profile().window().seconds() * kNsPerSecond +
                   context.config.probes().cpu_profile().window().nanos()),
        skeleton_(std::move(skeleton)),
        samples_(bpf_map__fd(skeleton_->maps.samples), sizeof(cpu_profile_key), sizeof(uint64_t),
                 1),
        ticks_(skeleton_->progs.cpu_profile_tick),
        namer_(std::move(namer)),
        books_("cpu_profile", skeleton_->obj, skeleton_->bss->accounts) {
    books_.Sheddable([this] { ticks_.Stop(); }, [] { return Result<void>(); });
    running = this;
  }
  ~CpuProfile() override {
    if (running == this) running = nullptr;
    const Error ended{ErrorCode::kUnavailable, "the probe cpu_profile was ended"};
    for (Done* const done : {&asked_.done, &window_.done, &naming_.done}) Answer(*done, ended);
  }

  // The kernel's word on whether it can be done at all.
  Result<void> Try() {
    FAULTLINE_TRY(ticks_.Start(frequency_hz_));
    ticks_.Stop();
    return {};
  }

  void Profile(int64_t duration_ns, Done done) override {
    if (const auto in_service = books_.InService(); !in_service)
      return done(std::unexpected(in_service.error()));
    if (is_given_up_) return done(std::unexpected(Stuck()));
    if (asked_.done || window_.done) {
      return done(Fail(ErrorCode::kResourceExhausted, "a profile of this node is being made"));
    }
    asked_ = {duration_ns, std::move(done)};
    if (window_.is_open) window_.until_ns = clock_.SteadyNs();
    Step();
  }

  void Incident() override {
    if (!wants_incidents_ || window_.is_open || is_given_up_ || !books_.InService()) return;
    if (const auto begun = Begin(window_ns_, nullptr); !begun) failure_ = begun.error();
  }

  std::optional<int> wake_fd() const override { return namer_->fd(); }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    if (window_.is_open) FAULTLINE_TRY(LookAtSamples());
    Step();
    Deliver(out);
    books_.Pending(window_.samples + naming_.samples + waiting_samples_);
    books_.Emit(out);
    if (is_given_up_) return std::unexpected(Stuck());
    if (failure_) return std::unexpected(*std::exchange(failure_, std::nullopt));
    return {};
  }

 private:
  struct Asked {
    int64_t duration_ns = 0;
    Done done;
  };
  struct Window {
    bool is_open = false;
    int64_t until_ns = 0;  // steady
    int64_t begin_unix_ns = 0;
    uint64_t samples = 0;  // when they were last looked at
    Done done;
    std::vector<v1::Subject> owners = std::vector<v1::Subject>(1);  // the first is the node
    std::unordered_map<uint64_t, uint32_t> owner_of_key;
    std::set<uint32_t> pids;
  };
  struct Naming {
    bool is_open = false;
    int64_t late_ns = 0;  // steady
    uint64_t samples = 0;
    Done done;
    v1::CpuProfile profile;
    std::vector<v1::Subject> owners;
  };

  static Error Stuck() {
    return {ErrorCode::kTimeout,
            fmt::format("a file that a process has mapped could not be read within {} s",
                        kNamedWithinNs / kNsPerSecond)};
  }
  static void Answer(Done& done, Result<v1::CpuProfile> result) {
    if (done) std::exchange(done, nullptr)(std::move(result));
  }
  static void Answer(Done& done, const Error& error) {
    Answer(done, Result<v1::CpuProfile>(std::unexpected(error)));
  }

  // What is due now; each window ends when the stacks of the one before have their names.
  void Step() {
    TakeNames();
    const int64_t now_ns = clock_.SteadyNs();
    if (naming_.is_open && now_ns >= naming_.late_ns && !is_given_up_) {
      is_given_up_ = true;
      Answer(naming_.done, Stuck());
    }
    if (window_.is_open && now_ns >= window_.until_ns && !naming_.is_open) {
      if (const auto ended = End(); !ended) failure_ = ended.error();
    }
    if (window_.is_open) return;
    if (asked_.done) {
      Done done = std::exchange(asked_.done, nullptr);
      if (const auto begun = Begin(asked_.duration_ns, done); !begun) Answer(done, begun.error());
    } else if (is_continuous_ && !is_given_up_) {
      if (const auto begun = Begin(window_ns_, nullptr); !begun) failure_ = begun.error();
    }
  }

  Result<void> Begin(int64_t duration_ns, Done done) {
    FAULTLINE_TRY(ticks_.Start(frequency_hz_));
    window_ = Window{.is_open = true,
                     .until_ns = clock_.SteadyNs() + duration_ns,
                     .begin_unix_ns = clock_.UnixNs(),
                     .done = std::move(done)};
    return {};
  }

  uint32_t OwnerOf(uint64_t key) {
    const auto [known, is_new] = window_.owner_of_key.try_emplace(key, 0);
    if (known->second != 0) return known->second;
    const KernelOwner owner = index_.ResolveKernelKey(key);
    if (owner.container == nullptr) return 0;  // the node's, as long as nobody knows better
    v1::Subject subject;
    subject.set_namespace_(owner.container->name_space);
    subject.set_pod(owner.container->pod);
    subject.set_container(owner.container->container);
    subject.set_container_id(owner.container->container_id);
    subject.set_cgroup(owner.container->cgroup_path);
    const auto same = std::ranges::find(window_.owners, subject.cgroup(), &v1::Subject::cgroup);
    known->second = static_cast<uint32_t>(same - window_.owners.begin());
    if (same == window_.owners.end()) window_.owners.push_back(std::move(subject));
    return known->second;
  }

  // Owners and processes may be gone when the window ends.
  Result<void> LookAtSamples() {
    std::vector<uint32_t> fresh;
    window_.samples = 0;
    FAULTLINE_TRY(samples_.ForEach([&](const void* raw_key, const std::byte* raw) {
      cpu_profile_key key;
      uint64_t count;
      std::memcpy(&key, raw_key, sizeof key);
      std::memcpy(&count, raw, sizeof count);
      window_.samples += count;
      (void)OwnerOf(key.cgroup);
      if (key.in_user != CPU_PROFILE_NO_STACK && window_.pids.insert(key.pid).second) fresh.push_back(key.pid);
    }));
    if (!fresh.empty()) namer_->Look(std::move(fresh));
    return {};
  }

  std::vector<uint64_t> Frames(uint64_t hash, std::set<uint64_t>& used) const {
    if (hash == CPU_PROFILE_NO_STACK || hash == CPU_PROFILE_STACK_LOST) return {};
    used.insert(hash);
    cpu_profile_stack stack{};
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.stacks), &hash, &stack) != 0) return {};
    return {std::begin(stack.frames), std::ranges::find(stack.frames, 0)};
  }

  Result<void> End() {
    ticks_.Stop();
    std::vector<RawStack> stacks;
    std::vector<cpu_profile_key> keys;
    std::set<uint64_t> used;
    uint64_t samples = 0;
    FAULTLINE_TRY(samples_.ForEach([&](const void* raw_key, const std::byte* raw) {
      cpu_profile_key& key = keys.emplace_back();
      RawStack& stack = stacks.emplace_back();
      std::memcpy(&key, raw_key, sizeof key);
      std::memcpy(&stack.samples, raw, sizeof stack.samples);
      samples += stack.samples;
      stack.owner = OwnerOf(key.cgroup);
      stack.pid = key.pid;
      stack.thread.assign(key.thread, strnlen(key.thread, sizeof key.thread));
      stack.in_user = Frames(key.in_user, used);
      stack.in_kernel = Frames(key.in_kernel, used);
      stack.is_lost =
          key.in_user == CPU_PROFILE_STACK_LOST || key.in_kernel == CPU_PROFILE_STACK_LOST;
    }));
    for (const cpu_profile_key& key : keys) samples_.Delete(&key);
    for (const uint64_t stack : used)
      bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.stacks), &stack);
    naming_ = Naming{.is_open = true,
                     .late_ns = clock_.SteadyNs() + kNamedWithinNs,
                     .samples = samples,
                     .done = std::exchange(window_.done, nullptr),
                     .owners = std::move(window_.owners)};
    naming_.profile.set_begin_unix_ns(window_.begin_unix_ns);
    naming_.profile.set_end_unix_ns(clock_.UnixNs());
    naming_.profile.set_frequency_hz(frequency_hz_);
    window_ = {};
    namer_->Name(std::move(stacks));
    return {};
  }

  void TakeNames() {
    auto named = namer_->Take();
    if (!named) return;
    if (std::exchange(is_given_up_, false)) {
      books_.Dropped("not_named", naming_.samples);
    } else {
      Fill(*named);
      Queue();
      Answer(naming_.done, std::move(naming_.profile));
    }
    naming_ = {};
  }

  void Fill(const std::vector<NamedStack>& named) {
    std::vector<v1::ContainerStacks> of_owner(naming_.owners.size());
    for (const NamedStack& stack : named) {
      v1::ContainerStacks& container = of_owner[stack.owner];
      container.set_samples(container.samples() + stack.samples);
      container.add_stacks(fmt::format("{} {}", stack.text, stack.samples));
    }
    for (size_t i = 0; i < of_owner.size(); ++i) *of_owner[i].mutable_subject() = naming_.owners[i];
    std::erase_if(of_owner, [](const v1::ContainerStacks& one) { return one.samples() == 0; });
    std::ranges::stable_sort(of_owner, std::ranges::greater(), &v1::ContainerStacks::samples);
    for (v1::ContainerStacks& container : of_owner)
      *naming_.profile.add_containers() = std::move(container);
  }

  // As log records, for later.
  void Queue() {
    for (const v1::ContainerStacks& container : naming_.profile.containers()) {
      const v1::Subject& subject = container.subject();
      LogChunk chunk;
      const std::pair<const char*, std::string> labels[] = {
          {"container", subject.container()},
          {"id", subject.cgroup().empty() ? "/" : subject.cgroup()},
          {"job", "cpu_profile"},
          {"namespace", subject.namespace_()},
          {"pod", subject.pod()}};
      for (const auto& [name, value] : labels) {
        if (!value.empty()) chunk.stream_labels.emplace_back(name, value);
      }
      for (const std::string& stack : container.stacks()) {
        LogChunk::Record& record = chunk.records.emplace_back();
        record.time_unix_ns = naming_.profile.end_unix_ns();
        record.body = stack;
      }
      if (chunks_.size() >= kMostChunks) {
        books_.Dropped("pipeline_full", container.samples());
        continue;
      }
      waiting_samples_ += container.samples();
      chunks_.emplace_back(std::move(chunk), container.samples());
    }
  }

  void Deliver(Emitter& out) {
    while (!chunks_.empty() && out.Logs(std::move(chunks_.front().first))) {
      books_.Delivered(chunks_.front().second);
      waiting_samples_ -= chunks_.front().second;
      chunks_.pop_front();
    }
  }

  const Clock& clock_;
  ContainerIndex& index_;
  const uint32_t frequency_hz_;
  const bool is_continuous_;
  const bool wants_incidents_;
  const int64_t window_ns_;
  SkeletonPtr<cpu_profile_bpf> skeleton_;
  PercpuHash samples_;
  CpuClock ticks_;
  std::unique_ptr<StackNamer> namer_;
  Asked asked_;
  Window window_;
  Naming naming_;
  bool is_given_up_ = false;  // what is being named comes too late
  std::deque<std::pair<LogChunk, uint64_t>> chunks_;
  uint64_t waiting_samples_ = 0;  // in chunks_
  std::optional<Error> failure_;  // of what happened between the passes
  ProbeBooks books_;
};

}  // namespace

CpuProfiler* CpuProfiler::Running() { return running; }

Result<std::unique_ptr<Collector>> MakeCpuProfile(const LeafContext& context) {
  FAULTLINE_TRY(NeedContainers(context));
  const ProgramSet alternatives[] = {{}};
  FAULTLINE_ASSIGN(
      auto skeleton, LoadProbe<cpu_profile_bpf>("cpu_profile", alternatives, [](auto& object) {
        const auto cpus = static_cast<uint32_t>(std::max(1, libbpf_num_possible_cpus()));
        const uint32_t entries = std::clamp(cpus * kEntriesPerCpu, 2 * kEntriesPerCpu, kMostEntries);
        bpf_map__set_max_entries(object.maps.stacks, entries);
        bpf_map__set_max_entries(object.maps.samples, entries);
      }));
  FAULTLINE_ASSIGN(auto namer, StackNamer::Start(context.host.fs));
  auto probe = std::make_unique<CpuProfile>(context, std::move(skeleton), std::move(namer));
  FAULTLINE_TRY(probe->Try());
  return probe;
}

}  // namespace faultline
