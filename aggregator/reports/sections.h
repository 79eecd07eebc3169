// Sections that more than one report has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aggregator/reports/reports.h"

namespace faultline {

// Faults of the last day, those in force first; of one node, or of all (empty).
ReportSection FaultSection(const std::string& node, const ReportSources& sources);
// The newest events of the last hour.
ReportSection EventSection(const std::string& node, const ReportSources& sources);
// Containers that use the most CPU and memory.
ReportSection ContainerSection(const std::string& node, const ReportSources& sources);
// Cluster checks and their last runs; who differs from the fleet.
ReportSection ClusterCheckSection(const ReportSources& sources);
ReportSection OutlierSection(const ReportSources& sources);
// The last day in curves.
ReportSection ChartSection(const std::string& node, const ReportSources& sources);
// What was dropped, lost or unreadable in the last day, by what counted it; of one node, or of all
// (empty).
ReportSection LossSection(const std::string& node, const ReportSources& sources);
// value of a PromQL expression at now; nullopt if there is none.
std::optional<double> Measure(const ReportSources& sources, const std::string& expression);

std::string DurationText(int64_t ns);
std::string UrlText(std::string_view text);  // percent-encoded
std::string BytesText(double bytes);
// `text` as a PromQL string literal.
std::string PromString(const std::string& text);

}  // namespace faultline
