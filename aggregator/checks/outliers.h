// Who is different: the same question asked of every node, and the nodes whose answer is not that
// of the others. Pure. Words (kernel, driver, sysctl, firmware) are compared with the value of the
// majority, numbers (latency) with the median.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace faultline {

struct Answers {
  std::string subject;                       // fact/kernel, builtin/sysctl, builtin/latency ms
  std::map<std::string, std::string> words;  // by node
  std::map<std::string, double> numbers;     // by node
};

struct Outlier {
  std::string subject;
  std::string node;
  std::string value;
  std::string usual;  // what most say, or the median
  size_t nodes = 0;   // that were compared
};

constexpr size_t kLeastCompared = 3;  // fewer nodes have no majority

std::vector<Outlier> FindOutliers(const std::vector<Answers>& answers);

}  // namespace faultline
