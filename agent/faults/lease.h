// Until when faults may stay without word from the aggregator: one number in memory that agent and
// guardian share. CLOCK_MONOTONIC, which is the same for all processes of a boot.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/result.h"

namespace faultline {

class Lease {
 public:
  static Result<Lease> Create();
  // The other end: `fd` was inherited; it stays open.
  static Result<Lease> Attach(int fd);
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&&) = delete;
  Lease(const Lease&) = delete;
  ~Lease();

  void SetExpiry(int64_t steady_ns) { expiry_->store(steady_ns, std::memory_order_relaxed); }
  int64_t expiry_steady_ns() const { return expiry_->load(std::memory_order_relaxed); }
  int fd() const { return fd_; }

 private:
  Lease(int fd, std::atomic<int64_t>* expiry) : fd_(fd), expiry_(expiry) {}
  int fd_ = -1;
  std::atomic<int64_t>* expiry_ = nullptr;
};

}  // namespace faultline
