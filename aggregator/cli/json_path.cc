#include "aggregator/cli/json_path.h"

#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;
const json::value kNull;
const json::array kEmpty;

}  // namespace

const json::value& At(const json::value& value, std::string_view path) {
  const json::value* at = &value;
  if (path.empty()) return value;
  for (const std::string_view part : Split(path, '.')) {
    if (!at->is_object()) return kNull;
    at = at->get_object().if_contains(part);
    if (at == nullptr) return kNull;
  }
  return *at;
}

std::string TextAt(const json::value& value, std::string_view path) {
  const json::value& at = At(value, path);
  if (at.is_null()) return {};
  if (at.is_string()) return std::string(at.get_string());
  return json::serialize(at);
}

double NumberAt(const json::value& value, std::string_view path) {
  const json::value& at = At(value, path);
  if (at.is_number()) return at.to_number<double>();
  if (at.is_string()) return ParseDouble(at.get_string()).value_or(0);
  return 0;
}

const json::array& ArrayAt(const json::value& value, std::string_view path) {
  const json::value& at = At(value, path);
  return at.is_array() ? at.get_array() : kEmpty;
}

const json::value& ConditionOf(const json::value& object, std::string_view type) {
  for (const json::value& condition : ArrayAt(object, "status.conditions")) {
    if (TextAt(condition, "type") == type) return condition;
  }
  return kNull;
}

}  // namespace faultline::cli
