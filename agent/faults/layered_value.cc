#include "agent/faults/layered_value.h"

#include "agent/faults/claims.h"
#include "agent/faults/target_cgroups.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kPrefix = "control:";

}  // namespace

void ClaimControl(FaultPlan& plan, const std::string& path, const std::string& wanted) {
  const std::string claim = std::string(kPrefix) + path;
  plan.claims[claim] = "";
  plan.state[claim] = wanted;
}

Result<void> ApplyControls(const FaultPlan& plan, const FaultHost& host) {
  for (const auto& [claim, before] : plan.claims) {
    if (!claim.starts_with(kPrefix)) continue;
    FAULTLINE_TRY(WriteControl(*host.host, claim.substr(kPrefix.size()), plan.State(claim)));
  }
  return {};
}

Result<void> RestoreControls(const FaultPlan& plan, const FaultHost& host) {
  Result<void> all;
  for (const auto& [claim, before] : plan.claims) {
    if (!claim.starts_with(kPrefix)) continue;
    const auto others = host.OthersWith(claim);
    const std::string wanted = others.empty() ? before : others.back()->State(claim);
    FAULTLINE_ASSIGN(const std::string now, ReadClaim(claim, host));
    if (now == kAbsent || now == wanted || wanted == kAbsent || wanted.empty()) continue;
    // One that cannot be written back must not keep the others from it.
    if (auto written = WriteControl(*host.host, claim.substr(kPrefix.size()), wanted); !written)
      all = std::move(written);
  }
  return all;
}

}  // namespace faultline
