// The detour of packets that must wait: a TAP device of ours per device and direction. The
// classifier sends packets there (the kernel lets go of the sender's accounting as they leave, so
// that a sender's window is not throttled by what waits here), this process keeps them as long as
// asked and writes them back, offload headers and all. The devices live as long as the process.
//
// DetourSchedule is the arithmetic alone: when may a packet go on?
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "agent/faults/fault_service.h"
#include "agent/faults/network_asked.h"

namespace faultline {

class DetourSchedule {
 public:
  DetourSchedule(const NetworkAsked& asked, uint64_t seed);
  // The monotonic time at which a packet of `bytes` that came at `now_ns` goes on; nullopt: it is
  // dropped, because more than the limit waits for the rate.
  std::optional<int64_t> Release(int64_t now_ns, size_t bytes);

 private:
  int64_t DelayNs();
  // True with `percent`; with `correlation` the last decision is taken again, so that the share is
  // kept whatever the correlation.
  bool Decide(const Chance& chance, bool& last);

  const NetworkAsked asked_;
  std::minstd_rand random_;
  double last_jitter_ = 0;
  bool last_reorder_ = false;
  int64_t in_order_ = 0;  // since the last that went ahead
  int64_t busy_until_ns_ = 0;
  int64_t peak_until_ns_ = 0;
};

// FaultServiceMethod of every network fault that needs a detour.
Result<void> ServeDetour(const ServiceCall& call);

}  // namespace faultline
