#include "aggregator/remote_writer.h"

#include <snappy.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "aggregator/http_client.h"
#include "common/log.h"
#include "common/text.h"
#include "faultline/v1/prometheus.pb.h"

namespace faultline {
namespace {

using Row = AppendBatch::SampleRow;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstBackoff{30};
constexpr std::chrono::milliseconds kMaxBackoff{5'000};
constexpr std::chrono::seconds kMetadataPeriod{60};
constexpr std::chrono::seconds kFlushTime{2};

v1::RemoteMetadata::Type TypeOf(v1::MetricType type) {
  switch (type) {
    case v1::METRIC_TYPE_COUNTER:
      return v1::RemoteMetadata::COUNTER;
    case v1::METRIC_TYPE_GAUGE:
      return v1::RemoteMetadata::GAUGE;
    case v1::METRIC_TYPE_HISTOGRAM:
      return v1::RemoteMetadata::HISTOGRAM;
    case v1::METRIC_TYPE_SUMMARY:
      return v1::RemoteMetadata::SUMMARY;
    default:
      return v1::RemoteMetadata::UNKNOWN;
  }
}

}  // namespace

struct RemoteWriter::Impl {
  RemoteWriterOptions options;
  Store* store;
  Counter* sent;
  Counter* retried;
  Counter* dropped_full;
  Counter* dropped_refused;
  Gauge* pending;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Row> queue;
  SteadyClock::time_point oldest;  // when the queue's first row came
  bool stopping = false;
  SteadyClock::time_point give_up = SteadyClock::time_point::max();
  std::thread thread;

  bool Take(std::vector<Row>& rows);
  std::string Encode(const std::vector<Row>& rows) const;
  void AddMetadata(v1::RemoteWriteRequest& request) const;
  // False: it must not be sent again.
  bool Send(const std::string& body, size_t samples);
  void Work();
};

RemoteWriter::RemoteWriter(RemoteWriterOptions options, Store* store, SelfMetrics* metrics)
    : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->store = store;
  const SelfMetrics::LabelMap labels{{"endpoint", impl_->options.endpoint}};
  impl_->sent = &metrics->GetCounter("faultline_remote_write_sent_samples_total", "Samples that an endpoint took.", labels);
  impl_->retried = &metrics->GetCounter("faultline_remote_write_retried_requests_total", "Requests sent again.", labels);
  const auto dropped = [&](const char* reason) {
    SelfMetrics::LabelMap with = labels;
    with["reason"] = reason;
    return &metrics->GetCounter("faultline_remote_write_dropped_samples_total", "Samples not sent, by reason.", with);
  };
  impl_->dropped_full = dropped("queue_full");
  impl_->dropped_refused = dropped("refused");
  impl_->pending = &metrics->GetGauge("faultline_remote_write_pending_samples", "Samples that wait to be sent.", labels);
  impl_->thread = std::thread([this] { impl_->Work(); });
}

RemoteWriter::~RemoteWriter() { Stop(); }

void RemoteWriter::Add(const std::vector<Row>& samples) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->queue.empty()) impl_->oldest = SteadyClock::now();
    impl_->queue.insert(impl_->queue.end(), samples.begin(), samples.end());
    if (impl_->queue.size() > impl_->options.max_queued_samples) {
      const size_t over = impl_->queue.size() - impl_->options.max_queued_samples;
      impl_->queue.erase(impl_->queue.begin(), impl_->queue.begin() + static_cast<ptrdiff_t>(over));
      impl_->dropped_full->Add(static_cast<double>(over));
    }
    impl_->pending->Set(static_cast<double>(impl_->queue.size()));
    if (impl_->queue.size() < impl_->options.max_samples_per_send) return;
  }
  impl_->wake.notify_one();
}

