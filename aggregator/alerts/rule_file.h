// Prometheus' rule files, read strictly: an unknown key, a bad duration or expression is an error with its line.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aggregator/query/promql.h"
#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline::alerts {

struct RuleSpec {
  bool alerting = false;
  std::string name;  // of the alert, or of the series
  std::string expression;
  std::shared_ptr<const PromQuery> query;
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  Labels labels;       // sorted; an alert's values are templates
  Labels annotations;  // sorted; templates

  bool SameAs(const RuleSpec& other) const;
};

struct GroupSpec {
  std::string file;
  std::string name;
  int64_t interval_ms = 0;  // 0: the default
  size_t limit = 0;         // of alerts or series per rule; 0: none
  std::vector<RuleSpec> rules;
};

// Errors are `<file>:line:column: group "x", rule 2, "Name": reason`.
Result<std::vector<GroupSpec>> ParseRuleFile(std::string_view text, const std::string& file);

}  // namespace faultline::alerts
