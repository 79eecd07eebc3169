#include "agent/faults/fault.h"

#include "common/text.h"

namespace faultline {

std::string FaultSpec::Text(const std::string& name) const {
  const auto at = parameters.find(name);
  return at == parameters.end() ? "" : at->second;
}

int64_t FaultSpec::Integer(const std::string& name) const {
  return ParseInt(Text(name)).value_or(0);
}

double FaultSpec::Number(const std::string& name) const {
  std::string text = Text(name);
  if (text.ends_with('%')) text.pop_back();
  return ParseDouble(text).value_or(0);
}

int64_t FaultSpec::DurationNs(const std::string& name) const {
  return ParseSignedDurationNs(Text(name)).value_or(0);
}

uint64_t FaultSpec::Bytes(const std::string& name) const {
  return ParseBytes(Text(name)).value_or(0);
}

ParsedSize FaultSpec::Size(const std::string& name) const {
  return ParseSize(Text(name)).value_or(ParsedSize{});
}

double FaultSpec::RateBytesPerS(const std::string& name) const {
  return ParseRateBytesPerS(Text(name)).value_or(0);
}

bool FaultSpec::Flag(const std::string& name) const { return Text(name) == "true"; }

std::vector<std::string> FaultSpec::List(const std::string& name) const {
  return ParseList(Text(name)).value_or(std::vector<std::string>{});
}

std::string FaultPlan::State(const std::string& name) const {
  const auto at = state.find(name);
  return at == state.end() ? "" : at->second;
}

std::vector<const FaultPlan*> FaultHost::OthersWith(const std::string& claim) const {
  std::vector<const FaultPlan*> sharing;
  for (const FaultPlan& other : others) {
    if (other.claims.contains(claim)) sharing.push_back(&other);
  }
  return sharing;
}

std::vector<std::string> Fault::Sweep(const FaultHost&) { return {}; }

void AddMeasurement(v1::Effect& effect, const FaultPlan& plan, const std::string& name,
                    double during, double asked) {
  v1::Measurement& measurement = *effect.add_measurements();
  measurement.set_name(name);
  if (const auto before = plan.before.find(name); before != plan.before.end())
    measurement.set_before(before->second);
  measurement.set_during(during);
  measurement.set_asked(asked);
}

const FaultRow* FindFault(std::span<const FaultRow> catalogue, std::string_view name) {
  for (const FaultRow& row : catalogue) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace faultline
