#include "aggregator/alerts/rule_engine.h"

#include <glob.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "common/log.h"

namespace faultline::alerts {
namespace {

constexpr size_t kThreads = 4;
constexpr uintmax_t kMaxFileBytes = 4 << 20;
constexpr size_t kMaxFiles = 1000;

Result<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return Fail(ErrorCode::kNotFound, "{}: {}", path, error.message());
  if (size > kMaxFileBytes) return Fail(ErrorCode::kResourceExhausted, "{}: longer than {} bytes", path, kMaxFileBytes);
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Fail(ErrorCode::kUnavailable, "{}: cannot be read", path);
  return text.str();
}

}  // namespace

Result<std::vector<std::string>> ExpandGlobs(const std::vector<std::string>& globs) {
  std::vector<std::string> files;
  for (const std::string& pattern : globs) {
    glob_t found{};
    const int status = glob(pattern.c_str(), 0, nullptr, &found);
    for (size_t i = 0; i < found.gl_pathc && status == 0; ++i) files.emplace_back(found.gl_pathv[i]);
    globfree(&found);
    if (status != 0 && pattern.find_first_of("*?[") == std::string::npos)
      return Fail(ErrorCode::kNotFound, "rules.files: {} does not exist", pattern);
  }
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  if (files.size() > kMaxFiles) return Fail(ErrorCode::kResourceExhausted, "rules.files: more than {} files", kMaxFiles);
  return files;
}

struct RuleEngine::Impl {
  struct Scheduled {
    std::unique_ptr<RuleGroup> group;
    int64_t due_ms = 0;
    bool running = false;
    bool gone = false;
    GroupView view;  // as of the last evaluation
  };

  RuleWorld world;
  Notifier* notifier;
  const Clock* clock;
  Counter* evaluations;
  Counter* missed;
  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::vector<std::shared_ptr<Scheduled>> groups;
  std::vector<std::thread> threads;

  int64_t NowMs() const { return clock->UnixNs() / kNsPerMs; }
  void Work();
};

RuleEngine::RuleEngine(RuleWorld world, Notifier* notifier, SelfMetrics* metrics, const Clock* clock)
    : impl_(std::make_unique<Impl>()) {
  impl_->world = std::move(world);
  impl_->notifier = notifier;
  impl_->clock = clock;
  impl_->evaluations = &metrics->GetCounter("faultline_rule_group_evaluations_total", "Evaluations of groups of rules.");
  impl_->missed = &metrics->GetCounter("faultline_rule_group_missed_total",
                                       "Evaluations left out because the one before took too long.");
  if (notifier != nullptr) {
    impl_->world.send = [this](std::vector<Alert>&& alerts, const RuleSpec& rule) {
      impl_->notifier->Send(alerts, rule, impl_->world);
    };
  }
}

RuleEngine::~RuleEngine() { Stop(); }

Result<void> RuleEngine::Load(const std::vector<std::string>& globs) {
  FAULTLINE_ASSIGN(const std::vector<std::string> files, ExpandGlobs(globs));
  std::vector<GroupSpec> specs;
  for (const std::string& file : files) {
    FAULTLINE_ASSIGN(const std::string text, ReadFile(file));
    FAULTLINE_ASSIGN(std::vector<GroupSpec> some, ParseRuleFile(text, file));
    for (GroupSpec& spec : some) specs.push_back(std::move(spec));
  }
  std::unique_lock lock(impl_->mutex);
  // Groups in flight are waited for: their state moves over.
  impl_->wake.wait(lock, [&] { return std::ranges::none_of(impl_->groups, [](const auto& g) { return g->running; }); });
  std::vector<std::shared_ptr<Impl::Scheduled>> fresh;
  const int64_t now_ms = impl_->NowMs();
  for (GroupSpec& spec : specs) {
    auto scheduled = std::make_shared<Impl::Scheduled>();
    scheduled->group = std::make_unique<RuleGroup>(std::move(spec), &impl_->world);
    const GroupSpec& own = scheduled->group->spec();
    const int64_t interval_ms = scheduled->group->interval_ms();
    // Spread over the interval by name, the same after each restart.
    const auto offset = static_cast<int64_t>(std::hash<std::string>()(own.file + ";" + own.name) % static_cast<uint64_t>(interval_ms));
    scheduled->due_ms = (now_ms - offset + interval_ms - 1) / interval_ms * interval_ms + offset;
    for (auto& old : impl_->groups) {
      if (old->group == nullptr || old->group->spec().file != own.file || old->group->spec().name != own.name) continue;
      if (old->group->interval_ms() == interval_ms) scheduled->due_ms = old->due_ms;
      scheduled->group->Inherit(*old->group);
      old->group = nullptr;
    }
    scheduled->view = scheduled->group->View();
    fresh.push_back(std::move(scheduled));
  }
  const auto old = std::exchange(impl_->groups, std::move(fresh));
  lock.unlock();
  for (const auto& each : old) {
    each->gone = true;
    if (each->group != nullptr) each->group->EndSeries(now_ms);
  }
  impl_->wake.notify_all();
  return {};
}

void RuleEngine::Impl::Work() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    const int64_t now_ms = NowMs();
    std::shared_ptr<Scheduled> next;
    for (const auto& group : groups) {
      if (!group->running && (next == nullptr || group->due_ms < next->due_ms)) next = group;
    }
    if (next == nullptr || next->due_ms > now_ms) {
      const int64_t wait_ms = next == nullptr ? 1000 : std::min<int64_t>(next->due_ms - now_ms, 1000);
      wake.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(wait_ms, 1)));
      continue;
    }
    const int64_t at_ms = next->due_ms, interval_ms = next->group->interval_ms();
    const int64_t late = (now_ms - at_ms) / interval_ms;
    if (late > 0) missed->Add(static_cast<double>(late));
    next->running = true;
    lock.unlock();
    next->group->Evaluate(at_ms + late * interval_ms);
    evaluations->Add();
    lock.lock();
    next->view = next->group->View();
    next->due_ms = at_ms + (late + 1) * interval_ms;
    next->running = false;
    wake.notify_all();
  }
}

void RuleEngine::Start() {
  for (size_t i = 0; i < kThreads; ++i) impl_->threads.emplace_back([this] { impl_->Work(); });
}

void RuleEngine::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

std::vector<GroupView> RuleEngine::Views() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<GroupView> views;
  for (const auto& group : impl_->groups) views.push_back(group->view);
  return views;
}

}  // namespace faultline::alerts
