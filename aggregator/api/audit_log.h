// Who changed what: one document of kind "audit" per audited request, the oldest dropped beyond a bound.
// Bodies are not kept: they may hold secrets. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <string>

#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"

namespace faultline {

struct AuditEntry {
  std::string principal;
  std::string role;
  std::string remote;
  std::string method;
  std::string path;
  int status = 0;
};

class AuditLog {
 public:
  AuditLog(Store* store, const Clock* clock, size_t max_entries = 10'000);
  // Durable when it returns.
  Result<void> Append(const AuditEntry& entry);

 private:
  Result<void> Load();

  Store* const store_;
  const Clock* const clock_;
  const size_t max_entries_;
  std::mutex mutex_;
  bool loaded_ = false;
  std::deque<std::string> names_;  // oldest first
};

}  // namespace faultline
