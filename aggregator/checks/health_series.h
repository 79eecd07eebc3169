// What checks leave behind as series: faultline_check_verdict{node,rule,module,item} per run (its
// history at a few bits each) and faultline_condition{node,condition,level} (1 true, 0 false, -1
// unknown), refreshed so that queries see it.
#pragma once

#include <map>
#include <string>

#include "aggregator/checks/node_health.h"
#include "aggregator/store/store.h"

namespace faultline {

class HealthSeries {
 public:
  explicit HealthSeries(Store* store) : store_(store) {}
  // Called by one thread. Rows gather until Flush.
  void AddRun(const std::string& node, const v1::CheckResult& result, int64_t now_unix_ns);
  void AddConditions(const NodeHealth& health, int64_t now_unix_ns);
  void AddEvent(const std::string& node, v1::Event event);
  void Flush();

 private:
  SeriesId Intern(Labels labels, std::string_view help);

  Store* const store_;
  std::map<std::string, AppendBatch> rows_;  // by node
  std::map<std::string, SeriesId> runs_;     // node NUL rule
  struct Shown {
    SeriesId series = 0;
    v1::CheckLevel level = v1::CHECK_LEVEL_UNSPECIFIED;
  };
  std::map<std::string, std::map<std::string, Shown>> conditions_;  // node -> type
};

}  // namespace faultline
