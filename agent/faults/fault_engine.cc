// Three kinds of threads, one rule: only the engine's thread changes the host. It takes work from
// one bounded queue and otherwise sleeps until the next deadline. Measuring threads run Verify and
// hand the result back through the same queue. What must survive us is in the journal before it
// happens; `running` is only its index.
//
// The deadline is armed right after Inject, before Verify: a fault must never be in force without
// one.

#include "agent/faults/fault_engine.h"

#include <unistd.h>

#include "agent/containers/cgroup_mounts.h"
#include "agent/faults/fault_engine_impl.h"
#include "agent/faults/stress_worker.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr int kMeasuringThreads = 4;
constexpr int64_t kMaxCommandAgeNs = 30 * kNsPerSecond;
constexpr size_t kMaxDoneKept = 64;
constexpr int64_t kDoneKeptNs = 3600 * kNsPerSecond;
constexpr int64_t kMaxSleepNs = kNsPerSecond;

std::string ProgramBeside(std::string_view name) {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return "";
  const std::string_view self(path, static_cast<size_t>(n));
  return fmt::format("{}/{}", self.substr(0, self.rfind('/')), name);
}

}  // namespace

FaultEngine::Impl::Impl(FaultEngineOptions the_options, const HostView& the_host,
                        CgroupMounts mounts, TransitionSink sink)
    : options(std::move(the_options)), view(the_host), on_transition(std::move(sink)) {
  host.host = &view;
  host.mounts = std::move(mounts);
  if (host.mounts.unified.empty() && host.mounts.v1.empty()) {
    host.mounts = ReadCgroupMounts(view.fs).value_or(CgroupMounts());
  }
  host.protected_ports = options.protected_ports;
  if (options.guardian_program.empty())
    options.guardian_program = ProgramBeside("faultline-guardian");
  if (access(options.guardian_program.c_str(), X_OK) == 0)
    host.worker_program = options.guardian_program;
}

// ---- Start -------------------------------------------------------------------------------------

Result<void> FaultEngine::Impl::Open() {
  FAULTLINE_ASSIGN(FaultJournal opened, FaultJournal::Open(options.state_dir + "/faults"));
  journal.emplace(std::move(opened));
  host.journal_folder = journal->folder();
  FAULTLINE_ASSIGN(JournalLock lock, journal->LockOwner());
  owner_lock.emplace(std::move(lock));
  FAULTLINE_ASSIGN(Lease made, Lease::Create());
  lease.emplace(std::move(made));
  lease->SetExpiry(options.lease_ns > 0 ? Now() + options.lease_ns : INT64_MAX);
  FAULTLINE_ASSIGN(const LiveProcess self, ReadLiveProcess(HostView::Real("/", view.clock),
                                                           static_cast<uint32_t>(getpid())));
  owner = fmt::format("{}:{}", self.pid, self.start_ticks);
  host.protected_pids = {self.pid};
  FAULTLINE_ASSIGN(const FaultJournal::Contents contents, journal->LoadAll());
  for (const std::string& name : contents.unreadable) {
    spdlog::error("fault journal: {}; set aside: what it says cannot be undone", name);
  }
  journal->SetAsideUnreadable();
  RecoverLeftOvers(contents);
  SweepLeftOvers();
  if (!options.guarded) return {};
  if (host.worker_program.empty()) {
    return Fail(ErrorCode::kNotFound, "the guardian's program {} is not there",
                options.guardian_program);
  }
  keeper.emplace(options.guardian_program, journal->folder(), view.fs.root(), owner);
  FAULTLINE_TRY(keeper->Start(*lease));
  ProtectOurselves();
  return {};
}

void FaultEngine::Impl::ProtectOurselves() {
  host.protected_pids = {static_cast<uint32_t>(getpid())};
  for (const uint32_t pid : keeper->pids()) host.protected_pids.push_back(pid);
}

void FaultEngine::Impl::RecoverLeftOvers(const FaultJournal::Contents& contents) {
  for (const v1::FaultJournalEntry& entry : contents.entries) {
    Running& left = running[entry.fault_uid()];
    left.entry = entry;
    left.left_over = true;
    left.stage = Stage::kInForce;
    ++left_overs;
  }
  for (const v1::FaultJournalEntry& entry : contents.entries) {
    if (const auto ended = End(entry.fault_uid(), "restart"); !ended) {
      spdlog::error("fault {} of an earlier run cannot be undone yet: {}", entry.fault_uid(),
                    ended.error().message);
    }
  }
}

