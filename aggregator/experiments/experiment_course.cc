#include "aggregator/experiments/experiment_course.h"

#include <algorithm>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr int64_t kAskAgainNs = 5 * kNsPerSecond;
constexpr int64_t kNoAnswerNs = 60 * kNsPerSecond;
constexpr int64_t kOverdueNs = 10 * kNsPerSecond;  // after the node should have recovered by itself
constexpr int64_t kUnavailableNs =
    30 * kNsPerSecond;  // how long a node may be away before its inject fails
constexpr int64_t kMinRestMs = 1000;

bool IsTerminal(RecordPhase phase) {
  return phase == RecordPhase::kSelected || phase == RecordPhase::kRecovered ||
         phase == RecordPhase::kFailed;
}

std::string Numbers(const v1::Effect& effect) {
  std::string text;
  for (const v1::Measurement& measurement : effect.measurements()) {
    text += fmt::format("{}{} {:.3g} -> {:.3g} (asked {:.3g})", text.empty() ? "" : ", ",
                        measurement.name(), measurement.before(), measurement.during(),
                        measurement.asked());
  }
  return text;
}

}  // namespace

ExperimentCourse::ExperimentCourse(std::string uid, std::string name, ExperimentSpec spec,
                                   ExperimentStatus status)
    : uid_(std::move(uid)),
      name_(std::move(name)),
      spec_(std::move(spec)),
      status_(std::move(status)) {}

void ExperimentCourse::Select(const std::vector<Target>& targets, uint64_t seed) {
  status_.selected = true;
  status_.seed = seed;
  status_.refusal.clear();
  status_.refusal_reason.clear();
  for (const Target& target : targets) {
    TargetRecord record;
    record.id = target.id;
    record.node = target.node;
    record.target = target.subject;
    record.duration_ms = spec_.duration_ms;
    status_.records.push_back(std::move(record));
  }
}

void ExperimentCourse::Resolve(const std::string& parameter, std::string value) {
  status_.resolved[parameter] = std::move(value);
}

void ExperimentCourse::RefuseSelection(std::string reason, std::string message, bool final) {
  status_.refusal_reason = std::move(reason);
  status_.refusal = std::move(message);
  status_.refused = final;
}

void ExperimentCourse::Pause(bool paused) {
  if (status_.paused && !paused && status_.stop_reason.empty()) {
    // What is left of the duration goes on.
    for (TargetRecord& record : status_.records) {
      if (record.phase != RecordPhase::kRecovered || record.injected_unix_ns == 0) continue;
      const int64_t done_ms = (record.recovered_unix_ns - record.injected_unix_ns) / kNsPerMs;
      record.duration_ms = std::max<int64_t>(record.duration_ms - done_ms, 0);
      if (record.cause_of_end == "requested" && record.duration_ms >= kMinRestMs) {
        record.phase = RecordPhase::kSelected;
        record.fault_uid.clear();
      }
    }
  }
  status_.paused = paused;
}

void ExperimentCourse::Stop(std::string reason) {
  if (status_.stop_reason.empty()) status_.stop_reason = std::move(reason);
}

void ExperimentCourse::AskInject(TargetRecord& record, size_t index, int64_t now_unix_ns) {
  // A new name for each try: what an earlier one left on the node cannot be mistaken for this one.
  if (record.fault_uid.empty())
    record.fault_uid = fmt::format("{}-{}-{}", uid_, ++status_.attempt, index);
  record.phase = RecordPhase::kInjecting;
  record.asked_unix_ns = now_unix_ns;
}

std::vector<ExperimentRequest> ExperimentCourse::Next(int64_t now_unix_ns) {
  std::vector<ExperimentRequest> requests;
  const bool wanted = status_.stop_reason.empty() && !status_.paused;
  for (size_t i = 0; i < status_.records.size(); ++i) {
    TargetRecord& record = status_.records[i];
    const int64_t waited_ns = now_unix_ns - record.asked_unix_ns;
    const int64_t end_ns = record.injected_unix_ns + record.duration_ms * kNsPerMs;
    bool recover = false;
    switch (record.phase) {
      case RecordPhase::kSelected:
        if (!wanted || (!record.fault_uid.empty() && waited_ns < kAskAgainNs)) break;
        AskInject(record, i, now_unix_ns);
        requests.push_back({i, false});
        break;
      case RecordPhase::kInjecting:
        recover = !wanted || waited_ns > kNoAnswerNs;
        break;
      case RecordPhase::kInjected:
        recover = !wanted || now_unix_ns > end_ns + kOverdueNs;
        break;
      case RecordPhase::kRecovering:
        recover = waited_ns > kAskAgainNs;
        break;
      case RecordPhase::kRecovered:
      case RecordPhase::kFailed:
        break;
    }
    if (!recover || spec_.dry_run) continue;
    record.phase = RecordPhase::kRecovering;
    record.asked_unix_ns = now_unix_ns;
    requests.push_back({i, true});
  }
  return requests;
}

