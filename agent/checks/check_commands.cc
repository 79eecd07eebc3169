#include "agent/checks/check_commands.h"

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kCommandNs = 60 * kNsPerSecond;  // for a command without a deadline
constexpr int64_t kOnItsWayNs = 200 * kNsPerMs;    // what a reply needs to arrive

bool AnyMatches(const google::protobuf::RepeatedPtrField<std::string>& globs,
                std::string_view text) {
  return globs.empty() ||
         std::ranges::any_of(globs, [&](const std::string& glob) { return GlobMatch(glob, text); });
}

bool Selected(const v1::CheckSelector& selector, std::string_view rule, std::string_view module,
              std::string_view item) {
  return AnyMatches(selector.rules(), rule) && AnyMatches(selector.modules(), module) &&
         AnyMatches(selector.items(), item);
}

}  // namespace

v1::CommandReply Refusal(const std::string& id, const Error& error) {
  v1::CommandReply reply;
  reply.set_id(id);
  reply.set_error_code(std::string(ErrorCodeName(error.code)));
  reply.set_error_message(error.message);
  return reply;
}

void CheckCommands::Start(const v1::Command& command, AnswerCommand answer, CheckSchedule& schedule,
                          const LogConditions& conditions, const LogConditions::Emit& tell,
                          int64_t now_ns, int64_t now_unix_ns) {
  Waiting waiting;
  waiting.id = command.id();
  waiting.reply.set_id(command.id());
  waiting.answer = std::move(answer);
  waiting.deadline_ns = now_ns + kCommandNs;
  if (command.deadline_unix_ns() != 0) {
    waiting.deadline_ns =
        now_ns + std::max<int64_t>(command.deadline_unix_ns() - now_unix_ns - kOnItsWayNs, 0);
  }
  const v1::RunChecks& wanted = command.run_checks();
  for (const auto& [name, entry] : schedule.entries()) {
    if (!Selected(wanted.selector(), name, entry->rule.module, entry->rule.item)) continue;
    waiting.rules.insert(name);
    if (!entry->command_id.empty()) continue;  // asked for by another command, whose results count
    entry->command_id = command.id();
    if (wanted.has_view()) entry->view = wanted.view();
    schedule.RunNow(*entry, now_ns);
  }
  conditions.TellAll(
      [&](const v1::CheckResult& result) {
        return Selected(wanted.selector(), result.rule(), result.module(), result.item());
      },
      [&](v1::CheckResult result) {
        *waiting.reply.add_checks() = result;
        tell(std::move(result));
      },
      now_unix_ns);
  if (waiting.rules.empty() && waiting.reply.checks().empty()) {
    return waiting.answer(
        Refusal(command.id(), {ErrorCode::kNotFound, "no check matches the selector"}));
  }
  waiting_.push_back(std::move(waiting));
}

void CheckCommands::Take(const std::string& command_id, const v1::CheckResult& result) {
  if (command_id.empty()) return;
  for (Waiting& waiting : waiting_) {
    if (waiting.id == command_id) *waiting.reply.add_checks() = result;
  }
}

void CheckCommands::Ended(const std::string& command_id, const std::string& rule) {
  for (Waiting& waiting : waiting_) {
    if (waiting.id == command_id) waiting.rules.erase(rule);
  }
}

void CheckCommands::Finish(int64_t now_ns) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (!at->rules.empty() && now_ns < at->deadline_ns) {
      ++at;
      continue;
    }
    // Those that did not end are told as such; their results follow as records.
    for (const std::string& rule : at->rules) {
      v1::CheckResult* result = at->reply.add_checks();
      result->set_rule(rule);
      result->set_verdict(v1::CHECK_VERDICT_UNKNOWN);
      result->set_message("no result before the command's deadline");
    }
    at->answer(std::move(at->reply));
    at = waiting_.erase(at);
  }
}

int64_t CheckCommands::NextNs() const {
  int64_t next_ns = INT64_MAX;
  for (const Waiting& waiting : waiting_) next_ns = std::min(next_ns, waiting.deadline_ns);
  return next_ns;
}

}  // namespace faultline
