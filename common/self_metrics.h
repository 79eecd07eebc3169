// The program's own metrics: counters, gauges and histograms named faultline_*, rendered in Prometheus' text
// format. The one place that includes prometheus-cpp. Thread-safe; references live as long as the object.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace faultline {

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Add(double amount = 1) = 0;
  virtual double Value() const = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual double Value() const = 0;
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

class SelfMetrics {
 public:
  SelfMetrics();
  ~SelfMetrics();
  using LabelMap = std::map<std::string, std::string>;
  // The same name and labels give the same object.
  Counter& GetCounter(const std::string& name, const std::string& help, const LabelMap& labels = {});
  Gauge& GetGauge(const std::string& name, const std::string& help, const LabelMap& labels = {});
  Histogram& GetHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& bounds, const LabelMap& labels = {});
  std::string Render() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
