#include "aggregator/query/matrix.h"

#include <algorithm>

#include "aggregator/query/promql_lexer.h"

namespace faultline::promql {
namespace {

bool Contains(const std::vector<std::string>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name, std::less<>());
}

void AppendKey(std::string& key, const std::pair<std::string, std::string>& label) {
  key += label.first;
  key += '\xff';
  key += label.second;
  key += '\xff';
}

}  // namespace

void SetLabel(Labels& labels, std::string_view name, std::string_view value) {
  if (value.empty()) {
    DropLabel(labels, name);
    return;
  }
  const auto at =
      std::lower_bound(labels.begin(), labels.end(), name,
                       [](const auto& label, std::string_view n) { return label.first < n; });
  if (at != labels.end() && at->first == name) {
    at->second = value;
  } else {
    labels.insert(at, {std::string(name), std::string(value)});
  }
}

void DropLabel(Labels& labels, std::string_view name) {
  std::erase_if(labels, [&](const auto& label) { return label.first == name; });
}

std::string KeyOf(const Labels& labels) {
  std::string key;
  for (const auto& label : labels) AppendKey(key, label);
  return key;
}

std::string KeyWith(const Labels& labels, const std::vector<std::string>& names) {
  std::string key;
  for (const auto& label : labels) {
    if (Contains(names, label.first)) AppendKey(key, label);
  }
  return key;
}

std::string KeyWithout(const Labels& labels, const std::vector<std::string>& names,
                       bool drop_metric_name) {
  std::string key;
  for (const auto& label : labels) {
    if (drop_metric_name && label.first == kMetricName) continue;
    if (!Contains(names, label.first)) AppendKey(key, label);
  }
  return key;
}

Labels Keep(const Labels& labels, const std::vector<std::string>& names) {
  Labels kept;
  for (const auto& label : labels) {
    if (Contains(names, label.first)) kept.push_back(label);
  }
  return kept;
}

Labels Without(const Labels& labels, const std::vector<std::string>& names, bool drop_metric_name) {
  Labels kept;
  for (const auto& label : labels) {
    if (drop_metric_name && label.first == kMetricName) continue;
    if (!Contains(names, label.first)) kept.push_back(label);
  }
  return kept;
}

std::string LabelText(const Labels& labels) {
  std::string text = "{";
  for (const auto& [name, value] : labels) {
    if (text.size() > 1) text += ", ";
    text += name + "=" + Quote(value);
  }
  return text + "}";
}

}  // namespace faultline::promql
