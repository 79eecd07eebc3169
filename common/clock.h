// The only source of time. Stamps are UTC nanoseconds; intervals are steady (CLOCK_MONOTONIC).
#pragma once

#include <cstdint>

namespace faultline {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t UnixNs() const = 0;
  virtual int64_t SteadyNs() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t UnixNs() const override;
  int64_t SteadyNs() const override;
};

// Moves only when told to. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t unix_ns) : unix_ns_(unix_ns) {}
  int64_t UnixNs() const override { return unix_ns_; }
  int64_t SteadyNs() const override { return steady_ns_; }
  void Advance(int64_t ns) {
    unix_ns_ += ns;
    steady_ns_ += ns;
  }

 private:
  int64_t unix_ns_;
  int64_t steady_ns_ = 1;
};

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kNsPerSecond = 1'000'000'000;

}  // namespace faultline