// What carries our tag and belongs to no fault that is in force: a power cut may have taken the
// journal's last lines, but not what they were about.
void FaultEngine::Impl::SweepLeftOvers() {
  const FaultHost seen = HostFor("");
  if (seen.others.empty()) {
    if (const auto ended = EndWorkers(view, "", journal->folder()); !ended)
      spdlog::error("workers of an earlier run: {}", ended.error().message);
  }
  for (const FaultRow& row : options.catalogue) {
    for (const std::string& removed : row.make()->Sweep(seen))
      spdlog::warn("left by an earlier run and removed: {} ({})", removed, row.name);
  }
}

// ---- The engine's thread -----------------------------------------------------------------------

void FaultEngine::Impl::Run() {
  while (!stopping) {
    if (auto task = tasks.Pop(std::chrono::nanoseconds(SleepNs()))) (*task)();
    Tick();
  }
  EndAll("restart");
}

int64_t FaultEngine::Impl::SleepNs() const {
  int64_t sleep_ns = kMaxSleepNs;
  for (const auto& [uid, fault] : running) {
    if (fault.stage != Stage::kInForce) continue;
    int64_t due = std::min(fault.entry.deadline_monotonic_ns(), lease->expiry_steady_ns());
    if (!fault.ending_cause.empty()) due = fault.next_attempt_ns;
    sleep_ns = std::min(sleep_ns, due - Now());
  }
  return std::max<int64_t>(sleep_ns, 0);
}

void FaultEngine::Impl::Tick() {
  const int64_t now = Now();
  const bool halted = !running.empty() && journal->Halted();
  std::vector<std::pair<std::string, std::string>> due;
  for (const auto& [uid, fault] : running) {
    if (fault.stage != Stage::kInForce) continue;
    if (!fault.ending_cause.empty()) {
      if (fault.next_attempt_ns <= now) due.emplace_back(uid, fault.ending_cause);
    } else if (halted) {
      due.emplace_back(uid, "halt");
    } else if (fault.entry.deadline_monotonic_ns() <= now) {
      due.emplace_back(uid, "duration");
    } else if (lease->expiry_steady_ns() <= now) {
      due.emplace_back(uid, "lease_lost");
    }
  }
  for (const auto& [uid, cause] : due) {
    const auto ended = End(uid, cause);
    if (!ended && LogAllowed("fault/" + uid, 10))
      spdlog::error("{}; trying again", ended.error().message);
  }
  if (keeper) {
    keeper->Check(*lease, now);
    ProtectOurselves();
  }
  ReapWorkers();
  LookForReturnedTargets();
  if (next_forget_ns <= now) ForgetOldDone();
}

void FaultEngine::Impl::ForgetOldDone() {
  next_forget_ns = Now() + 60 * kNsPerSecond;
  const auto contents = journal->LoadAll();
  if (!contents) return;
  std::vector<std::pair<int64_t, std::string>> done;
  for (const v1::FaultJournalEntry& entry : contents->entries) {
    if (entry.phase() != v1::FAULT_JOURNAL_PHASE_DONE || running.contains(entry.fault_uid()))
      continue;
    done.emplace_back(entry.recovered_unix_ns(), entry.fault_uid());
  }
  std::sort(done.rbegin(), done.rend());
  for (size_t i = 0; i < done.size(); ++i) {
    if (i < kMaxDoneKept && view.clock->UnixNs() - done[i].first < kDoneKeptNs) continue;
    if (const auto removed = journal->Remove(done[i].second); !removed)
      spdlog::warn("{}", removed.error().message);
  }
}

// ---- Commands ----------------------------------------------------------------------------------

