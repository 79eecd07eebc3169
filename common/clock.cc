#include "common/clock.h"

#include <ctime>

namespace faultline {
namespace {

int64_t Read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * kNsPerSecond + t.tv_nsec;
}

}  // namespace

int64_t SystemClock::UnixNs() const { return Read(CLOCK_REALTIME); }
int64_t SystemClock::SteadyNs() const { return Read(CLOCK_MONOTONIC); }

}  // namespace faultline