v1::Command ExperimentCourse::CommandFor(const ExperimentRequest& request) const {
  const TargetRecord& record = status_.records[request.record];
  v1::Command command;
  command.set_requested_by("experiment " + name_);
  if (request.recover) {
    command.mutable_recover_fault()->set_fault_uid(record.fault_uid);
    command.mutable_recover_fault()->set_reason(status_.stop_reason == "halt" ? "halt"
                                                                              : "requested");
    return command;
  }
  v1::InjectFault& inject = *command.mutable_inject_fault();
  inject.set_fault_uid(record.fault_uid);
  inject.set_experiment(name_);
  inject.set_fault(spec_.fault);
  inject.mutable_parameters()->insert(spec_.parameters.begin(), spec_.parameters.end());
  for (const auto& [parameter, value] : status_.resolved)
    (*inject.mutable_parameters())[parameter] = value;
  inject.set_duration_ms(record.duration_ms);
  *inject.mutable_target() = record.target;
  inject.set_dry_run(spec_.dry_run);
  return command;
}

TargetRecord* ExperimentCourse::Find(const std::string& fault_uid) {
  for (TargetRecord& record : status_.records) {
    if (!fault_uid.empty() && record.fault_uid == fault_uid) return &record;
  }
  return nullptr;
}

void ExperimentCourse::OnReply(const std::string& fault_uid, bool recover,
                               const Result<v1::CommandReply>& reply, int64_t now_unix_ns) {
  TargetRecord* record = Find(fault_uid);
  if (record == nullptr) return;
  if (recover && record->phase == RecordPhase::kRecovering)
    OnRecoverReply(*record, reply, now_unix_ns);
  if (!recover && record->phase == RecordPhase::kInjecting)
    OnInjectReply(*record, reply, now_unix_ns);
}

void ExperimentCourse::OnInjectReply(TargetRecord& record, const Result<v1::CommandReply>& reply,
                                     int64_t now_unix_ns) {
  if (reply) {
    for (const v1::FaultStatus& fault : reply->faults()) {
      record.victims.assign(fault.victims().begin(), fault.victims().end());
    }
    if (spec_.dry_run) {
      record.phase = RecordPhase::kRecovered;
      record.message = "dry run: nothing was changed";
      record.AddEvent(now_unix_ns, "Plan", true, "");
      return;
    }
    // The transition says when, and may have been quicker than the reply.
    if (record.phase == RecordPhase::kInjecting) {
      record.phase = RecordPhase::kInjected;
      record.injected_unix_ns = now_unix_ns;
    }
    return;
  }
  const Error& error = reply.error();
  record.AddEvent(now_unix_ns, "Inject", false, error.message);
  record.message = error.message;
  if (error.code == ErrorCode::kTimeout) {
    // Perhaps it is in force: make sure that it is not.
    record.phase = RecordPhase::kRecovering;
    record.asked_unix_ns = now_unix_ns - kAskAgainNs - 1;
    return;
  }
  const bool away =
      error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kResourceExhausted;
  const bool again = away && (record.events.empty() ||
                              now_unix_ns - record.events.front().time_unix_ns < kUnavailableNs);
  record.phase = again ? RecordPhase::kSelected : RecordPhase::kFailed;
}

void ExperimentCourse::OnRecoverReply(TargetRecord& record, const Result<v1::CommandReply>& reply,
                                      int64_t now_unix_ns) {
  if (!reply) {
    record.AddEvent(now_unix_ns, "Recover", false, reply.error().message);
    if (reply.error().code != ErrorCode::kNotFound)
      return;  // keep asking; the node recovers by itself
    // The node is there and knows nothing of it. If it never was in force, fine; else this is no
    // proof.
    record.phase = record.injected_unix_ns == 0 ? RecordPhase::kFailed : RecordPhase::kRecovered;
    record.message = reply.error().message;
    if (record.injected_unix_ns != 0)
      record.residue.push_back("not proven: the node has forgotten this fault");
    return;
  }
  for (const v1::FaultStatus& fault : reply->faults()) {
    if (fault.fault_uid() != record.fault_uid) continue;
    const bool failed = fault.phase() == v1::FAULT_PHASE_FAILED;
    if (!failed && fault.phase() != v1::FAULT_PHASE_RECOVERED) continue;
    record.residue.assign(fault.residue().begin(), fault.residue().end());
    record.phase =
        failed && record.injected_unix_ns == 0 ? RecordPhase::kFailed : RecordPhase::kRecovered;
    record.message = fault.message();
    if (record.recovered_unix_ns <= record.injected_unix_ns) record.recovered_unix_ns = now_unix_ns;
    if (record.cause_of_end.empty()) record.cause_of_end = "requested";
    record.AddEvent(now_unix_ns, "Recover", true, fault.message());
  }
}

