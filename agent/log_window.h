// How many compressed bytes of log lines may be on their way to the aggregator. All lines share
// that road, so what a noisy container has on it is what a quiet one's line waits behind: the
// window is as wide as keeps the road busy, and no wider. It is learnt from how long batches take
// until they are acknowledged: beyond kTargetNs it closes, and while it is what holds lines back
// and batches are quick it opens. Pure; used on the agent's thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/clock.h"

namespace faultline {

class LogWindow {
 public:
  static constexpr int64_t kTargetNs = 250 * kNsPerMs;
  static constexpr uint64_t kMinBytes = uint64_t{128} << 10;

  explicit LogWindow(uint64_t max_bytes)
      : max_bytes_(max_bytes), bytes_(std::min(max_bytes, 4 * kMinBytes)) {}

  // Lines were held back at this width.
  void Held() { held_ = true; }
  // A batch with log lines was acknowledged `took_ns` after it was put on the road.
  void Acknowledged(int64_t took_ns, int64_t now_ns) {
    if (took_ns > kTargetNs) {
      // What was put before the last change says nothing about the width since.
      if (now_ns - took_ns < changed_ns_) return;
      changed_ns_ = now_ns;
      bytes_ = std::max(std::min(max_bytes_, kMinBytes), bytes_ - bytes_ / 4);
    } else if (held_) {
      bytes_ = std::min(max_bytes_, bytes_ + bytes_ / 16);
    }
    held_ = false;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t max_bytes_;
  uint64_t bytes_;
  int64_t changed_ns_ = 0;  // steady
  bool held_ = false;
};

}  // namespace faultline
