// Aegis' priority.conf: lines `Condition:Priority:AffectsLoad:DeviceIDMode`, in older files the
// first two only. Priority 0 and 1 take the node out at once, up to 99 are emergencies, the rest
// can wait. It has no checks; it says how bad the conditions of others are.
#include <algorithm>
#include <set>

#include "agent/checks/contracts/contract_rows.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr uint64_t kFatal = 1;
constexpr uint64_t kCritical = 99;
constexpr uint64_t kMax = 999;

bool IsLine(const std::vector<std::string_view>& parts) {
  if (parts.size() != 2 && parts.size() != 4) return false;
  // A number at once behind the colon: with a blank it would be YAML.
  if (parts.size() == 2) return !parts[1].starts_with(' ') && ParseUint(Trim(parts[1])).has_value();
  return ParseUint(Trim(parts[1])) && (Trim(parts[2]) == "true" || Trim(parts[2]) == "false");
}

}  // namespace

bool AegisPriorityClaims(const RuleDocument& document, const RuleNode* /*root*/) {
  std::string_view rest = document.text;
  std::string_view line;
  while (NextLine(rest, line)) {
    line = Trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    return IsLine(Split(line, ':'));
  }
  return false;
}

Result<RuleSet> ReadAegisPriority(const RuleDocument& document, const RuleNode* /*root*/,
                                  const ContractContext& /*context*/) {
  RuleSet set;
  std::string_view rest = document.text;
  std::string_view line;
  for (int number = 1; NextLine(rest, line); ++number) {
    line = Trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    const auto parts = Split(line, ':');
    const auto wrong = [&](std::string_view field, std::string_view why) {
      return Fail(ErrorCode::kInvalidArgument, "{}:{}:1: {}: {}", document.name, number, field,
                  why);
    };
    if (parts.size() != 4 && parts.size() != 2)
      return wrong("line", "is not Condition:Priority:AffectsLoad:DeviceIDMode");
    const auto priority = ParseUint(Trim(parts[1]));
    if (!priority || *priority > kMax) return wrong("Priority", "must be a number of 0 to 999");
    if (!IsLine(parts)) return wrong("AffectsLoad", "must be true or false");
    static const std::set<std::string_view> kModes = {"all", "index", "mask", "id", "-"};
    if (parts.size() == 4 && !kModes.contains(Trim(parts[3])))
      return wrong("DeviceIDMode", "is none of all, index, mask, id, -");
    const std::string condition(Trim(parts[0]));
    if (condition.empty()) return wrong("Condition", "is missing");
    set.levels[condition] = *priority <= kFatal      ? v1::CHECK_LEVEL_FATAL
                            : *priority <= kCritical ? v1::CHECK_LEVEL_CRITICAL
                                                     : v1::CHECK_LEVEL_WARNING;
  }
  return set;
}

}  // namespace faultline
