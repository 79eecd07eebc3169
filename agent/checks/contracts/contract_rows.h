// The functions behind the rows of contract_catalogue.cc, one file each.
#pragma once

#include "agent/checks/contracts/contract.h"

namespace faultline {

bool NpdClaims(const RuleDocument& document, const RuleNode* root);
Result<RuleSet> ReadNpd(const RuleDocument& document, const RuleNode* root,
                        const ContractContext& context);
std::vector<v1::CheckResult> JudgeNpd(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                      v1::CheckResult result);

bool RuleListClaims(const RuleDocument& document, const RuleNode* root);
Result<RuleSet> ReadRuleList(const RuleDocument& document, const RuleNode* root,
                             const ContractContext& context);
std::vector<v1::CheckResult> JudgeAegis(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                        v1::CheckResult result);

bool AegisPriorityClaims(const RuleDocument& document, const RuleNode* root);
Result<RuleSet> ReadAegisPriority(const RuleDocument& document, const RuleNode* root,
                                  const ContractContext& context);

bool GpudClaims(const RuleDocument& document, const RuleNode* root);
std::vector<v1::CheckResult> JudgeJson(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                       v1::CheckResult result);

bool NhcClaims(const RuleDocument& document, const RuleNode* root);
Result<RuleSet> ReadNhc(const RuleDocument& document, const RuleNode* root,
                        const ContractContext& context);
std::vector<v1::CheckResult> JudgeNhc(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                      v1::CheckResult result);

bool NagiosClaims(const RuleDocument& document, const RuleNode* root);
Result<RuleSet> ReadNagios(const RuleDocument& document, const RuleNode* root,
                           const ContractContext& context);
std::vector<v1::CheckResult> JudgeNagios(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                         v1::CheckResult result);

// `label=value[unit];warn;crit;min;max …`, quotes around labels with blanks. What is no figure is
// passed over.
std::vector<v1::Perfdata> ParsePerfdata(std::string_view text);
// Aegis' results as YAML, for its controller: `results:` module -> items; status true is a problem.
std::string RenderAegisResults(std::span<const v1::CheckResult> results);
// Aegis' `results:` after the last such line of `output`. Nothing when there is none; an error when
// it does not parse.
Result<std::vector<v1::CheckResult>> ParseAegisResults(std::string_view output,
                                                       const v1::CheckResult& like);

}  // namespace faultline
