#include "aggregator/checks/outliers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace faultline {
namespace {

constexpr size_t kMaxOutliers = 500;
// A word is usual when three of four nodes say it; with less there is no norm to differ from.
constexpr double kMajority = 0.75;
constexpr double kSmallMajority = 0.6;  // of fewer than eight nodes: 2 of 3, 3 of 4, 3 of 5
constexpr double kDeviations =
    5;  // of the median absolute deviation, scaled to a standard deviation
constexpr double kLeastDifference = 0.2;  // of the median: what is closer is no news

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void CompareWords(const Answers& answers, std::vector<Outlier>& found) {
  std::map<std::string, size_t> counts;
  for (const auto& [node, word] : answers.words) ++counts[word];
  if (counts.size() < 2) return;
  const auto usual =
      std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
  const size_t all = answers.words.size();
  const double share = static_cast<double>(usual->second) / static_cast<double>(all);
  if (share < (all < 8 ? kSmallMajority : kMajority)) return;
  for (const auto& [node, word] : answers.words) {
    if (word != usual->first) found.push_back({answers.subject, node, word, usual->first, all});
  }
}

void CompareNumbers(const Answers& answers, std::vector<Outlier>& found) {
  std::vector<double> values;
  for (const auto& [node, value] : answers.numbers) values.push_back(value);
  const double median = Median(values);
  for (double& value : values) value = std::abs(value - median);
  const double spread = 1.4826 * Median(values);
  const double least = std::max(kDeviations * spread, kLeastDifference * std::abs(median));
  for (const auto& [node, value] : answers.numbers) {
    if (std::abs(value - median) <= least) continue;
    found.push_back({answers.subject, node, fmt::format("{:.6g}", value),
                     fmt::format("{:.6g}", median), answers.numbers.size()});
  }
}

}  // namespace

std::vector<Outlier> FindOutliers(const std::vector<Answers>& answers) {
  std::vector<Outlier> found;
  for (const Answers& one : answers) {
    if (one.words.size() >= kLeastCompared) CompareWords(one, found);
    if (one.numbers.size() >= kLeastCompared) CompareNumbers(one, found);
    if (found.size() > kMaxOutliers) break;
  }
  if (found.size() > kMaxOutliers) found.resize(kMaxOutliers);
  return found;
}

}  // namespace faultline
