// Kubernetes' label selectors: a=b, a==b, a!=b, a in (b,c), a notin (b), a, !a; commas mean and.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace faultline {

class LabelSelector {
 public:
  static Result<LabelSelector> Parse(std::string_view text);
  // As an object of our own or a foreign manifest says it: operator In, NotIn, Exists, DoesNotExist.
  Result<void> AddExpression(std::string_view key, std::string_view operator_name,
                             std::vector<std::string> values);
  void AddEqual(std::string key, std::string value);

  bool Matches(const std::map<std::string, std::string>& labels) const;
  bool empty() const { return requirements_.empty(); }

 private:
  enum class Op { kIn, kNotIn, kExists, kDoesNotExist };
  struct Requirement {
    std::string key;
    Op op = Op::kExists;
    std::vector<std::string> values;
  };
  std::vector<Requirement> requirements_;
};

}  // namespace faultline
