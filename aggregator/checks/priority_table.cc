#include "aggregator/checks/priority_table.h"

#include <algorithm>
#include <array>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxRows = 10'000;
constexpr int kMaxPriority = 999;
constexpr std::array<std::string_view, 5> kModes = {"all", "index", "mask", "id", "-"};

std::unexpected<Error> Wrong(std::string_view file, size_t line, std::string_view reason) {
  return Fail(ErrorCode::kInvalidArgument, "{}:{}: {}", file, line, reason);
}

bool IsCondition(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  });
}

}  // namespace

Result<PriorityTable> PriorityTable::Parse(std::string_view text, std::string_view file) {
  PriorityTable table;
  std::string_view line;
  for (size_t number = 1; NextLine(text, line); ++number) {
    line = Trim(line);
    if (line.ends_with('\r')) line = Trim(line.substr(0, line.size() - 1));
    if (line.empty() || line.front() == '#') continue;
    const auto fields = Split(line, ':');
    const bool is_short = fields.size() == 2;  // of older files
    if (fields.size() != 4 && !is_short) {
      return Wrong(
          file, number,
          fmt::format("expected Condition:Priority:AffectsLoad:DeviceIDMode, found {} fields",
                      fields.size()));
    }
    const std::string_view condition = Trim(fields[0]);
    const auto priority = ParseInt(Trim(fields[1]));
    const std::string_view load = !is_short                                ? Trim(fields[2])
                                  : priority.value_or(0) <= kLastEmergency ? "true"
                                                                           : "false";
    const std::string_view mode = is_short ? "-" : Trim(fields[3]);
    if (!IsCondition(condition))
      return Wrong(file, number, "Condition: expected a name of letters and digits");
    if (!priority || *priority < 0 || *priority > kMaxPriority) {
      return Wrong(file, number,
                   fmt::format("Priority: expected a number from 0 to {}", kMaxPriority));
    }
    if (load != "true" && load != "false")
      return Wrong(file, number, "AffectsLoad: expected true or false");
    if (std::ranges::find(kModes, mode) == kModes.end()) {
      return Wrong(file, number, "DeviceIDMode: expected all, index, mask, id or -");
    }
    if (table.rows_.size() >= kMaxRows)
      return Wrong(file, number, fmt::format("more than {} conditions", kMaxRows));
    const auto [at, added] = table.rows_.try_emplace(
        std::string(condition),
        ConditionPriority{static_cast<int>(*priority), load == "true", std::string(mode), true});
    if (!added)
      return Wrong(file, number, fmt::format("Condition: {} is there already", condition));
  }
  return table;
}

ConditionPriority PriorityTable::Of(std::string_view condition, v1::CheckLevel level) const {
  if (const auto at = rows_.find(condition); at != rows_.end()) return at->second;
  if (condition == kNodeNotReady) return {0, true, "-", false};
  switch (level) {
    case v1::CHECK_LEVEL_FATAL:
      return {5, true, "-", false};
    case v1::CHECK_LEVEL_CRITICAL:
      return {50, true, "-", false};
    case v1::CHECK_LEVEL_INFO:
      return {900, false, "-", false};
    default:
      return {200, false, "-", false};
  }
}

}  // namespace faultline