bool ExperimentCourse::OnTransition(const std::string& node, const v1::FaultTransition& transition,
                                    int64_t time_unix_ns) {
  TargetRecord* record = Find(transition.fault_uid());
  if (record == nullptr || record->node != node) return false;
  switch (transition.phase()) {
    case v1::FAULT_PHASE_INJECTED:
      record->injected_unix_ns = time_unix_ns;
      record->cause_of_end.clear();
      record->AddEvent(time_unix_ns, "Inject", true, transition.message());
      if (record->phase == RecordPhase::kInjecting) record->phase = RecordPhase::kInjected;
      // Given up, and yet in force: it must go.
      if (record->phase == RecordPhase::kFailed) record->phase = RecordPhase::kRecovering;
      break;
    case v1::FAULT_PHASE_VERIFIED:
      record->effect = transition.effect();
      record->AddEvent(time_unix_ns, "Verify", transition.effect().verdict() == v1::VERDICT_TRUE,
                       transition.effect().reason());
      break;
    case v1::FAULT_PHASE_RECOVERED:
      record->phase = RecordPhase::kRecovered;
      record->recovered_unix_ns = time_unix_ns;
      record->after = transition.effect();
      record->cause_of_end = transition.cause_of_end();
      record->message = transition.message();
      record->residue.assign(transition.residue().begin(), transition.residue().end());
      record->AddEvent(time_unix_ns, "Recover", record->residue.empty(), transition.cause_of_end());
      break;
    case v1::FAULT_PHASE_FAILED:
      record->phase = RecordPhase::kFailed;
      record->message = transition.message();
      record->residue.assign(transition.residue().begin(), transition.residue().end());
      record->AddEvent(time_unix_ns, "Inject", false, transition.message());
      break;
    default:
      break;
  }
  return true;
}

bool ExperimentCourse::Quiet() const {
  return std::all_of(status_.records.begin(), status_.records.end(),
                     [](const TargetRecord& record) { return IsTerminal(record.phase); });
}

bool ExperimentCourse::Finished() const {
  if (!Quiet()) return false;
  if (!status_.stop_reason.empty() || status_.refused) return true;
  if (!status_.selected || status_.paused) return false;
  return std::none_of(
      status_.records.begin(), status_.records.end(),
      [](const TargetRecord& record) { return record.phase == RecordPhase::kSelected; });
}

// ---- What people see ---------------------------------------------------------------------------

void ExperimentCourse::SetCondition(std::string type, std::string status, std::string reason,
                                    std::string message, int64_t now_unix_ns) {
  auto at = std::find_if(status_.conditions.begin(), status_.conditions.end(),
                         [&](const Condition& condition) { return condition.type == type; });
  if (at == status_.conditions.end()) at = status_.conditions.insert(at, {type, "", "", "", 0});
  if (at->status != status) at->since_unix_ns = now_unix_ns;
  at->status = std::move(status);
  at->reason = std::move(reason);
  at->message = std::move(message);
}

