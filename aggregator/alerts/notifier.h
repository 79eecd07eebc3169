// Posts alerts to Alertmanagers (API v2), from a thread of its own: a bounded queue, all addresses in parallel enough
// (one after the other, each within a timeout), failures counted and tried again at the next resend.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aggregator/alerts/rule_group.h"
#include "common/result.h"
#include "common/self_metrics.h"

namespace faultline::alerts {

class Notifier {
 public:
  // `addresses` are base URLs, as http://127.0.0.1:9093.
  Notifier(std::vector<std::string> addresses, SelfMetrics* metrics);
  ~Notifier();

  // Thread-safe; beyond the queue's limit the oldest are dropped and counted.
  void Send(const std::vector<Alert>& alerts, const RuleSpec& rule, const RuleWorld& world);
  void Stop();
  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  struct Impl;
  const std::vector<std::string> addresses_;
  std::unique_ptr<Impl> impl_;
};

// The body of POST /api/v2/alerts for one alert.
std::string AlertJson(const Alert& alert, const RuleSpec& rule, const RuleWorld& world);

}  // namespace faultline::alerts
