#include "aggregator/checks/rule_sets.h"

#include <algorithm>

#include "aggregator/checks/fleet_run.h"
#include "aggregator/objects/yaml.h"
#include "common/check_rules_hash.h"

namespace faultline {

namespace json = boost::json;

v1::SetCheckRules RulesFor(const NodeState& node, const RuleSpecs& specs,
                           const std::string& version) {
  v1::SetCheckRules set;
  for (const auto& [name, spec] : specs) {
    if (ChooseNodes({node}, spec.if_contains("nodeSelector")).empty()) continue;
    // A file name has no slash, and two namespaces may have rules of one name.
    std::string prefix = name;
    std::ranges::replace(prefix, '/', '.');
    if (const json::value* rules = spec.if_contains("rules");
        rules != nullptr && rules->is_array() && !rules->get_array().empty()) {
      v1::CheckRuleDocument& document = *set.add_documents();
      document.set_name(prefix + ".yaml");
      document.set_text(WriteYaml(json::object{{"rules", *rules}}));
    }
    const json::value* files = spec.if_contains("files");
    if (files == nullptr || !files->is_object()) continue;
    for (const auto& [file, text] : files->get_object()) {
      if (!text.is_string()) continue;
      v1::CheckRuleDocument& document = *set.add_documents();
      document.set_name(prefix + "." + std::string(file));
      document.set_text(std::string(text.get_string()));
    }
  }
  if (set.documents().empty()) return set;
  set.set_version(version);
  set.set_hash(CheckRulesHash(set));
  return set;
}

}  // namespace faultline
