// What must not leave the node is overwritten before anything else sees it: rules of a pattern
// (RE2) and a replacement, in order. All patterns are looked for in one pass; only those that are
// there are replaced.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/logs/log_rule_set.h"
#include "common/emitter.h"

namespace re2 {
class RE2;
}

namespace faultline {

class Redactor {
 public:
  struct Rule {
    std::string pattern;
    std::string replacement = "[redacted]";  // \1 … are groups
  };

  static Result<std::unique_ptr<Redactor>> Make(const std::vector<Rule>& rules);
  ~Redactor();

  // The text and the values of attributes. Returns how many replacements were made.
  uint64_t Apply(LogChunk::Record& record) const;

 private:
  explicit Redactor(LogRuleSet set);
  uint64_t ApplyTo(std::string& text) const;

  LogRuleSet set_;
  std::vector<std::unique_ptr<re2::RE2>> patterns_;
  std::vector<std::string> replacements_;
  mutable std::vector<int> hits_;  // kept for its capacity
};

}  // namespace faultline
