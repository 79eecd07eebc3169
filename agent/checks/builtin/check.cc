#include "agent/checks/builtin/check.h"

#include "common/text.h"

namespace faultline {

void Finding::Add(std::string_view label, double value, std::string_view unit) {
  v1::Perfdata& figure = figures.emplace_back();
  figure.set_label(std::string(label));
  figure.set_value(value);
  figure.set_unit(std::string(unit));
}

double CheckParameters::Number(std::string_view name, double fallback) {
  known_.emplace(name);
  const auto at = given_.find(std::string(name));
  if (at == given_.end()) return fallback;
  const auto number = ParseDouble(at->second);
  if (number) return *number;
  wrong_ = fmt::format("{}: `{}` is no number", name, at->second);
  return fallback;
}

std::string CheckParameters::Text(std::string_view name, std::string_view fallback) {
  known_.emplace(name);
  const auto at = given_.find(std::string(name));
  return at == given_.end() ? std::string(fallback) : at->second;
}

Result<void> CheckParameters::Done() const {
  if (!wrong_.empty()) return Fail(ErrorCode::kInvalidArgument, "parameters.{}", wrong_);
  for (const auto& [name, value] : given_) {
    if (known_.contains(name)) continue;
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}: unknown; there are: {}", name,
                known_.empty() ? "none" : fmt::format("{}", fmt::join(known_, ", ")));
  }
  return {};
}

const CheckRow* FindCheck(std::string_view name) {
  for (const CheckRow& row : CheckCatalogue()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

Result<std::unique_ptr<Check>> MakeCheck(const CheckRow& row,
                                         const std::map<std::string, std::string>& parameters) {
  CheckParameters reader(parameters);
  auto check = row.make(reader);
  if (const auto done = reader.Done(); !done) return Within(row.name, done.error());
  return check;
}

}  // namespace faultline
