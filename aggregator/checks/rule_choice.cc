#include "aggregator/checks/rule_choice.h"

#include <set>

#include "aggregator/objects/label_selector.h"
#include "aggregator/objects/object_text.h"
#include "aggregator/objects/yaml.h"

namespace faultline {
namespace {

namespace json = boost::json;

const json::object* ObjectAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

template <typename Add>
void EachText(const json::object* object, std::string_view name, Add add) {
  const json::value* list = object != nullptr ? object->if_contains(name) : nullptr;
  if (list == nullptr || !list->is_array()) return;
  for (const json::value& item : list->get_array()) {
    if (item.is_string()) add(std::string(item.get_string()));
  }
}

Result<LabelSelector> ReadSelector(const json::object& selector) {
  LabelSelector labels;
  if (const json::object* equal = ObjectAt(selector, "matchLabels")) {
    for (const auto& [name, value] : *equal) {
      if (value.is_string()) labels.AddEqual(std::string(name), std::string(value.get_string()));
    }
  }
  const json::value* expressions = selector.if_contains("matchExpressions");
  if (expressions == nullptr || !expressions->is_array()) return labels;
  for (const json::value& expression : expressions->get_array()) {
    if (!expression.is_object()) continue;
    const json::object& fields = expression.get_object();
    std::vector<std::string> values;
    EachText(&fields, "values", [&](std::string value) { values.push_back(std::move(value)); });
    const auto text = [&](std::string_view name) {
      const json::value* value = fields.if_contains(name);
      return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                    : std::string();
    };
    FAULTLINE_TRY(labels.AddExpression(text("key"), text("operator"), std::move(values)));
  }
  return labels;
}

// module/item of each rule in a document of the form {rules: [{module, item}]}.
void AddRulesOf(const json::value& document, std::set<std::string>& globs) {
  const json::value* rules =
      document.is_object() ? document.get_object().if_contains("rules") : nullptr;
  if (rules == nullptr || !rules->is_array()) return;
  for (const json::value& rule : rules->get_array()) {
    if (!rule.is_object()) continue;
    const json::value* module = rule.get_object().if_contains("module");
    const json::value* item = rule.get_object().if_contains("item");
    if (module == nullptr || item == nullptr || !module->is_string() || !item->is_string())
      continue;
    globs.insert(fmt::format("*/{}/{}", std::string_view(module->get_string()),
                             std::string_view(item->get_string())));
  }
}

}  // namespace

Result<v1::CheckSelector> ChooseRules(const json::object& spec, const std::string& name_space,
                                      const Objects& objects) {
  v1::CheckSelector chosen;
  const json::object* rules = ObjectAt(spec, "rules");
  EachText(rules, "rules", [&](std::string text) { chosen.add_rules(std::move(text)); });
  EachText(rules, "modules", [&](std::string text) { chosen.add_modules(std::move(text)); });
  EachText(rules, "items", [&](std::string text) { chosen.add_items(std::move(text)); });
  const json::object* selector = ObjectAt(spec, "rulesSelector");
  if (selector == nullptr) return chosen;
  FAULTLINE_ASSIGN(const LabelSelector labels, ReadSelector(*selector));
  FAULTLINE_ASSIGN(const std::vector<Object> all, objects.List("CheckRules", name_space, ""));
  std::set<std::string> globs;
  for (const Object& object : all) {
    if (!labels.Matches(LabelsOf(object.body))) continue;
    const json::object* body = ObjectAt(object.body, "spec");
    if (body == nullptr) continue;
    AddRulesOf(*body, globs);
    const json::object* files = ObjectAt(*body, "files");
    for (const auto& [name, text] : files != nullptr ? *files : json::object()) {
      const auto documents =
          text.is_string() ? ParseYaml(text.get_string()) : Result<std::vector<json::value>>();
      for (const json::value& document : documents ? *documents : std::vector<json::value>())
        AddRulesOf(document, globs);
    }
  }
  if (globs.empty()) {
    return Fail(ErrorCode::kNotFound,
                "spec.rulesSelector chooses no CheckRules with rules in namespace {}", name_space);
  }
  for (const std::string& glob : globs) chosen.add_rules(glob);
  return chosen;
}

}  // namespace faultline
