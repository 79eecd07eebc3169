#include "agent/checks/check_engine.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "agent/checks/builtin/check.h"
#include "agent/checks/builtin_log_rules.h"
#include "agent/checks/builtin_pool.h"
#include "agent/checks/check_commands.h"
#include "agent/checks/check_schedule.h"
#include "agent/checks/contracts/contract.h"
#include "agent/checks/log_watch.h"
#include "agent/checks/program_request.h"
#include "agent/checks/program_runner.h"
#include "agent/checks/rule_book.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kStuckTellNs =
    kNsPerSecond;  // beyond its timeout a built-in gets no more patience
constexpr int64_t kMaxWaitNs = 60 * kNsPerSecond;

const SystemClock kClock;  // outlives threads that hang

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

}  // namespace

class CheckEngine::Loop {
 public:
  explicit Loop(CheckEngineOptions options)
      : options_(std::move(options)),
        host_(std::make_shared<const HostView>(HostView::Real(options_.host_root, &kClock))),
        book_(options_.config, options_.host_name, options_.state_folder),
        runner_(options_.runner_program, options_.cgroup_folder),
        pool_(host_),
        watch_(
            *host_, options_.state_folder, ToNs(options_.config.expire()),
            ToNs(options_.config.interval()),
            [this](v1::CheckResult result) { Emit(std::move(result)); }, options_.drop),
        wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Loop() {
    Stop();
    close(wake_fd_);
  }

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    Wake();
    thread_.join();
  }
  void Post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(work));
    }
    Wake();
  }
  void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply);
  bool HasStuckCheck() const { return stuck_builtins_ > 0; }
  bool WantsJournal() const { return wants_journal_; }
  void Offer(std::vector<JournalLine> lines) {
    Post([this, lines = std::move(lines)] {
      for (const JournalLine& line : lines)
        watch_.Offer(line.unit, line.identifier, line.text, line.unix_ns);
    });
  }

 private:
  void Wake() {
    const uint64_t one = 1;
    if (write(wake_fd_, &one, sizeof(one)) < 0) return;  // full: it is awake
  }
  void Run();
  void ApplyRules();
  void RunPosted();
  int64_t StartDue(int64_t now_ns);
  void StartOne(ScheduledRule& entry, int64_t now_ns);
  void StartProgram(ScheduledRule& entry, int64_t now_ns);
  void StartBuiltin(ScheduledRule& entry, int64_t now_ns);
  void GiveUpLate(int64_t now_ns);
  void Ended(const std::string& rule, uint64_t run, std::vector<v1::CheckResult> results);
  void Told(ScheduledRule& entry, std::vector<v1::CheckResult> results);
  void Skip(ScheduledRule& entry, const std::string& why, int64_t now_ns);
  void Emit(v1::CheckResult result);
  v1::CheckRulesStatus Status() const;

  const CheckEngineOptions options_;
  const std::shared_ptr<const HostView> host_;
  RuleBook book_;
  ProgramRunner runner_;
  BuiltinPool pool_;
  LogWatch watch_;
  const int wake_fd_;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> stuck_builtins_ = 0;
  std::atomic<bool> wants_journal_ = false;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  CheckSchedule schedule_{std::random_device{}()};
  CheckCommands commands_;
  uint32_t programs_running_ = 0;
  uint64_t next_run_ = 1;
  std::string last_error_;
};

