// NodeCheck: chosen checks once on one node. ClusterCheck: the same on many, once or by a schedule,
// and compared. CheckRules: rules for nodes, as objects or as the files that other systems read.
#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/kinds.h"
#include "common/clock.h"
#include "common/cron.h"
#include "common/text.h"

namespace faultline::kinds {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr int64_t kMaxTimeoutNs = int64_t{3600} * kNsPerSecond;
constexpr size_t kMaxRules = 1000;
constexpr size_t kMaxFileBytes = size_t{512} << 10;

constexpr std::string_view kContracts[] = {"aegis", "npd",       "nagios", "nhc",
                                           "gpud",  "faultline", "builtin"};

// A duration such as 30s, or whole seconds as Aegis has them.
void ReadTimeout(FieldReader& reader, std::string_view name) {
  if (json::value* value = reader.Any(name); value != nullptr && value->is_int64()) {
    if (value->get_int64() < 1 || value->get_int64() > 3600)
      return reader.Refuse(name, "must be within 1s and 1h");
    *value = json::string(std::to_string(value->get_int64()) + "s");
  }
  if (const auto ns = reader.DurationNs(name); ns && *ns > kMaxTimeoutNs)
    reader.Refuse(name, "must be within 1s and 1h");
}

void ReadChosenRules(FieldReader& rules) {
  rules.Strings("rules");
  rules.Strings("modules");
  rules.Strings("items");
}

void ReadExpression(FieldReader& expression) {
  expression.String("key", Need::kRequired);
  expression.Word("operator", {"In", "NotIn", "Exists", "DoesNotExist"}, "Exists");
  expression.Strings("values");
}

// Kubernetes' label selector: which CheckRules a check is about.
void ReadLabelSelector(FieldReader& selector) {
  selector.StringMap("matchLabels");
  selector.Objects("matchExpressions", ReadExpression);
}

void ReadNodeSelector(FieldReader& selector) {
  for (const std::string_view name : {"nodes", "excludeNodes"}) selector.Strings(name);
  selector.StringMap("facts");
}

void ReadCommon(FieldReader& spec) {
  spec.Object("rules", ReadChosenRules);
  spec.Object("rulesSelector", ReadLabelSelector);
  spec.Any("template");  // of a pod, as Aegis has it; kept, and run in the host's view
  ReadTimeout(spec, "timeout");
}

void ReadNodeCheck(FieldReader& spec) {
  spec.String("node", Need::kRequired);
  ReadCommon(spec);
}

void ReadClusterCheck(FieldReader& spec) {
  ReadCommon(spec);
  if (const json::string* schedule = spec.String("schedule");
      schedule != nullptr && !schedule->empty()) {
    if (const auto parsed = CronSchedule::Parse(*schedule); !parsed)
      spec.Refuse("schedule", parsed.error().message);
  }
  spec.Object("nodeSelector", ReadNodeSelector);
  spec.DurationNs("stagger");
  spec.Integer("historyLimit", 1, 100);
  spec.Boolean("suspend");
}

bool IsLevel(std::string_view word) {
  for (const std::string_view known : {"info", "warning", "critical", "fatal", "emergency"}) {
    if (word == known) return true;
  }
  return false;
}

void ReadRule(FieldReader& rule) {
  rule.String("module", Need::kRequired);
  rule.String("item", Need::kRequired);
  rule.String("reason");
  rule.String("condition");
  const json::string* file = rule.String("file");
  const json::string* builtin = rule.String("builtin");
  if ((file == nullptr) == (builtin == nullptr))
    rule.Refuse("file", "exactly one of file and builtin is needed");
  if (file != nullptr && !file->starts_with("/")) rule.Refuse("file", "expected an absolute path");
  rule.Strings("args");
  if (const json::string* contract = rule.String("contract")) {
    bool known = false;
    for (const std::string_view word : kContracts) known |= *contract == word;
    if (!known) rule.Refuse("contract", "expected aegis, npd, nagios, nhc, gpud or faultline");
  }
  if (const json::string* level = rule.String("level"); level != nullptr && !IsLevel(*level)) {
    rule.Refuse("level", "expected info, warning, critical, fatal or emergency");
  }
  ReadTimeout(rule, "timeout");
  ReadTimeout(rule, "interval");
  rule.String("suggestion");
  rule.StringMap("parameters");
  if (const json::string* kind_word = rule.String("kind");
      kind_word != nullptr && *kind_word != "condition" && *kind_word != "event") {
    rule.Refuse("kind", "expected condition or event");
  }
  rule.Any("view");  // the node knows its containers
}

void ReadCheckRules(FieldReader& spec) {
  spec.Objects("rules", ReadRule);
  spec.Object("nodeSelector", ReadNodeSelector);
  json::value* files = spec.Any("files");
  if (files != nullptr && !files->is_object())
    return spec.Refuse("files", "expected file names with their texts");
  for (const auto& [name, text] : files != nullptr ? files->get_object() : json::object()) {
    if (!text.is_string() || text.get_string().size() > kMaxFileBytes) {
      spec.Refuse("files", std::string(name) + " is not a text of at most 512 KiB");
    }
    if (name.size() > 253 || name.find('/') != json::string_view::npos)
      spec.Refuse("files", std::string(name) + " is not a file name");
  }
  const json::value* rules = spec.Any("rules");
  const size_t count = rules != nullptr && rules->is_array() ? rules->get_array().size() : 0;
  if (count > kMaxRules) spec.Refuse("rules", "more than 1000");
  if (count == 0 && files == nullptr)
    spec.Refuse("rules", "is missing, and so are files: one is needed");
}

Result<void> Validate(json::object& body, void (*read)(FieldReader&)) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  reader.Object("spec", read, Need::kRequired);
  return reader.Done();
}

}  // namespace

Result<void> ValidateNodeCheck(json::object& body) { return Validate(body, ReadNodeCheck); }
Result<void> ValidateClusterCheck(json::object& body) { return Validate(body, ReadClusterCheck); }
Result<void> ValidateCheckRules(json::object& body) { return Validate(body, ReadCheckRules); }

}  // namespace faultline::kinds
