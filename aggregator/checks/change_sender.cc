#include "aggregator/checks/change_sender.h"

#include <boost/json.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "aggregator/checks/node_health.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxWaiting = 1000;
constexpr int64_t kLongestPauseNs = 60 * kNsPerSecond;

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
  Impl(Post the_post, SelfMetrics* metrics, int64_t pause_ns)
      : post(std::move(the_post)),
        first_pause_ns(pause_ns),
        sent(metrics->GetCounter("faultline_webhook_sent_total",
                                 "Changes of conditions that the webhook took.")),
        failed(metrics->GetCounter("faultline_webhook_failures_total",
                                   "Attempts that the webhook did not take.")),
        dropped(metrics->GetCounter("faultline_webhook_dropped_total",
                                    "Changes given up because too many waited.")) {}

  void Run();

  const Post post;
  const int64_t first_pause_ns;
  Counter& sent;
  Counter& failed;
  Counter& dropped;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::string> waiting;
  uint64_t first = 0;  // number of waiting.front()
  bool stopping = false;
  std::thread thread;
};

void ChangeSender::Impl::Run() {
  int64_t pause_ns = first_pause_ns;
  std::unique_lock lock(mutex);
  while (!stopping) {
    wake.wait(lock, [&] { return stopping || !waiting.empty(); });
    if (stopping) return;
    const std::string body = waiting.front();
    const uint64_t number = first;
    lock.unlock();
    const Result<void> taken = post(body);
    lock.lock();
    if (taken) {
      sent.Add();
      pause_ns = first_pause_ns;
      // It may have been given up meanwhile.
      if (!waiting.empty() && first == number) waiting.pop_front(), ++first;
      continue;
    }
    failed.Add();
    if (LogAllowed("checks/webhook"))
      spdlog::warn("webhook of conditions: {}", taken.error().message);
    wake.wait_for(lock, std::chrono::nanoseconds(pause_ns), [&] { return stopping; });
    pause_ns = std::min(pause_ns * 2, kLongestPauseNs);
  }
}

ChangeSender::ChangeSender(Post post, SelfMetrics* metrics, int64_t first_pause_ns)
    : impl_(std::make_unique<Impl>(std::move(post), metrics, first_pause_ns)) {}

ChangeSender::~ChangeSender() { Stop(); }

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
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->waiting.size() >= kMaxWaiting) {
      impl_->waiting.pop_front();
      ++impl_->first;
      impl_->dropped.Add();
    }
    impl_->waiting.push_back(std::move(body));
  }
  impl_->wake.notify_one();
}

}  // namespace faultline