void FaultEngine::Impl::Recover(const v1::Command& command, const ReplySink& reply) {
  const v1::RecoverFault& asked = command.recover_fault();
  v1::CommandReply answer;
  answer.set_id(command.id());
  std::vector<std::string> uids = {asked.fault_uid()};
  if (asked.fault_uid().empty()) {
    uids.clear();
    for (const auto& [uid, fault] : running) uids.push_back(uid);
  }
  const std::string cause = asked.reason() == "halt" ? "halt" : "requested";
  for (const std::string& uid : uids) {
    if (const auto ended = End(uid, cause); !ended) AddError(answer, ended.error());
    if (const auto entry = journal->Load(uid)) {
      *answer.add_faults() = StatusOf(*entry);
    } else if (!asked.fault_uid().empty()) {
      AddError(answer, Error{ErrorCode::kNotFound,
                             fmt::format("fault '{}' is not known on this node", uid)});
    }
  }
  reply(std::move(answer));
}

void FaultEngine::Impl::List(const v1::Command& command, const ReplySink& reply) const {
  v1::CommandReply answer;
  answer.set_id(command.id());
  if (const auto contents = journal->LoadAll()) {
    for (const v1::FaultJournalEntry& entry : contents->entries)
      *answer.add_faults() = StatusOf(entry);
  } else {
    AddError(answer, contents.error());
  }
  reply(std::move(answer));
}

// ---- The outside -------------------------------------------------------------------------------

FaultEngine::FaultEngine(FaultEngineOptions options, const HostView& host, CgroupMounts mounts,
                         TransitionSink on_transition)
    : impl_(std::make_unique<Impl>(std::move(options), host, std::move(mounts),
                                   std::move(on_transition))) {}

FaultEngine::~FaultEngine() { Stop(); }

Result<void> FaultEngine::Start() {
  FAULTLINE_TRY(impl_->Open());
  for (int i = 0; i < kMeasuringThreads; ++i) {
    impl_->measuring.emplace_back([impl = impl_.get()] {
      while (!impl->measurements.closed()) {
        if (auto task = impl->measurements.Pop(std::chrono::seconds(60))) (*task)();
      }
    });
  }
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  return {};
}

void FaultEngine::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->stopping = true;
  impl_->tasks.TryPush([] {});  // wakes it
  impl_->thread.join();
  impl_->tasks.Close();
  impl_->measurements.Close();
  for (std::thread& thread : impl_->measuring) thread.join();
  impl_->measuring.clear();
}

void FaultEngine::Handle(v1::Command command, ReplySink reply) {
  const int64_t asked_ns = impl_->Now();
  const auto shared =
      std::make_shared<std::pair<v1::Command, ReplySink>>(std::move(command), std::move(reply));
  const bool queued = impl_->tasks.TryPush([impl = impl_.get(), shared, asked_ns] {
    const auto& [asked, sink] = *shared;
    if (asked.has_recover_fault()) return impl->Recover(asked, sink);
    if (asked.has_list_faults()) return impl->List(asked, sink);
    if (!asked.has_inject_fault()) {
      return impl->Refuse(asked, sink, Error{ErrorCode::kUnsupported, "no command about faults"},
                          false);
    }
    if (impl->Now() - asked_ns > kMaxCommandAgeNs) {
      return impl->Refuse(asked, sink, Error{ErrorCode::kTimeout, "the command waited too long"},
                          false);
    }
    impl->Inject(asked, sink);
  });
  if (!queued) {
    const Error full{ErrorCode::kResourceExhausted, "the fault engine is busy or stopped"};
    impl_->Refuse(shared->first, shared->second, full, false);
  }
}

void FaultEngine::RenewLease() {
  if (impl_->lease && impl_->options.lease_ns > 0)
    impl_->lease->SetExpiry(impl_->Now() + impl_->options.lease_ns);
}

bool FaultEngine::WantsContainers() const { return impl_->wants_containers; }

void FaultEngine::Containers(std::vector<LiveContainer> containers) {
  const auto shared = std::make_shared<std::vector<LiveContainer>>(std::move(containers));
  impl_->tasks.TryPush([impl = impl_.get(), shared] { impl->containers = std::move(*shared); });
}

std::string FaultEngine::WhyOff() const {
  if (!impl_->options.enabled) return "faults.enabled is false";
  if (impl_->left_overs > 0)
    return fmt::format("{} fault(s) of an earlier run are not undone", impl_->left_overs.load());
  if (impl_->host.worker_program.empty())
    return "faultline-guardian is not installed beside the agent";
  if (geteuid() != 0) return "not root: most faults cannot be injected";
  return "";
}

}  // namespace faultline
