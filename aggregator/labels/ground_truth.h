// The truth about when which fault was in force on whom: made from the FaultTransitions on the data
// road and from labels that people import. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"
#include "faultline/v1/record.pb.h"

namespace faultline {

struct FaultLabel {
  std::string uid;
  std::string experiment;
  std::string fault;
  std::string node;
  v1::Subject target;
  int64_t begin_unix_ns = 0;  // injected, on the aggregator's clock (node's clock minus its offset)
  int64_t end_unix_ns = 0;    // recovered; 0 while in force
  v1::FaultPhase phase = v1::FAULT_PHASE_UNSPECIFIED;
  v1::Effect effect;  // of Verify
  v1::Effect after;   // of the check after recovery
  std::vector<std::string> residue;
  std::map<std::string, std::string> parameters;
  std::string source = "injected";  // injected, imported, manual
  std::string message;
};

class GroundTruth {
 public:
  explicit GroundTruth(Store* store);
  ~GroundTruth();
  // Reads what the store has.
  Result<void> Load();
  // `clock_offset_ns` = node's clock minus ours. Called from ingest once the batch is durable.
  void Apply(const std::string& node, const v1::FaultTransition& transition,
             int64_t clock_offset_ns);
  // Labels that overlap [begin, end], oldest first.
  std::vector<FaultLabel> Between(int64_t begin_unix_ns, int64_t end_unix_ns) const;
  std::vector<FaultLabel> Active() const;
  std::optional<FaultLabel> Find(const std::string& uid) const;
  // By hand or imported; kInvalidArgument names the field.
  Result<void> Add(FaultLabel label);
  // Only what people gave: kPermissionDenied for the label of an injected fault.
  Result<void> Remove(const std::string& uid);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
