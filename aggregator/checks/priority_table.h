// How much a condition matters, as Aegis' priority.conf says it: lines
// `Condition:Priority:AffectsLoad:DeviceIDMode`. 0 is worst; up to 99 is an emergency, up to 999
// can wait. What the table does not name is ranked by its level.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/result.h"
#include "faultline/v1/check.pb.h"

namespace faultline {

struct ConditionPriority {
  int priority = 0;
  bool affects_load = false;
  std::string device_mode;  // all, index, mask, id, -
  bool from_table = false;
};

class PriorityTable {
 public:
  // Errors are `file:line: field: reason`; `file` is only for them.
  static Result<PriorityTable> Parse(std::string_view text, std::string_view file);

  ConditionPriority Of(std::string_view condition, v1::CheckLevel level) const;
  size_t size() const { return rows_.size(); }

 private:
  std::map<std::string, ConditionPriority, std::less<>> rows_;
};

constexpr std::string_view kNodeNotReady = "NodeNotReady";
constexpr int kLastEmergency = 99;

}  // namespace faultline
