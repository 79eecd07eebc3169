#include "aggregator/checks/verdict.h"

#include <algorithm>

namespace faultline {
namespace {

constexpr size_t kWindow = 21;  // verdicts, so 20 changes
// Flapping is judged on no fewer runs: two changes of three runs say little.
constexpr size_t kLeastWindow = 10;

// Verdicts that mean the same for a condition weigh as one: unknown and timeout, degraded and
// problem stay apart.
char StateOf(v1::CheckVerdict verdict) {
  return static_cast<char>(CannotTell(verdict) ? v1::CHECK_VERDICT_UNKNOWN : verdict);
}

RuleStep Hold(v1::RuleMemory& memory, v1::CheckVerdict verdict, const v1::CheckResult& result,
              int64_t now_unix_ns) {
  memory.clear_suspected_unix_ns();
  const bool changed = memory.held() != verdict;
  if (changed) memory.set_held_since_unix_ns(now_unix_ns);
  memory.set_held(verdict);
  *memory.mutable_held_result() = result;
  return changed ? RuleStep::kChanged : RuleStep::kNothing;
}

void Remember(v1::RuleMemory& memory, v1::CheckVerdict verdict, const VerdictOptions& options) {
  std::string& window = *memory.mutable_window();
  window.push_back(StateOf(verdict));
  if (window.size() > kWindow) window.erase(0, window.size() - kWindow);
  const double percent = FlapPercent(window);
  if (!memory.flapping()) {
    memory.set_flapping(window.size() >= kLeastWindow && percent >= options.flap_high_percent);
  } else if (percent < options.flap_low_percent) {
    memory.set_flapping(false);
  }
}

}  // namespace

bool IsBad(v1::CheckVerdict verdict) {
  return verdict == v1::CHECK_VERDICT_DEGRADED || verdict == v1::CHECK_VERDICT_PROBLEM;
}

bool CannotTell(v1::CheckVerdict verdict) {
  return verdict == v1::CHECK_VERDICT_UNKNOWN || verdict == v1::CHECK_VERDICT_TIMEOUT;
}

double FlapPercent(const std::string& window) {
  if (window.size() < 2) return 0;
  // The window is filled up in front with its oldest verdict, so that a young rule is judged on the
  // same scale.
  constexpr double kChanges = kWindow - 1;
  const size_t missing = kWindow - std::min(window.size(), kWindow);
  double sum = 0;
  for (size_t i = 1; i < window.size(); ++i) {
    if (window[i] == window[i - 1]) continue;
    const double place = static_cast<double>(missing + i - 1);
    sum += 0.75 + 0.5 * place / (kChanges - 1);
  }
  return sum / kChanges * 100;
}

RuleStep TakeResult(v1::RuleMemory& memory, const v1::CheckResult& result, int64_t now_unix_ns,
                    std::string_view boot_id, const VerdictOptions& options) {
  memory.set_seen_unix_ns(now_unix_ns);
  if (result.started_unix_ns() <= memory.newest_started_unix_ns()) return RuleStep::kNothing;
  memory.set_newest_started_unix_ns(result.started_unix_ns());
  const bool was_silent = memory.silent();
  memory.set_silent(false);
  memory.set_runs(memory.runs() + 1);
  const int64_t interval_ms = memory.last().interval_ms();
  *memory.mutable_last() = result;
  // A run by command does not say how often the rule runs.
  if (result.interval_ms() == 0 && !result.command_id().empty())
    memory.mutable_last()->set_interval_ms(interval_ms);
  if (result.verdict() == v1::CHECK_VERDICT_OK) memory.mutable_last()->clear_output();
  memory.set_boot_id(std::string(boot_id));
  const v1::CheckVerdict verdict = result.verdict();
  Remember(memory, verdict, options);
  const bool known = memory.held() != v1::CHECK_VERDICT_UNSPECIFIED && !was_silent;
  if (memory.flapping() && known) {
    memory.clear_suspected_unix_ns();
    return RuleStep::kNothing;
  }
  const bool worse = IsBad(verdict) || CannotTell(verdict);
  const bool was_worse = IsBad(memory.held()) || CannotTell(memory.held());
  // From good to worse it takes two; between worse ones, and back, one is enough.
  const bool sampled_again =
      memory.suspected_unix_ns() != 0 || memory.last().interval_ms() == 0 || was_worse;
  if (worse && !sampled_again) {
    memory.set_suspected_unix_ns(now_unix_ns);
    return RuleStep::kLookAgain;
  }
  return Hold(memory, verdict, memory.last(), now_unix_ns);
}

RuleStep Confirm(v1::RuleMemory& memory, int64_t now_unix_ns) {
  if (memory.suspected_unix_ns() == 0) return RuleStep::kNothing;
  return Hold(memory, memory.last().verdict(), memory.last(), now_unix_ns);
}

RuleStep Tick(v1::RuleMemory& memory, int64_t now_unix_ns, std::string_view boot_id,
              const VerdictOptions& options) {
  const int64_t interval_ns = memory.last().interval_ms() * 1'000'000;
  if (interval_ns > 0) {
    const int64_t heard = std::max(memory.seen_unix_ns(), options.not_before_unix_ns);
    if (memory.silent() || now_unix_ns - heard <= 2 * interval_ns + options.silence_slack_ns)
      return RuleStep::kNothing;
    const bool applies = memory.held() != v1::CHECK_VERDICT_SKIPPED &&
                         memory.held() != v1::CHECK_VERDICT_NOT_APPLICABLE;
    memory.set_silent(true);
    memory.clear_suspected_unix_ns();
    if (!applies) return RuleStep::kNothing;
    v1::CheckResult silence = memory.last();
    silence.set_verdict(v1::CHECK_VERDICT_UNKNOWN);
    silence.set_message("its check has fallen silent");
    silence.clear_output();
    return Hold(memory, v1::CHECK_VERDICT_UNKNOWN, silence, now_unix_ns);
  }
  if (!IsBad(memory.held())) return RuleStep::kNothing;
  const bool rebooted =
      !boot_id.empty() && !memory.boot_id().empty() && boot_id != memory.boot_id();
  const bool expired = now_unix_ns - memory.seen_unix_ns() > options.expire_ns;
  if (!rebooted && !expired) return RuleStep::kNothing;
  v1::CheckResult over = memory.last();
  over.set_verdict(v1::CHECK_VERDICT_OK);
  over.set_message(rebooted ? "the node has been rebooted since"
                            : "it has not come again for long");
  over.clear_output();
  return Hold(memory, v1::CHECK_VERDICT_OK, over, now_unix_ns);
}

}  // namespace faultline
