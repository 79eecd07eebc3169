// The reports there are. Each reads what it needs and says what it could not read; only an unknown
// node is an error.
#pragma once

#include <functional>
#include <string>

#include "aggregator/checks/checks.h"
#include "aggregator/fleet.h"
#include "aggregator/labels/ground_truth.h"
#include "aggregator/objects/objects.h"
#include "aggregator/reports/report.h"
#include "aggregator/store/store.h"
#include "common/clock.h"

namespace faultline {

struct ReportSources {
  Fleet* fleet = nullptr;
  Store* store = nullptr;               // null: no measurements and events in the report
  GroundTruth* ground_truth = nullptr;  // null: no faults in it
  const Clock* clock = nullptr;
  Checks* checks = nullptr;    // null: no conditions in it
  Objects* objects = nullptr;  // null: no cluster checks in it
  std::string origin;  // http://host:port that links out of the page lead to; empty: no links
};

Result<Report> MakeNodeReport(const std::string& node, const ReportSources& sources);
Result<Report> MakeClusterReport(const ReportSources& sources);

}  // namespace faultline