// A full request, or what is there once it is old enough. False at the end.
bool RemoteWriter::Impl::Take(std::vector<Row>& rows) {
  std::unique_lock lock(mutex);
  const auto full = [&] { return stopping || queue.size() >= options.max_samples_per_send; };
  wake.wait_for(lock, std::chrono::nanoseconds(options.batch_deadline_ns), full);
  if (stopping && (queue.empty() || SteadyClock::now() > give_up)) return false;
  const size_t count = std::min(queue.size(), options.max_samples_per_send);
  rows.assign(queue.begin(), queue.begin() + static_cast<ptrdiff_t>(count));
  queue.erase(queue.begin(), queue.begin() + static_cast<ptrdiff_t>(count));
  pending->Set(static_cast<double>(queue.size()));
  return true;
}

std::string RemoteWriter::Impl::Encode(const std::vector<Row>& rows) const {
  v1::RemoteWriteRequest request;
  std::unordered_map<SeriesId, v1::RemoteSeries*> series;
  for (const Row& row : rows) {
    v1::RemoteSeries*& one = series[row.series];
    if (one == nullptr) {
      const auto labels = store->LabelsOf(row.series);
      if (!labels) continue;
      one = request.add_series();
      for (const auto& [name, value] : *labels) {
        v1::Label* label = one->add_labels();
        label->set_name(name);
        label->set_value(ReplaceInvalidUtf8(value));
      }
    }
    v1::RemoteSample* sample = one->add_samples();
    sample->set_time_unix_ms(row.time_ms);
    sample->set_value(row.value);
  }
  if (rows.empty()) AddMetadata(request);
  std::string body;
  const std::string encoded = request.SerializeAsString();
  snappy::Compress(encoded.data(), encoded.size(), &body);
  return body;
}

void RemoteWriter::Impl::AddMetadata(v1::RemoteWriteRequest& request) const {
  constexpr int kMaxFamilies = 10'000;
  const auto all = store->Metadata();
  if (!all) return;
  for (const auto& [name, meta] : *all) {
    if (request.metadata_size() >= kMaxFamilies) break;
    v1::RemoteMetadata* to = request.add_metadata();
    to->set_family(name);
    to->set_type(TypeOf(meta.type));
    to->set_help(ReplaceInvalidUtf8(meta.help));
  }
}

bool RemoteWriter::Impl::Send(const std::string& body, size_t samples) {
  HttpCall call;
  call.url = options.endpoint;
  call.timeout_ns = options.timeout_ns;
  call.headers = {{"Content-Encoding", "snappy"},
                  {"Content-Type", "application/x-protobuf"},
                  {"X-Prometheus-Remote-Write-Version", "0.1.0"}};
  call.body = body;
  const auto answer = CallHttp(call);
  if (answer && answer->status / 100 == 2) {
    sent->Add(static_cast<double>(samples));
    return false;
  }
  const bool again = !answer || answer->status >= 500 || answer->status == 429;
  if (LogAllowed("remote write " + options.endpoint)) {
    spdlog::warn("remote write to {}: {}; {}", options.endpoint,
                 answer ? fmt::format("{} {}", answer->status, ReplaceInvalidUtf8(answer->body.substr(0, 300))) : answer.error().message,
                 again ? "is tried again" : "these samples are dropped");
  }
  if (!again) dropped_refused->Add(static_cast<double>(samples));
  return again;
}

void RemoteWriter::Impl::Work() {
  auto metadata_at = SteadyClock::now() + std::chrono::seconds(5);
  std::vector<Row> rows;
  while (Take(rows)) {
    if (rows.empty()) {
      if (SteadyClock::now() < metadata_at) continue;
      metadata_at = SteadyClock::now() + kMetadataPeriod;
    }
    const std::string body = Encode(rows);
    std::chrono::milliseconds backoff = kFirstBackoff;
    while (Send(body, rows.size())) {
      retried->Add();
      std::unique_lock lock(mutex);
      wake.wait_for(lock, backoff);
      if (stopping && SteadyClock::now() + backoff > give_up) return;
      backoff = std::min(backoff * 2, kMaxBackoff);
    }
  }
}

void RemoteWriter::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->stopping) impl_->give_up = SteadyClock::now() + kFlushTime;
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace faultline
