#include "aggregator/alerts/rule_file.h"

#include <algorithm>
#include <set>

#include "aggregator/alerts/template.h"
#include "aggregator/objects/yaml.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::alerts {
namespace {

namespace json = boost::json;

constexpr size_t kMaxRules = 100'000;

// Where an error is: the path of a field of the first document.
class RuleReader {
 public:
  RuleReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Result<std::vector<GroupSpec>> Read(const json::value& document);

 private:
  std::unexpected<Error> Wrong(const std::string& path, std::string_view reason) const {
    const std::string where = FindYamlField(text_, 0, path);
    return Fail(ErrorCode::kInvalidArgument, "{}:{}{}{}", file_, where, where.empty() ? " " : ": ", reason);
  }
  Result<void> OnlyKnown(const json::object& object, const std::string& path,
                         std::initializer_list<std::string_view> known) const {
    for (const auto& member : object) {
      const std::string_view key(member.key().data(), member.key().size());
      if (std::ranges::find(known, key) == known.end())
        return Wrong(Path(path, key), fmt::format("field {} not found; known: {}", key, fmt::join(known, ", ")));
    }
    return {};
  }
  static std::string Path(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }
  // What YAML read as a number or boolean is meant as text where text is asked for.
  Result<std::string> Text(const json::object& object, std::string_view key, const std::string& path) const;
  Result<int64_t> Duration(const json::object& object, std::string_view key, const std::string& path) const;
  Result<Labels> Pairs(const json::object& object, std::string_view key, const std::string& path) const;
  Result<GroupSpec> ReadGroup(const json::object& group, const std::string& path) const;
  Result<RuleSpec> ReadRule(const json::object& rule, const std::string& path) const;
  Result<void> CheckNames(const RuleSpec& rule, const std::string& path) const;

  std::string_view text_;
  const std::string& file_;
};

Result<std::string> RuleReader::Text(const json::object& object, std::string_view key, const std::string& path) const {
  const json::value* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || value->is_null()) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  if (value->is_bool()) return std::string(value->get_bool() ? "true" : "false");
  if (value->is_int64()) return std::to_string(value->get_int64());
  if (value->is_uint64()) return std::to_string(value->get_uint64());
  if (value->is_double()) return FormatDouble(value->get_double());
  return Wrong(Path(path, key), "must be text");
}

Result<int64_t> RuleReader::Duration(const json::object& object, std::string_view key, const std::string& path) const {
  FAULTLINE_ASSIGN(const std::string text, Text(object, key, path));
  if (text.empty()) return 0;
  const auto duration = promql::ParsePrometheusDuration(text);
  if (!duration) return Wrong(Path(path, key), fmt::format("not a valid duration string: \"{}\"", text));
  return *duration;
}

Result<Labels> RuleReader::Pairs(const json::object& object, std::string_view key, const std::string& path) const {
  Labels pairs;
  const json::value* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || value->is_null()) return pairs;
  if (!value->is_object()) return Wrong(Path(path, key), "must be a mapping");
  for (const auto& member : value->get_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    FAULTLINE_ASSIGN(std::string text, Text(value->get_object(), name, Path(path, key)));
    if (!promql::IsLabelName(name))
      return Wrong(Path(path, key), fmt::format("invalid {} name: {}", key == "labels" ? "label" : "annotation", name));
    if (name == "__name__" && key == "labels") return Wrong(Path(path, key), "invalid label name: __name__");
    pairs.emplace_back(name, std::move(text));
  }
  SortLabels(pairs);
  return pairs;
}

bool IsMetricName(std::string_view name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ':';
  });
}

Result<void> RuleReader::CheckNames(const RuleSpec& rule, const std::string& path) const {
  if (rule.alerting) {
    for (const Labels* pairs : {&rule.labels, &rule.annotations}) {
      for (const auto& [name, text] : *pairs) {
        if (auto checked = CheckTemplate(text); !checked) {
          return Wrong(path, fmt::format("{} \"{}\", template: {}", pairs == &rule.labels ? "label" : "annotation", name,
                                         checked.error().message));
        }
      }
    }
    return {};
  }
  if (!IsMetricName(rule.name)) return Wrong(path, fmt::format("invalid recording rule name: {}", rule.name));
  if (!rule.annotations.empty()) return Wrong(path, "invalid field 'annotations' in recording rule");
  if (rule.for_ms != 0) return Wrong(path, "invalid field 'for' in recording rule");
  if (rule.keep_firing_for_ms != 0) return Wrong(path, "invalid field 'keep_firing_for' in recording rule");
  return {};
}