void ExperimentCourse::SummariseVerified(int64_t now_unix_ns) {
  size_t verified = 0;
  size_t pending = 0;
  std::string message;
  std::string status = "True";
  for (const TargetRecord& record : status_.records) {
    const v1::Verdict verdict = record.effect.verdict();
    if (verdict == v1::VERDICT_TRUE) ++verified;
    if (record.phase == RecordPhase::kFailed || verdict == v1::VERDICT_FALSE) {
      status = "False";
      message = fmt::format("{}: {}", record.id,
                            verdict == v1::VERDICT_FALSE ? record.effect.reason() : record.message);
    } else if (verdict == v1::VERDICT_UNSPECIFIED) {
      ++pending;
    } else if (verdict == v1::VERDICT_INCONCLUSIVE && status == "True") {
      status = "Unknown";
      message = fmt::format("{}: {}", record.id, record.effect.reason());
    }
    if (message.empty() && verdict == v1::VERDICT_TRUE)
      message = fmt::format("{}: {}", record.id, Numbers(record.effect));
  }
  const auto set = [&](std::string value, std::string reason, std::string text) {
    SetCondition("Verified", std::move(value), std::move(reason), std::move(text), now_unix_ns);
  };
  if (!status_.refusal.empty())
    return set(status_.refused ? "False" : "Unknown", "NothingSelected", status_.refusal);
  if (spec_.dry_run) return set("Unknown", "DryRun", "nothing was injected");
  if (status == "False") return set("False", "NoEffect", message);
  if (pending > 0 || status_.records.empty()) {
    const std::string text = fmt::format("{} of {} target(s) measured",
                                         status_.records.size() - pending, status_.records.size());
    return Finished() ? set("Unknown", "Inconclusive", text) : set("Unknown", "Pending", text);
  }
  if (status == "Unknown") return set("Unknown", "Inconclusive", message);
  set("True", "EffectMeasured",
      fmt::format("{} of {}; {}", verified, status_.records.size(), message));
}

void ExperimentCourse::SummariseResidual(int64_t now_unix_ns) {
  bool all_ended = status_.selected;
  for (const TargetRecord& record : status_.records) {
    if (!record.residue.empty()) {
      return SetCondition("Residual", "True", "LeftBehind",
                          fmt::format("{}: {}", record.id, record.residue.front()), now_unix_ns);
    }
    all_ended = all_ended &&
                (record.phase == RecordPhase::kRecovered || record.phase == RecordPhase::kFailed);
  }
  if (Finished() || all_ended)
    return SetCondition("Residual", "False", "Audited", "nothing is left", now_unix_ns);
  SetCondition("Residual", "Unknown", "Pending", "", now_unix_ns);
}

void ExperimentCourse::Summarise(int64_t now_unix_ns) {
  size_t injected = 0;
  size_t in_force = 0;
  size_t recovered = 0;
  size_t failed = 0;
  if (Finished() && !status_.selected && status_.refusal.empty())
    RefuseSelection("Stopped", status_.stop_reason, true);
  for (const TargetRecord& record : status_.records) {
    injected += record.injected_unix_ns != 0;
    in_force += !IsTerminal(record.phase);
    recovered += record.phase == RecordPhase::kRecovered;
    failed += record.phase == RecordPhase::kFailed;
  }
  const size_t all = status_.records.size();
  if (!status_.refusal.empty()) {
    // Targets may still appear; a halt or a policy is a no by itself.
    const bool waiting = !status_.refused && status_.refusal_reason == "NothingMatches";
    SetCondition("Selected", waiting ? "Unknown" : "False", status_.refusal_reason, status_.refusal,
                 now_unix_ns);
  } else if (status_.selected) {
    SetCondition("Selected", "True", "TargetsChosen", fmt::format("{} target(s)", all),
                 now_unix_ns);
  } else {
    SetCondition("Selected", "Unknown", "Pending", "", now_unix_ns);
  }
  SetCondition("AllInjected", all > 0 && injected == all ? "True" : "False",
               spec_.dry_run ? "DryRun" : "Counted",
               fmt::format("{} of {} target(s){}", injected, all,
                           failed > 0 ? fmt::format(", {} failed", failed) : ""),
               now_unix_ns);
  SetCondition("AllRecovered", status_.selected && Quiet() && injected > 0 ? "True" : "False",
               "Counted", fmt::format("{} of {} target(s)", recovered, all), now_unix_ns);
  SetCondition("Paused", status_.paused ? "True" : "False",
               status_.paused ? "Annotation" : "NotPaused", "", now_unix_ns);
  SummariseVerified(now_unix_ns);
  SummariseResidual(now_unix_ns);
  if (!status_.refusal.empty()) {
    status_.phase = status_.refused ? "Failed" : "Pending";
  } else if (!status_.selected) {
    status_.phase = status_.stop_reason.empty() ? "Pending" : "Finished";
  } else if (Finished()) {
    status_.phase = spec_.dry_run ? "Planned" : (all > 0 && failed == all ? "Failed" : "Finished");
  } else if (status_.paused) {
    status_.phase = in_force > 0 ? "Recovering" : "Paused";
  } else {
    status_.phase = status_.stop_reason.empty() ? "Running" : "Recovering";
  }
}

}  // namespace faultline
