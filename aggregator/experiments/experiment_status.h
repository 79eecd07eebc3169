// What an experiment has done so far. It is the object's status and nothing else is kept: a
// restarted aggregator goes on from here. INTERFACES' conditions are computed from it
// (experiment_course.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "faultline/v1/record.pb.h"

namespace faultline {

enum class RecordPhase { kSelected, kInjecting, kInjected, kRecovering, kRecovered, kFailed };
std::string_view RecordPhaseName(RecordPhase phase);

struct RecordEvent {
  int64_t time_unix_ns = 0;
  std::string operation;  // Inject, Verify, Recover
  bool succeeded = false;
  std::string message;
};

// One target.
struct TargetRecord {
  std::string id;
  std::string node;
  v1::Subject target;
  std::string fault_uid;
  RecordPhase phase = RecordPhase::kSelected;
  int64_t asked_unix_ns = 0;     // when this phase was asked for
  int64_t duration_ms = 0;       // what is left of the duration
  int64_t injected_unix_ns = 0;  // on our clock, as the node said it
  int64_t recovered_unix_ns = 0;
  v1::Effect effect;
  v1::Effect after;
  std::vector<std::string> residue;
  std::vector<std::string> victims;
  std::string cause_of_end;
  std::string message;
  std::vector<RecordEvent> events;  // the last 20

  void AddEvent(int64_t time_unix_ns, std::string operation, bool succeeded, std::string text);
};

struct Condition {
  std::string type;
  std::string status;  // True, False, Unknown
  std::string reason;  // CamelCase
  std::string message;
  int64_t since_unix_ns = 0;
};

struct ExperimentStatus {
  std::string phase = "Pending";  // Pending, Running, Paused, Recovering, Finished, Failed, Planned
  bool selected = false;          // targets were chosen, or found not to exist
  bool refused = false;           // for good
  std::string refusal;            // why nothing was chosen
  std::string refusal_reason;     // CamelCase
  std::optional<uint64_t> seed;
  int64_t attempt = 0;
  bool paused = false;
  std::string stop_reason;  // aborted, halted, steadyState: …: it never runs again
  std::map<std::string, std::string> resolved;  // parameters that were found out, as targets
  std::vector<TargetRecord> records;
  std::vector<Condition> conditions;
};

boost::json::object StatusToJson(const ExperimentStatus& status);
// Unknown or missing fields are left at their defaults.
ExperimentStatus StatusFromJson(const boost::json::value& value);

}  // namespace faultline
