#include "aggregator/alerts/notifier.h"

#include <algorithm>
#include <boost/json.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "aggregator/alerts/template.h"
#include "aggregator/http_client.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline::alerts {
namespace {

namespace json = boost::json;

constexpr size_t kMaxQueued = 10'000;
constexpr size_t kMaxBatch = 64;

json::object ObjectOf(const Labels& labels) {
  json::object object;
  for (const auto& [name, value] : labels) object[name] = ReplaceInvalidUtf8(value);
  return object;
}

}  // namespace

struct Notifier::Impl {
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::deque<std::string> queue;  // JSON of an alert each
  Counter* sent;
  Counter* errors;
  Counter* dropped;
  std::thread thread;

  void Work(const std::vector<std::string>& addresses);
};

std::string AlertJson(const Alert& alert, const RuleSpec& rule, const RuleWorld& world) {
  Labels labels = alert.labels;
  for (const auto& [name, value] : world.external_labels) {
    if (LabelValue(alert.labels, name).empty()) labels.emplace_back(name, value);
  }
  SortLabels(labels);
  const int64_t end_ms = alert.resolved_at_ms != 0 ? alert.resolved_at_ms : alert.valid_until_ms;
  return json::serialize(json::object{{"labels", ObjectOf(labels)},
                                      {"annotations", ObjectOf(alert.annotations)},
                                      {"startsAt", FormatTime(alert.fired_at_ms * kNsPerMs)},
                                      {"endsAt", FormatTime(end_ms * kNsPerMs)},
                                      {"generatorURL", world.external_url + TableLink(rule.expression)}});
}

Notifier::Notifier(std::vector<std::string> addresses, SelfMetrics* metrics)
    : addresses_(std::move(addresses)), impl_(std::make_unique<Impl>()) {
  impl_->sent = &metrics->GetCounter("faultline_notifications_sent_total", "Alerts that an Alertmanager took.");
  impl_->errors = &metrics->GetCounter("faultline_notifications_errors_total", "Alerts that an Alertmanager did not take.");
  impl_->dropped = &metrics->GetCounter("faultline_notifications_dropped_total", "Alerts dropped because the queue was full.");
  if (!addresses_.empty()) impl_->thread = std::thread([this] { impl_->Work(addresses_); });
}

Notifier::~Notifier() { Stop(); }

void Notifier::Send(const std::vector<Alert>& alerts, const RuleSpec& rule, const RuleWorld& world) {
  if (addresses_.empty()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const Alert& alert : alerts) {
      if (impl_->queue.size() >= kMaxQueued) {
        impl_->queue.pop_front();
        impl_->dropped->Add();
      }
      impl_->queue.push_back(AlertJson(alert, rule, world));
    }
  }
  impl_->wake.notify_all();
}

void Notifier::Impl::Work(const std::vector<std::string>& addresses) {
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [&] { return stopping || !queue.empty(); });
    if (stopping) return;
    std::string body = "[";
    size_t count = 0;
    for (; count < kMaxBatch && !queue.empty(); ++count) {
      body += (count > 0 ? "," : "") + queue.front();
      queue.pop_front();
    }
    body += "]";
    lock.unlock();
    for (const std::string& address : addresses) {
      HttpCall call;
      call.url = address + "/api/v2/alerts";
      call.headers = {{"Content-Type", "application/json"}};
      call.body = body;
      const auto answer = CallHttp(call);
      const bool taken = answer && answer->status / 100 == 2;
      (taken ? sent : errors)->Add(static_cast<double>(count));
      if (!taken && LogAllowed("alertmanager " + address)) {
        spdlog::error("alertmanager {}: {}", address,
                      answer ? fmt::format("{} {}", answer->status, answer->body.substr(0, 300)) : answer.error().message);
      }
    }
    lock.lock();
  }
}

void Notifier::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace faultline::alerts
