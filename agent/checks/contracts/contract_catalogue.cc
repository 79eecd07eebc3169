#include "agent/checks/contracts/contract_rows.h"

namespace faultline {

// Documents are offered in this order.
std::span<const ContractRow> ContractCatalogue() {
  static constexpr ContractRow kContracts[] = {
      {"npd",
       "node-problem-detector: log monitors and custom plugins; exit 0 ok, 1 problem, else unknown",
       NpdClaims, ReadNpd, JudgeNpd},
      {"gpud",
       "states in JSON (gpud) or checkers (sichek): Healthy, Degraded, Unhealthy with suggested "
       "actions",
       GpudClaims, ReadRuleList, JudgeJson},
      {"aegis",
       "`rules:` of module, item, reason, file, level, timeout; `results:` in YAML or the exit "
       "code",
       RuleListClaims, ReadRuleList, JudgeAegis},
      {"aegis_priority", "priority.conf: how bad conditions are; no checks of its own",
       AegisPriorityClaims, ReadAegisPriority, JudgeAegis},
      {"nhc", "LBNL Node Health Check: lines of host mask || check; non-zero is a problem",
       NhcClaims, ReadNhc, JudgeNhc},
      {"nagios", "command[x]=… (NRPE) and define command: exit 0 to 3 and performance figures",
       NagiosClaims, ReadNagios, JudgeNagios},
  };
  return kContracts;
}

}  // namespace faultline
