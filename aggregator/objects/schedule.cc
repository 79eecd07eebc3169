// Schedule: an Experiment or a Workflow again and again. `cron` has five or six fields or is @every
// 10m (cron.h); of missed starts only the latest is made up for, and only within
// startingDeadlineSeconds.
#include "aggregator/objects/kinds.h"
#include "common/cron.h"

namespace faultline::kinds {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

}  // namespace

void ReadScheduleFields(FieldReader& spec) {
  if (const json::string* cron = spec.String("cron", Need::kRequired);
      cron != nullptr && !cron->empty()) {
    if (const auto parsed = CronSchedule::Parse(std::string_view(*cron)); !parsed)
      spec.Refuse("cron", parsed.error().message);
  }
  spec.Integer("startingDeadlineSeconds", 0, INT32_MAX);
  spec.Word("concurrencyPolicy", {"Forbid", "Allow"}, "Forbid");
  spec.Integer("historyLimit", 1, 1000);
  spec.Object("experiment", ReadExperimentFields);
  spec.Object("workflow", ReadWorkflowFields);
  if (spec.Has("experiment") == spec.Has("workflow"))
    spec.Refuse("experiment", "or workflow: exactly one is needed");
}

Result<void> ValidateSchedule(json::object& body) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  reader.Object("spec", ReadScheduleFields, Need::kRequired);
  return reader.Done();
}

}  // namespace faultline::kinds
