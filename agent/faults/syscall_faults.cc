// System calls of the target that fail with an errno, or wait, by name, with a probability, so many
// times at most.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>

#include "agent/faults/traced_fault.h"
#include "common/text.h"

namespace faultline {
namespace {

struct CallsAsked {
  std::vector<uint64_t> numbers;
  int error_number = 0;
  int64_t delay_ns = 0;
  double probability_percent = 100;
  int64_t times = 0;  // 0: without end
};

// Without these a thread cannot end or return from a signal.
constexpr std::string_view kNever[] = {"exit", "exit_group", "rt_sigreturn", "restart_syscall"};

Result<CallsAsked> Read(const FaultSpec& spec) {
  CallsAsked asked;
  for (const std::string& name : spec.List("syscalls")) {
    const long number = TracedCallNumber(name);
    if (number < 0)
      return Fail(ErrorCode::kInvalidArgument, "parameters.syscalls: '{}' is no call here", name);
    for (const std::string_view never : kNever) {
      if (name == never)
        return Fail(ErrorCode::kInvalidArgument, "parameters.syscalls: {} cannot be held up", name);
    }
    asked.numbers.push_back(static_cast<uint64_t>(number));
  }
  if (asked.numbers.empty())
    return Fail(ErrorCode::kInvalidArgument, "parameters.syscalls: names no call");
  if (spec.fault == "syscall_errno") {
    asked.error_number = ErrorNumber(spec.Text("errno"));
    if (asked.error_number == 0)
      return Fail(ErrorCode::kInvalidArgument, "parameters.errno: '{}' is no errno",
                  spec.Text("errno"));
  }
  asked.delay_ns = spec.DurationNs("delay");
  asked.probability_percent = spec.Number("probability");
  asked.times = spec.Integer("times");
  return asked;
}

class SyscallRules final : public CallRules {
 public:
  SyscallRules(CallsAsked asked, ServiceCounts& counts)
      : asked_(std::move(asked)), counts_(counts) {}

  CallVerdict OnBegin(const TracedCall& call) override {
    counts_.seen.fetch_add(1);
    if (std::find(asked_.numbers.begin(), asked_.numbers.end(), call.number) ==
        asked_.numbers.end())
      return {};
    if (asked_.times > 0 && static_cast<int64_t>(counts_.met.load()) >= asked_.times) return {};
    if (std::uniform_real_distribution<double>(0, 100)(random_) >= asked_.probability_percent)
      return {};
    counts_.met.fetch_add(1);
    return {asked_.error_number, asked_.delay_ns, false};
  }
  void OnEnd(const TracedCall&, int64_t result) override {
    if (asked_.error_number == 0 || result == -asked_.error_number) counts_.done.fetch_add(1);
  }

 private:
  const CallsAsked asked_;
  ServiceCounts& counts_;
  std::minstd_rand random_{std::random_device()()};
};

class SyscallFault final : public TracedFault {
 protected:
  Result<std::string> Describe(const FaultSpec& spec) const override {
    FAULTLINE_ASSIGN(const CallsAsked asked, Read(spec));
    std::string what = spec.Text("syscalls");
    if (asked.error_number != 0)
      what += fmt::format(" fail with {}", strerrorname_np(asked.error_number));
    if (asked.delay_ns > 0)
      what += fmt::format(" wait {:g} ms", static_cast<double>(asked.delay_ns) / 1e6);
    return fmt::format("{}, {:g} %", what, asked.probability_percent);
  }
};

std::unique_ptr<Fault> Make() { return std::make_unique<SyscallFault>(); }

constexpr ParameterRow kCalls = {.name = "syscalls",
                                 .kind = ParameterKind::kList,
                                 .doc = "names: openat, connect, mount",
                                 .required = true};
constexpr ParameterRow kProbability = {.name = "probability",
                                       .kind = ParameterKind::kPercent,
                                       .fallback = "100",
                                       .doc = "how many of them"};
constexpr ParameterRow kTimes = {.name = "times",
                                 .kind = ParameterKind::kInteger,
                                 .fallback = "0",
                                 .doc = "so many at most; 0: without end",
                                 .min = 0,
                                 .max = 1e15};
constexpr ParameterRow kErrnoRows[] = {
    kCalls,
    {.name = "errno", .doc = "EIO, or its number", .required = true},
    kProbability,
    kTimes,
};
constexpr ParameterRow kDelayRows[] = {
    kCalls,
    {.name = "delay",
     .kind = ParameterKind::kDuration,
     .doc = "how long they wait",
     .required = true,
     .min = 1000,
     .max = 60e9},
    kProbability,
    kTimes,
};

}  // namespace

Result<void> ServeSyscalls(const ServiceCall& call) {
  FAULTLINE_ASSIGN(CallsAsked asked, Read(call.plan.spec));
  SyscallRules rules(std::move(asked), *call.counts);
  return ServeTraced(call, rules);
}

extern const FaultRow kSyscallErrno = {
    .name = "syscall_errno",
    .doc = "System calls fail.",
    .parameters = kErrnoRows,
    .make = Make,
    .example = "syscalls=clock_nanosleep errno=EINTR probability=20",
};
extern const FaultRow kSyscallDelay = {
    .name = "syscall_delay",
    .doc = "System calls wait before they begin.",
    .parameters = kDelayRows,
    .make = Make,
    .example = "syscalls=clock_nanosleep delay=5ms",
};

}  // namespace faultline
