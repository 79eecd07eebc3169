// What checks found, as sections: what to do first, conditions by priority, what changed, every
// check with its week.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "aggregator/reports/reports.h"

namespace faultline {

constexpr int64_t kStripNs = int64_t{7} * 86400 * kNsPerSecond;

struct RankedCondition {
  std::string node;
  v1::Condition condition;
  ConditionPriority priority;
};
// Those that hold or are unknown, worst first: by priority, then by level, then the oldest.
std::vector<RankedCondition> RankConditions(const std::vector<NodeHealth>& nodes,
                                            const PriorityTable& table);
Mood MoodOf(const RankedCondition& ranked);
Mood MoodOf(v1::CheckVerdict verdict, v1::CheckLevel level);

struct CheckCounts {
  size_t ok = 0, bad = 0, unknown = 0, not_applicable = 0, all = 0;
};
CheckCounts CountChecks(const NodeHealth& health);

// The strips of the last week by rule; a store that cannot be read gives none.
std::map<std::string, std::vector<StripSpan>> VerdictStrips(const NodeHealth& health,
                                                            const ReportSources& sources);
// The worst condition of each stretch of the last week.
std::vector<StripSpan> ConditionStrip(const std::string& node, const ReportSources& sources);

ReportSection StepsSection(const std::vector<RankedCondition>& ranked, bool with_node);
ReportSection ConditionSection(const std::vector<RankedCondition>& ranked, bool with_node,
                               const ReportSources& sources);
// Changes of the last week, newest first.
ReportSection ChangeSection(const std::vector<NodeHealth>& nodes, const ReportSources& sources);
ReportSection CheckSection(const NodeHealth& health, const ReportSources& sources);
// For programs.
boost::json::array ConditionsJson(const std::vector<RankedCondition>& ranked);
boost::json::array ChecksJson(const NodeHealth& health);

}  // namespace faultline
