#include "common/self_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <utility>

namespace faultline {
namespace {

class RegisteredCounter final : public Counter {
 public:
  explicit RegisteredCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Add(double amount) override { counter_.Increment(amount); }
  double Value() const override { return counter_.Value(); }

 private:
  prometheus::Counter& counter_;
};

class RegisteredGauge final : public Gauge {
 public:
  explicit RegisteredGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }
  double Value() const override { return gauge_.Value(); }

 private:
  prometheus::Gauge& gauge_;
};

class RegisteredHistogram final : public Histogram {
 public:
  explicit RegisteredHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

}  // namespace

struct SelfMetrics::Impl {
  using Key = std::pair<std::string, LabelMap>;

  prometheus::Registry registry;
  std::mutex mutex;
  std::map<Key, std::unique_ptr<RegisteredCounter>> counters;
  std::map<Key, std::unique_ptr<RegisteredGauge>> gauges;
  std::map<Key, std::unique_ptr<RegisteredHistogram>> histograms;
};

SelfMetrics::SelfMetrics() : impl_(std::make_unique<Impl>()) {}
SelfMetrics::~SelfMetrics() = default;

Counter& SelfMetrics::GetCounter(const std::string& name, const std::string& help,
                                 const LabelMap& labels) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->counters[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    slot = std::make_unique<RegisteredCounter>(family.Add(labels));
  }
  return *slot;
}

Gauge& SelfMetrics::GetGauge(const std::string& name, const std::string& help, const LabelMap& labels) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->gauges[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    slot = std::make_unique<RegisteredGauge>(family.Add(labels));
  }
  return *slot;
}

Histogram& SelfMetrics::GetHistogram(const std::string& name, const std::string& help,
                                     const std::vector<double>& bounds, const LabelMap& labels) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->histograms[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
    slot = std::make_unique<RegisteredHistogram>(family.Add(labels, bounds));
  }
  return *slot;
}

std::string SelfMetrics::Render() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace faultline