Result<RuleSpec> RuleReader::ReadRule(const json::object& object, const std::string& path) const {
  FAULTLINE_TRY(OnlyKnown(object, path, {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}));
  RuleSpec rule;
  FAULTLINE_ASSIGN(const std::string record, Text(object, "record", path));
  FAULTLINE_ASSIGN(const std::string alert, Text(object, "alert", path));
  if (!record.empty() && !alert.empty()) return Wrong(path, "only one of 'record' and 'alert' must be set");
  if (record.empty() && alert.empty()) return Wrong(path, "one of 'record' or 'alert' must be set");
  rule.alerting = record.empty();
  rule.name = rule.alerting ? alert : record;
  FAULTLINE_ASSIGN(rule.expression, Text(object, "expr", path));
  if (rule.expression.empty()) return Wrong(path, "field 'expr' must be set in rule");
  auto query = PromQuery::Parse(rule.expression);
  if (!query) return Wrong(Path(path, "expr"), fmt::format("could not parse expression: {}", query.error().message));
  if (query->type() != promql::ValueType::kVector && query->type() != promql::ValueType::kScalar)
    return Wrong(Path(path, "expr"), "rule result is not a vector or scalar");
  rule.query = std::make_shared<const PromQuery>(std::move(*query));
  FAULTLINE_ASSIGN(rule.for_ms, Duration(object, "for", path));
  FAULTLINE_ASSIGN(rule.keep_firing_for_ms, Duration(object, "keep_firing_for", path));
  FAULTLINE_ASSIGN(rule.labels, Pairs(object, "labels", path));
  FAULTLINE_ASSIGN(rule.annotations, Pairs(object, "annotations", path));
  FAULTLINE_TRY(CheckNames(rule, path));
  return rule;
}

Result<GroupSpec> RuleReader::ReadGroup(const json::object& object, const std::string& path) const {
  FAULTLINE_TRY(OnlyKnown(object, path, {"name", "interval", "limit", "rules"}));
  GroupSpec group;
  group.file = file_;
  FAULTLINE_ASSIGN(group.name, Text(object, "name", path));
  if (group.name.empty()) return Wrong(path, "Groupname must not be empty");
  FAULTLINE_ASSIGN(group.interval_ms, Duration(object, "interval", path));
  FAULTLINE_ASSIGN(const std::string limit, Text(object, "limit", path));
  if (!limit.empty()) {
    const auto number = ParseUint(limit);
    if (!number) return Wrong(Path(path, "limit"), "limit must be a number that is not negative");
    group.limit = *number;
  }
  const json::value* rules = object.if_contains("rules");
  if (rules == nullptr || rules->is_null()) return group;
  if (!rules->is_array()) return Wrong(Path(path, "rules"), "rules must be a list");
  for (size_t i = 0; i < rules->get_array().size(); ++i) {
    const std::string at = fmt::format("{}.rules[{}]", path, i);
    const json::object* rule = rules->get_array()[i].if_object();
    if (rule == nullptr) return Wrong(at, "a rule must be a mapping");
    FAULTLINE_ASSIGN(RuleSpec spec, ReadRule(*rule, at));
    group.rules.push_back(std::move(spec));
    if (group.rules.size() > kMaxRules) return Wrong(path, "too many rules");
  }
  return group;
}

Result<std::vector<GroupSpec>> RuleReader::Read(const json::value& document) {
  std::vector<GroupSpec> groups;
  if (!document.is_object()) return Wrong("", "a rule file is a mapping with 'groups'");
  FAULTLINE_TRY(OnlyKnown(document.get_object(), "", {"groups"}));
  const json::value* list = document.get_object().if_contains("groups");
  if (list == nullptr || list->is_null()) return groups;
  if (!list->is_array()) return Wrong("groups", "groups must be a list");
  std::set<std::string> names;
  for (size_t i = 0; i < list->get_array().size(); ++i) {
    const std::string path = fmt::format("groups[{}]", i);
    const json::object* group = list->get_array()[i].if_object();
    if (group == nullptr) return Wrong(path, "a group must be a mapping");
    FAULTLINE_ASSIGN(GroupSpec spec, ReadGroup(*group, path));
    if (!names.insert(spec.name).second)
      return Wrong(path, fmt::format("groupname: \"{}\" is repeated in the same file", spec.name));
    groups.push_back(std::move(spec));
  }
  return groups;
}

}  // namespace

bool RuleSpec::SameAs(const RuleSpec& other) const {
  return alerting == other.alerting && name == other.name && expression == other.expression && for_ms == other.for_ms &&
         keep_firing_for_ms == other.keep_firing_for_ms && labels == other.labels && annotations == other.annotations;
}

Result<std::vector<GroupSpec>> ParseRuleFile(std::string_view text, const std::string& file) {
  auto documents = ParseYaml(text);
  if (!documents) return Within(file, documents.error());
  std::vector<GroupSpec> groups;
  if (documents->empty()) return groups;
  if (documents->size() > 1) return Fail(ErrorCode::kInvalidArgument, "{}: more than one document", file);
  return RuleReader(text, file).Read(documents->front());
}

}  // namespace faultline::alerts
