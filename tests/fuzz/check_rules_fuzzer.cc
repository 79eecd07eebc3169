// Rule files of every contract, and everything that programs of checks print: the first byte
// chooses a contract, or none. Nothing may crash, and a rule never gets a program outside the
// allowed roots.
#include <cstdint>
#include <string_view>

#include "agent/checks/contracts/contract.h"
#include "agent/checks/contracts/contract_rows.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;  // NOLINT
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const auto rows = ContractCatalogue();
  const size_t choice = bytes[0] % (rows.size() + 1);
  const std::string contract = choice < rows.size() ? std::string(rows[choice].name) : "";
  const ContractContext context{.allowed_roots = {"/nonexistent/root"}, .host_name = "n1"};
  const auto set =
      ReadRules({.name = "f", .path = "", .contract = contract, .text = text}, context);
  if (set) {
    for (const CheckRule& rule : set->checks) {
      const bool inside = rule.program.empty() || rule.own_program ||
                          rule.program.starts_with("/nonexistent/root/");
      FAULTLINE_ASSERT(inside, "a program outside the allowed roots");
    }
  } else {
    FAULTLINE_ASSERT(set.error().message.starts_with("f:"), "an error names its document");
  }
  CheckRule rule;
  rule.contract = choice < rows.size() ? rows[choice].name : "nagios";
  rule.rule = "r";
  v1::ProgramOutcome outcome;
  outcome.set_exit_code(0);
  outcome.set_output(text);
  for (const v1::CheckResult& result : JudgeRun(rule, outcome)) {
    FAULTLINE_ASSERT(result.message().size() <= rule.max_message_bytes,
                     "a message keeps its bound");
    FAULTLINE_ASSERT(result.message().find('\n') == std::string::npos, "a message is one line");
    FAULTLINE_ASSERT(result.perfdata_size() <= 64, "figures are bounded");
  }
  return 0;
}
