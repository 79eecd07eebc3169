#include "agent/profile_command.h"

#include <utility>

#include "agent/probes/cpu_profile.h"
#include "common/clock.h"

namespace faultline {
namespace {

constexpr uint32_t kMostSeconds = 60;

}  // namespace

void ExecuteProfile(const v1::Command& command, std::function<void(v1::CommandReply)> reply) {
  auto done = [id = command.id(), answer = std::move(reply)](Result<v1::CpuProfile> profile) {
    v1::CommandReply result;
    result.set_id(id);
    if (profile) {
      *result.mutable_profile() = *std::move(profile);
    } else {
      result.set_error_code(std::string(ErrorCodeName(profile.error().code)));
      result.set_error_message(profile.error().message);
    }
    answer(std::move(result));
  };
  const uint32_t seconds = command.profile_cpu().seconds();
  if (seconds > kMostSeconds)
    return done(Fail(ErrorCode::kInvalidArgument, "seconds: must be at most {}", kMostSeconds));
  CpuProfiler* const profiler = CpuProfiler::Running();
  if (profiler == nullptr)
    return done(Fail(ErrorCode::kUnsupported, "the probe cpu_profile does not run here"));
  if (seconds == 0) {
    profiler->Incident();
    return done(v1::CpuProfile());
  }
  profiler->Profile(seconds * kNsPerSecond, std::move(done));
}

}  // namespace faultline
