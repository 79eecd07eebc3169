// The course of one experiment as a pure state machine: what to ask of the nodes next, and what
// their answers and the faults' transitions mean. No clock, no thread, no wire: experiments.cc
// supplies them.
//
//   Selected ──► Injecting ──► Injected ──(overdue, pause, stop)──► Recovering ──► Recovered
//                    └──(refused by the node)──► Failed
// The node may go to Recovered by itself at any time: deadlines are its own.
#pragma once

#include <string>
#include <vector>

#include "aggregator/experiments/experiment_spec.h"
#include "aggregator/experiments/experiment_status.h"
#include "aggregator/experiments/target_selection.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct ExperimentRequest {
  size_t record = 0;
  bool recover = false;  // else inject
};

class ExperimentCourse {
 public:
  // `uid`: of the object; `name`: namespace/name.
  ExperimentCourse(std::string uid, std::string name, ExperimentSpec spec, ExperimentStatus status);

  void Select(const std::vector<Target>& targets, uint64_t seed);
  // A parameter that only the fleet can tell, as the addresses of the other side.
  void Resolve(const std::string& parameter, std::string value);
  // Not final: targets may still appear.
  void RefuseSelection(std::string reason, std::string message, bool final);
  void Pause(bool paused);
  void Stop(std::string reason);
  // What to ask now; the records are marked as asked. Ask again for what got no answer.
  std::vector<ExperimentRequest> Next(int64_t now_unix_ns);
  v1::Command CommandFor(const ExperimentRequest& request) const;
  // `fault_uid` as in the command; stale answers are ignored.
  void OnReply(const std::string& fault_uid, bool recover, const Result<v1::CommandReply>& reply,
               int64_t now_unix_ns);
  // The transition's time is on our clock already. False: not one of ours.
  bool OnTransition(const std::string& node, const v1::FaultTransition& transition,
                    int64_t time_unix_ns);
  // Phase and conditions from all of the above.
  void Summarise(int64_t now_unix_ns);

  // Nothing is in force and nothing is under way.
  bool Quiet() const;
  // Quiet, and nothing will start again.
  bool Finished() const;
  const ExperimentStatus& status() const { return status_; }
  const ExperimentSpec& spec() const { return spec_; }

 private:
  TargetRecord* Find(const std::string& fault_uid);
  void AskInject(TargetRecord& record, size_t index, int64_t now_unix_ns);
  void OnInjectReply(TargetRecord& record, const Result<v1::CommandReply>& reply,
                     int64_t now_unix_ns);
  void OnRecoverReply(TargetRecord& record, const Result<v1::CommandReply>& reply,
                      int64_t now_unix_ns);
  void SetCondition(std::string type, std::string status, std::string reason, std::string message,
                    int64_t now_unix_ns);
  void SummariseVerified(int64_t now_unix_ns);
  void SummariseResidual(int64_t now_unix_ns);

  const std::string uid_;
  const std::string name_;
  const ExperimentSpec spec_;
  ExperimentStatus status_;
};

}  // namespace faultline
