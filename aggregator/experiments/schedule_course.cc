#include "aggregator/experiments/schedule_course.h"

#include "common/clock.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr int kMaxMissed = 100;

}  // namespace

Result<ScheduleRules> ReadScheduleRules(const json::object& spec) {
  ScheduleRules rules;
  const json::value* cron = spec.if_contains("cron");
  if (cron == nullptr || !cron->is_string())
    return Fail(ErrorCode::kInvalidArgument, "spec.cron: is missing");
  FAULTLINE_ASSIGN(rules.cron, CronSchedule::Parse(std::string_view(cron->get_string())));
  if (const json::value* value = spec.if_contains("startingDeadlineSeconds");
      value != nullptr && value->is_int64())
    rules.starting_deadline_s = value->get_int64();
  if (const json::value* value = spec.if_contains("concurrencyPolicy");
      value != nullptr && value->is_string())
    rules.allow_concurrent = value->get_string() == "Allow";
  if (const json::value* value = spec.if_contains("historyLimit");
      value != nullptr && value->is_int64() && value->get_int64() > 0)
    rules.history_limit = static_cast<size_t>(value->get_int64());
  return rules;
}

ScheduleDecision DecideSchedule(const ScheduleRules& rules, int64_t last_unix_ns,
                                int64_t now_unix_ns, size_t active) {
  ScheduleDecision decision;
  decision.last_unix_ns = last_unix_ns;
  std::optional<int64_t> latest;
  int missed = 0;
  for (auto next = rules.cron.Next(last_unix_ns); next && *next <= now_unix_ns;
       next = rules.cron.Next(*next)) {
    latest = *next;
    if (++missed > kMaxMissed) {
      decision.last_unix_ns = now_unix_ns;
      decision.message = "more than 100 starts were missed; going on from now";
      return decision;
    }
  }
  if (!latest) return decision;
  if (rules.starting_deadline_s &&
      now_unix_ns - *latest > *rules.starting_deadline_s * kNsPerSecond) {
    decision.last_unix_ns = *latest;
    decision.message = "a start was missed by more than startingDeadlineSeconds";
    return decision;
  }
  if (!rules.allow_concurrent && active > 0) {
    decision.message = "the last one is not over (concurrencyPolicy Forbid)";
    return decision;
  }
  decision.start_unix_ns = latest;
  decision.last_unix_ns = *latest;
  return decision;
}

}  // namespace faultline
