#include "aggregator/api/routes/route.h"

namespace faultline {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string_view First(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

std::string_view Request::Parameter(std::string_view name) const { return First(parameters, name); }

std::vector<std::string_view> Request::Parameters(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : parameters) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::string_view Request::PathValue(std::string_view name) const { return First(path_values, name); }

std::string_view Request::Header(std::string_view lower_case_name) const {
  return First(headers, lower_case_name);
}

}  // namespace faultline
