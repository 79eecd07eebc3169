// A container that restarts comes back as another one: new id, new cgroup, new processes. A fault
// that was asked for by name goes on there until its deadline, which does not move. The old plan is
// undone first (its cgroup is gone, so this is mostly nothing); then the new plan replaces it in
// the journal, and only then is it injected: at every moment the journal undoes what there is.
#include "agent/faults/claims.h"
#include "agent/faults/fault_engine_impl.h"
#include "agent/faults/target_cgroups.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kLookEveryNs = 500 * kNsPerMs;

bool SameName(const v1::Subject& target, const LiveContainer& container) {
  if (target.pod().empty() && target.container().empty()) return false;
  return target.namespace_() == container.name_space && target.pod() == container.pod &&
         target.container() == container.container;
}

}  // namespace

uint64_t FaultEngine::Impl::TargetInode(const v1::Subject& target) const {
  if (target.cgroup().empty()) return 0;
  const auto folders = TargetFolders(target.cgroup(), 0, host);
  return folders.empty() ? 0 : FolderInode(view, folders.front().path);
}

std::optional<v1::Subject> FaultEngine::Impl::ReturnedTarget(const Running& fault) const {
  const v1::Subject& target = fault.entry.target();
  const uint64_t inode = TargetInode(target);
  if (inode == fault.target_inode) return std::nullopt;
  if (inode != 0) return target;  // the same path, made again
  for (const LiveContainer& container : containers) {
    if (container.cgroup == target.cgroup() || !SameName(target, container)) continue;
    v1::Subject returned = target;
    returned.set_container_id(container.container_id);
    returned.set_cgroup(container.cgroup);
    returned.clear_pid();
    return returned;
  }
  return std::nullopt;
}

void FaultEngine::Impl::LookForReturnedTargets() {
  const int64_t now = Now();
  bool wanted = false;
  std::vector<std::pair<std::string, v1::Subject>> returned;
  for (auto& [uid, fault] : running) {
    const FaultRow* row = FindFault(options.catalogue, fault.entry.fault());
    if (fault.stage != Stage::kInForce || !fault.ending_cause.empty() || fault.left_over ||
        fault.target_inode == 0 || row == nullptr || row->one_shot || !row->reapply) {
      continue;
    }
    wanted = true;
    if (now < fault.next_look_ns) continue;
    fault.next_look_ns = now + kLookEveryNs;
    if (auto target = ReturnedTarget(fault)) returned.emplace_back(uid, *std::move(target));
  }
  wants_containers = wanted;
  for (const auto& [uid, target] : returned) {
    if (const auto applied = Reapply(uid, target); !applied && LogAllowed("reapply/" + uid, 10))
      spdlog::warn("fault {}: its target is back: {}", uid, applied.error().message);
  }
}

Result<void> FaultEngine::Impl::Reapply(const std::string& uid, const v1::Subject& target) {
  Running& fault = running.at(uid);
  const FaultHost seen = HostFor(uid);
  FaultPlan old_plan = PlanOf(fault.entry);
  FaultSpec spec = old_plan.spec;
  spec.target = target;
  FAULTLINE_ASSIGN(FaultPlan plan, Make(fault)->Plan(spec, seen));
  FAULTLINE_TRY(FillClaims(plan, seen));
  {
    FAULTLINE_ASSIGN(const JournalLock lock, journal->Lock(uid, 1000));
    FAULTLINE_ASSIGN(v1::FaultJournalEntry entry, journal->Load(uid));
    if (entry.phase() != v1::FAULT_JOURNAL_PHASE_ACTIVE) return {};  // the guardian was here
    FAULTLINE_TRY(Make(fault)->Recover(old_plan, seen));
    SetPlan(entry, plan);
    entry.set_applications(entry.applications() + 1);
    FAULTLINE_TRY(journal->Save(entry));
    fault.entry = std::move(entry);
  }
  FAULTLINE_TRY(Make(fault)->Inject(plan, seen));
  fault.target_inode = TargetInode(target);
  spdlog::info("fault {} is in force again on {}", uid,
               fault.entry.victims().empty() ? "" : fault.entry.victims(0));
  Measure(uid, &Impl::OnVerified);
  return {};
}

}  // namespace faultline
