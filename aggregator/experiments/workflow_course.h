// The course of one workflow as a pure state machine over its templates. What it needs of the
// outside (objects that are made, looked at and ended; checks that are asked) comes through
// WorkflowWorld. All that it remembers is its status: a restarted aggregator goes on from there,
// asking checks anew.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "aggregator/experiments/status_checks.h"

namespace faultline {

struct ChildState {
  bool ended = false;
  bool failed = false;
  std::string message;
  std::optional<double> exit_code;  // of a task
  std::string stdout_text;
};

class WorkflowWorld {
 public:
  virtual ~WorkflowWorld() = default;
  // An object of that kind and spec, with the name; making it twice is harmless.
  virtual Result<void> Make(const std::string& kind, const std::string& name,
                            const boost::json::object& spec) = 0;
  virtual ChildState Look(const std::string& kind, const std::string& name) = 0;
  virtual void End(const std::string& kind, const std::string& name) = 0;
  // The answer comes back through WorkflowCourse::OnAnswer.
  virtual void Ask(size_t step, const CheckSpec& check) = 0;
};

// One template that was begun.
struct WorkflowStep {
  std::string name;  // of the template
  std::optional<size_t> parent;
  std::string phase = "Running";  // Running, Ending, Done
  std::string outcome;            // Done, Failed, DeadlineExceeded, Aborted
  int64_t began_unix_ns = 0;
  int64_t ended_unix_ns = 0;
  std::string child_kind, child_name;
  std::optional<double> exit_code;
  std::string stdout_text;
  std::string message;
  bool branched = false;  // its conditional branches were decided
};

class WorkflowCourse {
 public:
  // `spec`: validated. `status`: as ToJson made it, or empty.
  WorkflowCourse(std::string name, boost::json::object spec, const boost::json::value& status);
  WorkflowCourse(const WorkflowCourse&) = delete;  // it points into its own spec
  WorkflowCourse& operator=(const WorkflowCourse&) = delete;

  // Everything ends: what is in force is recovered, then it is over.
  void Abort(std::string reason);
  void Step(int64_t now_unix_ns, WorkflowWorld& world);
  void OnAnswer(size_t step, const Result<std::string>& answer, int64_t now_unix_ns);

  bool finished() const { return !steps_.empty() && steps_.front().phase == "Done"; }
  const std::vector<WorkflowStep>& steps() const { return steps_; }
  boost::json::object ToJson() const;

 private:
  const boost::json::object& TemplateOf(const WorkflowStep& step) const;
  std::vector<size_t> ChildrenOf(size_t step) const;
  void Begin(const std::string& name, std::optional<size_t> parent, int64_t now_unix_ns);
  void Finish(size_t step, std::string outcome, std::string message, int64_t now_unix_ns);
  void EndBelow(size_t step, const std::string& outcome);
  void StepOne(size_t step, int64_t now_unix_ns, WorkflowWorld& world);
  void StepEnding(size_t step, int64_t now_unix_ns, WorkflowWorld& world);
  void StepGroup(size_t step, bool serial, int64_t now_unix_ns);
  void StepCheck(size_t step, int64_t now_unix_ns, WorkflowWorld& world);
  void StepChild(size_t step, const std::string& type, int64_t now_unix_ns, WorkflowWorld& world);
  void StepBranches(size_t step, int64_t now_unix_ns);

  const std::string name_;
  const boost::json::object spec_;
  std::map<std::string, const boost::json::object*> templates_;
  std::vector<WorkflowStep> steps_;
  std::map<size_t, CheckCourse> checks_;
  std::string abort_reason_;
};

}  // namespace faultline
