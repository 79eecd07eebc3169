// What checks bring and people write about them: a node's memory, results in any order, priorities,
// schedules, report text. Nothing crashes; what is bounded stays bounded; a page never gets markup
// that a check wrote.
#include <cstdint>
#include <string_view>

#include "aggregator/checks/node_health.h"
#include "aggregator/checks/priority_table.h"
#include "aggregator/reports/report.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/cron.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto table = PriorityTable::Parse(text, "p.conf");
  FAULTLINE_ASSERT(table || table.error().message.starts_with("p.conf:"),
                   "an error names its line");
  if (const auto schedule = CronSchedule::Parse(text.substr(0, 100))) {
    const int64_t now = 1'800'000'000 * kNsPerSecond;
    const auto next = schedule->Next(now);
    FAULTLINE_ASSERT(!next || *next > now, "the next turn is later");
  }
  v1::NodeHealthMemory memory;
  if (memory.ParseFromArray(bytes, static_cast<int>(size))) {
    NodeHealth health = NodeHealth::FromMemory(memory);
    int64_t now = 1'800'000'000 * kNsPerSecond;
    for (const v1::RuleMemory& rule : memory.rules())
      health.Take(rule.last(), now += kNsPerSecond, {});
    health.Tick(now + 3600 * kNsPerSecond, {});
    FAULTLINE_ASSERT(health.changes().size() <= 300u + static_cast<size_t>(memory.changes_size()),
                     "changes are bounded");
  }
  Report report;
  report.title = std::string(text);
  report.verdict = std::string(text);
  report.origin = "http://h";
  ReportCell cell{std::string(text)};
  cell.note = std::string(text);
  cell.link = std::string(text);
  report.sections.push_back({.title = std::string(text), .table = {{std::string(text)}, {{cell}}}});
  const std::string page = RenderReportHtml(report);
  FAULTLINE_ASSERT(page.find("<script") == std::string::npos, "no markup from outside");
  (void)RenderReport(report, "yaml");
  (void)RenderReportMarkdown(report);
  return 0;
}
