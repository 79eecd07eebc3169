// What one matcher says of a label's value. Regular expressions are compiled once and kept for the next query that has
// them; those that only list texts (a|b|c, as dashboards write their variables) become a set. Immutable, thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline {

class ValueTest {
 public:
  // kInvalidArgument: not an expression. kResourceExhausted: so large that matching could take minutes.
  static Result<ValueTest> Of(const LabelMatcher& matcher);

  bool Keeps(std::string_view value) const;
  bool negated() const { return negated_; }
  // Those that are tested for equality, sorted; null when an expression decides.
  const std::vector<std::string>* texts() const;

 private:
  struct Expression;
  static Result<std::shared_ptr<const Expression>> Compiled(const std::string& pattern);

  std::shared_ptr<const Expression> expression_;
  bool negated_ = false;
};

}  // namespace faultline
