#include "aggregator/checks/change_sender.h"

#include <boost/json.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "aggregator/checks/node_health.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kDocument = "webhook";
constexpr size_t kMaxWaiting = 1000;
constexpr int64_t kLongestPauseNs = 60 * kNsPerSecond;

// Names of documents sort as their numbers do.
std::string NameOf(uint64_t number) { return fmt::format("{:020}", number); }

}  // namespace

std::string ChangeJson(const std::string& node, const v1::HealthChange& change,
                       const ConditionPriority& priority) {
  const boost::json::object object = {{"node", node},
                                      {change.is_fact() ? "fact" : "condition", change.subject()},
                                      {"status", change.to()},
                                      {"previous", change.from()},
                                      {"reason", change.reason()},
                                      {"message", ReplaceInvalidUtf8(change.message())},
                                      {"level", LevelName(change.level())},
                                      {"priority", priority.priority},
                                      {"affectsLoad", priority.affects_load},
                                      {"rule", change.rule()},
                                      {"time", FormatTime(change.time_unix_ns())}};
  return boost::json::serialize(object);
}

struct ChangeSender::Impl {
  Impl(Post the_post, Store* the_store, SelfMetrics* metrics, int64_t pause_ns)
      : post(std::move(the_post)),
        store(the_store),
        first_pause_ns(pause_ns),
        sent(metrics->GetCounter("faultline_webhook_sent_total",
                                 "Changes of conditions that the webhook took.")),
        failed(metrics->GetCounter("faultline_webhook_failures_total",
                                   "Attempts that the webhook did not take.")),
        dropped(metrics->GetCounter("faultline_webhook_dropped_total",
                                    "Changes given up because too many waited.")) {}

  void Run();
  void Forget(uint64_t number);

  const Post post;
  Store* const store;
  const int64_t first_pause_ns;
  Counter& sent;
  Counter& failed;
  Counter& dropped;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::pair<uint64_t, std::string>> waiting;  // by number, oldest first
  uint64_t next = 0;                                     // number of the next to wait
  bool stopping = false;
  std::thread thread;
};

void ChangeSender::Impl::Run() {
  int64_t pause_ns = first_pause_ns;
  std::unique_lock lock(mutex);
  while (!stopping) {
    wake.wait(lock, [&] { return stopping || !waiting.empty(); });
    if (stopping) return;
    const auto [number, body] = waiting.front();
    lock.unlock();
    const Result<void> taken = post(body);
    lock.lock();
    if (taken) {
      sent.Add();
      pause_ns = first_pause_ns;
      if (waiting.empty() || waiting.front().first != number)
        continue;  // it was given up meanwhile
      waiting.pop_front();
      lock.unlock();
      Forget(number);
      lock.lock();
      continue;
    }
    failed.Add();
    if (LogAllowed("checks/webhook"))
      spdlog::warn("webhook of conditions: {}", taken.error().message);
    wake.wait_for(lock, std::chrono::nanoseconds(pause_ns), [&] { return stopping; });
    pause_ns = std::min(pause_ns * 2, kLongestPauseNs);
  }
}

// A document that cannot be removed is told once more after a restart.
void ChangeSender::Impl::Forget(uint64_t number) {
  if (auto gone = store->DeleteDocument(kDocument, NameOf(number));
      !gone && LogAllowed("checks/webhook")) {
    spdlog::warn("webhook of conditions: {}", gone.error().message);
  }
}

ChangeSender::ChangeSender(Post post, Store* store, SelfMetrics* metrics, int64_t first_pause_ns)
    : impl_(std::make_unique<Impl>(std::move(post), store, metrics, first_pause_ns)) {}

ChangeSender::~ChangeSender() { Stop(); }

Result<void> ChangeSender::Load() {
  FAULTLINE_ASSIGN(auto kept, impl_->store->ListDocuments(kDocument));
  std::ranges::sort(kept);
  const std::lock_guard lock(impl_->mutex);
  for (auto& [name, body] : kept) {
    const auto number = ParseUint(name);
    if (!number)
      return Fail(ErrorCode::kInternal, "webhook: a kept change is named '{}', no number", name);
    impl_->waiting.emplace_back(*number, std::move(body));
    impl_->next = *number + 1;
  }
  return {};
}

void ChangeSender::Start() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void ChangeSender::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ChangeSender::Add(std::string body) {
  std::optional<uint64_t> given_up;
  uint64_t number = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    number = impl_->next++;
    if (impl_->waiting.size() >= kMaxWaiting) {
      given_up = impl_->waiting.front().first;
      impl_->waiting.pop_front();
      impl_->dropped.Add();
    }
  }
  if (given_up) impl_->Forget(*given_up);
  if (auto put = impl_->store->PutDocument(kDocument, NameOf(number), body);
      !put && LogAllowed("checks/webhook")) {
    spdlog::error("webhook of conditions: a change is not kept: {}", put.error().message);
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->waiting.emplace_back(number, std::move(body));
  }
  impl_->wake.notify_one();
}

}  // namespace faultline
