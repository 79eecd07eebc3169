// Profiles on demand: what the frame asks of the probe cpu_profile. On the agent's thread.
#pragma once

#include <functional>

#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

class CpuProfiler {
 public:
  using Done = std::function<void(Result<v1::CpuProfile>)>;

  // `done` is called once, later, when the profile is over and its stacks have names; at once with
  // an error when somebody else's is being made.
  virtual void Profile(int64_t duration_ns, Done done) = 0;
  // Something has just gone wrong here: makes a profile if the configuration wants one, unless one
  // is being made already.
  virtual void Incident() = 0;

  // The one of this process; null: the probe is off, or cannot run here.
  static CpuProfiler* Running();

 protected:
  ~CpuProfiler() = default;
};

}  // namespace faultline
