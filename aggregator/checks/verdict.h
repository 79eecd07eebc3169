// The verdict of one rule from the results of its runs. Pure. A problem counts once it was seen
// twice (or cannot be looked at again), an ok counts at once; a rule that changes too often is
// flapping and keeps the verdict it had; one whose results stop coming is unknown; one that nobody
// repeats ends with the boot, or after a while.
#pragma once

#include <cstdint>

#include "faultline/v1/health.pb.h"

namespace faultline {

struct VerdictOptions {
  // In percent of the last 20 changes, newer ones weighing more (0.75 … 1.25), as Nagios computes
  // it.
  double flap_high_percent = 30;
  double flap_low_percent = 15;
  int64_t expire_ns = int64_t{24} * 3600 * 1'000'000'000;  // of problems that no schedule repeats
  int64_t silence_slack_ns = int64_t{5} * 1'000'000'000;   // on top of two intervals
  int64_t not_before_unix_ns =
      0;  // silence is counted from here at the earliest (start of this program)
};

enum class RuleStep {
  kNothing,
  kChanged,    // `held` is another
  kLookAgain,  // a problem was seen once: run the rule again to be sure
};

bool IsBad(v1::CheckVerdict verdict);       // degraded, problem
bool CannotTell(v1::CheckVerdict verdict);  // unknown, timeout

// Percentage of weighted changes in `window`; 0 when there are fewer than two verdicts.
double FlapPercent(const std::string& window);

RuleStep TakeResult(v1::RuleMemory& memory, const v1::CheckResult& result, int64_t now_unix_ns,
                    std::string_view boot_id, const VerdictOptions& options);
// The suspected problem of this rule cannot be looked at again: it counts.
RuleStep Confirm(v1::RuleMemory& memory, int64_t now_unix_ns);
// What time alone changes: silence, expiry, another boot.
RuleStep Tick(v1::RuleMemory& memory, int64_t now_unix_ns, std::string_view boot_id,
              const VerdictOptions& options);

}  // namespace faultline
