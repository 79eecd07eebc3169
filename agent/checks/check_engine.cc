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
#include "agent/checks/check_schedule.h"
#include "agent/checks/contracts/contract.h"
#include "agent/checks/log_watch.h"
#include "agent/checks/program_runner.h"
#include "agent/checks/rule_book.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kStuckTellNs =
    kNsPerSecond;  // beyond its timeout a built-in gets no more patience
constexpr int64_t kMaxWaitNs = 60 * kNsPerSecond;
constexpr int64_t kCommandNs = 60 * kNsPerSecond;  // for a command without a deadline

const SystemClock kClock;  // outlives threads that hang

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

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

v1::CommandReply Refusal(const std::string& id, const Error& error) {
  v1::CommandReply reply;
  reply.set_id(id);
  reply.set_error_code(std::string(ErrorCodeName(error.code)));
  reply.set_error_message(error.message);
  return reply;
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
      for (const JournalLine& line : lines) watch_.Offer(line.unit, line.text, line.unix_ns);
    });
  }

 private:
  struct Command {
    std::string id;
    int64_t deadline_ns = 0;
    std::set<std::string> waiting;  // rules
    v1::CommandReply reply;
    std::function<void(v1::CommandReply)> answer;
  };

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
  void RunNow(const v1::Command& command, std::function<void(v1::CommandReply)> answer);
  void FinishCommands(int64_t now_ns);
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
  std::deque<Command> commands_;
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
    for (const Command& command : commands_) next_ns = std::min(next_ns, command.deadline_ns);
    std::vector<pollfd> events = {{wake_fd_, POLLIN, 0}, {runner_.fd(), POLLIN, 0}};
    for (const int fd : watch_.fds()) events.push_back({fd, POLLIN, 0});
    const int64_t wait_ns = next_ns - kClock.SteadyNs();
    (void)poll(events.data(), events.size(),
               static_cast<int>(std::clamp<int64_t>(wait_ns / kNsPerMs + 1, 0, 60'000)));
    uint64_t count = 0;
    if (events[0].revents != 0 && read(wake_fd_, &count, sizeof(count)) < 0) count = 0;
    RunPosted();
    if (events[1].revents != 0) runner_.Receive();
    FinishCommands(kClock.SteadyNs());
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
  const auto refuse = [&](v1::CheckVerdict verdict, const std::string& why) {
    v1::CheckResult result = ResultOf(rule);
    result.set_verdict(verdict);
    result.set_message(why);
    Told(entry, {result});
  };
  v1::RunProgram request;
  // In a container the host's files lie below host_root; what is started there sees the host as its
  // own.
  const std::string root = options_.host_root == "/" ? "" : options_.host_root;
  std::string program = root + rule.program;
  if (!rule.own_program) {
    std::vector<std::string> roots;
    for (const std::string& allowed : options_.config.allowed_roots())
      roots.push_back(root + allowed);
    const auto allowed = AllowedProgram(program, roots);
    if (!allowed) return refuse(v1::CHECK_VERDICT_UNKNOWN, allowed.error().message);
    program = *allowed;
  }
  if (!root.empty()) request.set_view_pid(1);
  const v1::CheckView& view = entry.view.has_value() ? *entry.view : rule.view;
  if (view.pid() != 0 || !view.pod().empty()) {
    const uint32_t pid = view.pid() != 0      ? view.pid()
                         : options_.find_view ? options_.find_view(view)
                                              : 0;
    if (pid == 0)
      return refuse(v1::CHECK_VERDICT_SKIPPED,
                    fmt::format("there is no pod {}/{} here", view.namespace_(), view.pod()));
    request.set_view_pid(pid);
  }
  request.add_arguments(program);
  for (const std::string& argument : rule.arguments) request.add_arguments(argument);
  for (const char* variable : {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "LC_ALL=C.UTF-8", "HOME=/", "SHELL=/bin/sh"}) {
    request.add_environment(variable);
  }
  request.add_environment("NODE_NAME=" + options_.host_name);
  for (const std::string& variable : rule.environment) request.add_environment(variable);
  request.set_folder(program.substr(0, program.rfind('/') + 1));
  request.set_timeout_ms(std::max<int64_t>(rule.timeout_ns / kNsPerMs, 1));
  request.set_max_output_bytes(options_.config.max_output_bytes());
  const uint64_t run = next_run_++;
  entry.run = run;
  entry.started_unix_ns = kClock.UnixNs();
  ++programs_running_;
  const std::string name = rule.rule;
  runner_.Run(
      std::move(request),
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
    for (Command& command : commands_) {
      if (command.id == command_id && !command_id.empty()) *command.reply.add_checks() = result;
    }
    Emit(std::move(result));
  }
  for (Command& command : commands_) {
    if (command.id == command_id) command.waiting.erase(entry.rule.rule);
  }
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

void CheckEngine::Loop::RunNow(const v1::Command& command,
                               std::function<void(v1::CommandReply)> answer) {
  Command waiting;
  waiting.id = command.id();
  waiting.reply.set_id(command.id());
  const int64_t now_ns = kClock.SteadyNs();
  waiting.deadline_ns = now_ns + kCommandNs;
  if (command.deadline_unix_ns() != 0) {
    // The reply needs some time on its way.
    waiting.deadline_ns =
        now_ns +
        std::max<int64_t>(command.deadline_unix_ns() - kClock.UnixNs() - 200 * kNsPerMs, 0);
  }
  waiting.answer = std::move(answer);
  const v1::RunChecks& wanted = command.run_checks();
  for (const auto& [name, entry] : schedule_.entries()) {
    if (!Selected(wanted.selector(), name, entry->rule.module, entry->rule.item)) continue;
    waiting.waiting.insert(name);
    if (!entry->command_id.empty()) continue;  // asked for by another command, whose results count
    entry->command_id = command.id();
    if (wanted.has_view()) entry->view = wanted.view();
    schedule_.RunNow(*entry, now_ns);
  }
  watch_.conditions().TellAll(
      [&](const v1::CheckResult& result) {
        return Selected(wanted.selector(), result.rule(), result.module(), result.item());
      },
      [&](v1::CheckResult result) { *waiting.reply.add_checks() = std::move(result); },
      kClock.UnixNs());
  if (waiting.waiting.empty() && waiting.reply.checks().empty()) {
    return waiting.answer(
        Refusal(command.id(), {ErrorCode::kNotFound, "no check matches the selector"}));
  }
  commands_.push_back(std::move(waiting));
}

void CheckEngine::Loop::FinishCommands(int64_t now_ns) {
  for (auto at = commands_.begin(); at != commands_.end();) {
    if (!at->waiting.empty() && now_ns < at->deadline_ns) {
      ++at;
      continue;
    }
    // Those that did not end are told as such; their results follow as records.
    for (const std::string& rule : at->waiting) {
      v1::CheckResult* result = at->reply.add_checks();
      result->set_rule(rule);
      result->set_verdict(v1::CHECK_VERDICT_UNKNOWN);
      result->set_message("no result before the command's deadline");
    }
    at->answer(std::move(at->reply));
    at = commands_.erase(at);
  }
}

void CheckEngine::Loop::Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) {
  Post([this, command = std::move(command), reply = std::move(reply)] {
    if (command.has_run_checks()) return RunNow(command, reply);
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