void CheckEngine::Loop::Run() {
  book_.Load();
  ApplyRules();
  while (!stopping_) {
    const int64_t now_ns = kClock.SteadyNs();
    GiveUpLate(now_ns);
    int64_t next_ns = std::min(StartDue(now_ns), now_ns + kMaxWaitNs);
    const int64_t log_wait_ns = watch_.Step() - kClock.UnixNs();
    next_ns = std::min(next_ns, kClock.SteadyNs() + std::max<int64_t>(log_wait_ns, 0));
    next_ns = std::min(next_ns, commands_.NextNs());
    std::vector<pollfd> events = {{wake_fd_, POLLIN, 0}, {runner_.fd(), POLLIN, 0}};
    for (const int fd : watch_.fds()) events.push_back({fd, POLLIN, 0});
    const int64_t wait_ns = next_ns - kClock.SteadyNs();
    (void)poll(events.data(), events.size(),
               static_cast<int>(std::clamp<int64_t>(wait_ns / kNsPerMs + 1, 0, 60'000)));
    uint64_t count = 0;
    if (events[0].revents != 0 && read(wake_fd_, &count, sizeof(count)) < 0) count = 0;
    RunPosted();
    if (events[1].revents != 0) runner_.Receive();
    commands_.Finish(kClock.SteadyNs());
  }
  watch_.Save();
}

void CheckEngine::Loop::RunPosted() {
  std::deque<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const auto& one : work) one();
}

void CheckEngine::Loop::ApplyRules() {
  schedule_.Replace(book_.checks(), kClock.SteadyNs());
  std::vector<LogMonitor> monitors = book_.monitors();
  for (LogMonitor& monitor : BuiltinLogMonitors(options_.config))
    monitors.push_back(std::move(monitor));
  watch_.SetMonitors(std::move(monitors));
  wants_journal_ = watch_.wants_journal();
}

int64_t CheckEngine::Loop::StartDue(int64_t now_ns) {
  const auto places = [this] { return programs_running_ < options_.config.concurrency(); };
  while (ScheduledRule* entry = schedule_.Due(now_ns, places())) StartOne(*entry, now_ns);
  return schedule_.NextNs(now_ns, places());
}

void CheckEngine::Loop::StartOne(ScheduledRule& entry, int64_t now_ns) {
  if (!entry.rule.off.empty()) {
    return Skip(entry, entry.rule.off, now_ns);
  }
  if (entry.run != 0) {
    // The last run was left behind; it is not joined by a second.
    v1::CheckResult result = ResultOf(entry.rule);
    result.set_verdict(v1::CHECK_VERDICT_TIMEOUT);
    result.set_message("an earlier run still hangs in the kernel");
    schedule_.Started(entry, now_ns);
    return Told(entry, {result});
  }
  if (!entry.rule.builtin.empty()) return StartBuiltin(entry, now_ns);
  StartProgram(entry, now_ns);
}

void CheckEngine::Loop::Skip(ScheduledRule& entry, const std::string& why, int64_t now_ns) {
  v1::CheckResult result = ResultOf(entry.rule);
  result.set_verdict(v1::CHECK_VERDICT_SKIPPED);
  result.set_message(why);
  schedule_.Started(entry, now_ns);
  Told(entry, {result});
}

void CheckEngine::Loop::StartProgram(ScheduledRule& entry, int64_t now_ns) {
  const CheckRule& rule = entry.rule;
  schedule_.Started(entry, now_ns);
  auto request = RequestOf(rule, entry.view.has_value() ? *entry.view : rule.view, options_);
  if (!request) {
    v1::CheckResult result = ResultOf(rule);
    result.set_verdict(request.error().code == ErrorCode::kUnavailable ? v1::CHECK_VERDICT_SKIPPED
                                                                       : v1::CHECK_VERDICT_UNKNOWN);
    result.set_message(request.error().message);
    return Told(entry, {result});
  }
  const uint64_t run = next_run_++;
  entry.run = run;
  entry.started_unix_ns = kClock.UnixNs();
  ++programs_running_;
  const std::string name = rule.rule;
  runner_.Run(
      *std::move(request),
      [this, name, run, copy = rule](const v1::ProgramOutcome& outcome) {
        --programs_running_;
        ScheduledRule* told = schedule_.Find(name);
        if (told == nullptr || told->run != run) return;
        const bool hangs = outcome.unkillable();
        Told(*told, JudgeRun(copy, outcome));
        told->left_behind = hangs;
        if (!hangs) told->run = 0;
      },
      [this, name, run] {
        ScheduledRule* gone = schedule_.Find(name);
        if (gone == nullptr || gone->run != run) return;
        gone->run = 0;
        gone->left_behind = false;
      });
}

void CheckEngine::Loop::StartBuiltin(ScheduledRule& entry, int64_t now_ns) {
  schedule_.Started(entry, now_ns);
  if (entry.check == nullptr) {
    const CheckRow* row = FindCheck(entry.rule.builtin);
    auto made = row == nullptr
                    ? Result<std::unique_ptr<Check>>(
                          Fail(ErrorCode::kNotFound, "there is no check `{}`", entry.rule.builtin))
                    : MakeCheck(*row, entry.rule.parameters);
    if (!made) {
      v1::CheckResult result = ResultOf(entry.rule);
      result.set_verdict(v1::CHECK_VERDICT_UNKNOWN);
      result.set_message(made.error().message);
      return Told(entry, {result});
    }
    entry.check = *std::move(made);
  }
  const uint64_t run = next_run_++;
  entry.run = run;
  entry.started_unix_ns = kClock.UnixNs();
  entry.deadline_ns = now_ns + entry.rule.timeout_ns;
  pool_.Run(entry.check, [this, rule = entry.rule, run](Finding finding, int64_t duration_ns) {
    v1::CheckResult result = ResultOf(rule);
    result.set_verdict(finding.verdict);
    result.set_message(OneLine(finding.message, rule.max_message_bytes));
    result.set_expected(finding.expected);
    result.set_current(finding.current);
    result.set_device(OneLine(finding.device, 512));
    if (!finding.suggestion.empty()) result.set_suggestion(finding.suggestion);
    result.set_action(finding.action);
    if (finding.level != v1::CHECK_LEVEL_UNSPECIFIED) result.set_level(finding.level);
    for (v1::Perfdata& figure : finding.figures) *result.add_perfdata() = std::move(figure);
    result.set_duration_ns(duration_ns);
    Post([this, name = rule.rule, run, kept = std::move(result)] { Ended(name, run, {kept}); });
  });
}

void CheckEngine::Loop::Ended(const std::string& rule, uint64_t run,
                              std::vector<v1::CheckResult> results) {
  ScheduledRule* entry = schedule_.Find(rule);
  if (entry == nullptr || entry->run != run) return;
  entry->run = 0;
  if (entry->stuck) {
    entry->stuck = false;
    --stuck_builtins_;
    return;  // told as a timeout already
  }
  Told(*entry, std::move(results));
}

void CheckEngine::Loop::GiveUpLate(int64_t now_ns) {
  for (ScheduledRule* entry : schedule_.Running()) {
    if (entry->check == nullptr || entry->stuck || now_ns < entry->deadline_ns) continue;
    entry->stuck = true;
    ++stuck_builtins_;
    pool_.AddThread();
    v1::CheckResult result = ResultOf(entry->rule);
    result.set_verdict(v1::CHECK_VERDICT_TIMEOUT);
    result.set_message(
        fmt::format("no verdict within {} s; it hangs in the kernel",
                    FormatDouble(static_cast<double>(entry->rule.timeout_ns) / 1e9)));
    result.set_duration_ns(entry->rule.timeout_ns);
    Told(*entry, {result});
  }
}

void CheckEngine::Loop::Told(ScheduledRule& entry, std::vector<v1::CheckResult> results) {
  const int64_t now = kClock.UnixNs();
  const std::string command_id = std::exchange(entry.command_id, "");
  for (v1::CheckResult& result : results) {
    result.set_started_unix_ns(entry.started_unix_ns == 0 ? now : entry.started_unix_ns);
    result.set_interval_ms(
        entry.rule.kind == v1::CHECK_KIND_EVENT ? 0 : entry.rule.interval_ns / kNsPerMs);
    result.set_command_id(command_id);
    result.set_rules_version(book_.version());
    result.set_rules_hash(book_.hash());
    const bool own_verdict = result.verdict() == v1::CHECK_VERDICT_OK ||
                             result.verdict() == v1::CHECK_VERDICT_DEGRADED ||
                             result.verdict() == v1::CHECK_VERDICT_PROBLEM;
    if (own_verdict) entry.last_success_unix_ns = result.started_unix_ns();
    result.set_last_success_unix_ns(entry.last_success_unix_ns);
    // What a check that is well printed is of no use; the figures are.
    if (result.verdict() == v1::CHECK_VERDICT_OK && command_id.empty()) result.clear_output();
    entry.Keep(result, options_.config.keep_results());
    commands_.Take(command_id, result);
    Emit(std::move(result));
  }
  commands_.Ended(command_id, entry.rule.rule);
  entry.view.reset();
  entry.started_unix_ns = 0;
}

void CheckEngine::Loop::Emit(v1::CheckResult result) { options_.emit(std::move(result)); }

v1::CheckRulesStatus CheckEngine::Loop::Status() const {
  v1::CheckRulesStatus status;
  status.set_version(book_.version());
  status.set_hash(book_.hash());
  status.set_last_error(last_error_);
  if (last_error_.empty() && !book_.errors().empty()) status.set_last_error(book_.errors().front());
  for (const auto& [name, entry] : schedule_.entries()) *status.add_rules() = entry->State();
  for (const v1::CheckResult& result : watch_.conditions().States()) {
    v1::CheckRuleState* state = status.add_rules();
    state->set_rule(result.rule());
    state->set_contract(result.contract());
    state->set_module(result.module());
    state->set_item(result.item());
    state->set_condition(result.condition());
    state->set_level(result.level());
    state->set_kind(result.kind());
    state->set_interval_ms(result.interval_ms());
    state->set_running(true);
    state->set_last_verdict(result.verdict());
  }
  return status;
}

void CheckEngine::Loop::Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) {
  Post([this, command = std::move(command), reply = std::move(reply)] {
    if (command.has_run_checks()) {
      const auto tell = [this](v1::CheckResult result) { Emit(std::move(result)); };
      return commands_.Start(command, reply, schedule_, watch_.conditions(), tell,
                             kClock.SteadyNs(), kClock.UnixNs());
    }
    if (command.has_set_check_rules()) {
      const auto set = book_.SetPushed(command.set_check_rules());
      last_error_ = set ? "" : set.error().message;
      if (set) ApplyRules();
      v1::CommandReply answer = set ? v1::CommandReply() : Refusal(command.id(), set.error());
      answer.set_id(command.id());
      *answer.mutable_check_rules() = Status();
      return reply(std::move(answer));
    }
    v1::CommandReply answer;
    answer.set_id(command.id());
    *answer.mutable_check_rules() = Status();
    reply(std::move(answer));
  });
}

CheckEngine::CheckEngine(CheckEngineOptions options)
    : loop_(std::make_unique<Loop>(std::move(options))) {}
CheckEngine::~CheckEngine() = default;
void CheckEngine::Start() { loop_->Start(); }
void CheckEngine::Stop() { loop_->Stop(); }
void CheckEngine::Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) {
  loop_->Execute(std::move(command), std::move(reply));
}
bool CheckEngine::WantsJournal() const { return loop_->WantsJournal(); }
void CheckEngine::Offer(std::vector<JournalLine> lines) { loop_->Offer(std::move(lines)); }
bool CheckEngine::HasStuckCheck() const { return loop_->HasStuckCheck(); }

}  // namespace faultline
