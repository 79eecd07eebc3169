// clock_offset: the target's processes read other times. Where a process reads its clocks without
// the kernel (the vDSO), a jump leads to a page of ours in that process, which asks the kernel and
// adds the offset. Takes back: the original bytes, then the page goes. Verify calls the function in
// the process, as the process itself would, and compares with our own clock. x86-64. Limits: a
// process that asks the kernel directly, or that starts later by exec, keeps the true time.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <thread>

#include "agent/faults/clock_page.h"
#include "agent/faults/finished_work.h"
#include "agent/faults/vdso_patch.h"
#include "agent/faults/victims.h"
#include "common/base_n.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::pair<std::string_view, int> kClocks[] = {
    {"CLOCK_REALTIME", CLOCK_REALTIME}, {"CLOCK_MONOTONIC", CLOCK_MONOTONIC},
    {"CLOCK_PROCESS_CPUTIME_ID", 2},    {"CLOCK_THREAD_CPUTIME_ID", 3},
    {"CLOCK_MONOTONIC_RAW", 4},         {"CLOCK_REALTIME_COARSE", 5},
    {"CLOCK_MONOTONIC_COARSE", 6},      {"CLOCK_BOOTTIME", 7},
    {"CLOCK_REALTIME_ALARM", 8},        {"CLOCK_BOOTTIME_ALARM", 9}};

Result<uint64_t> ClockMask(const FaultSpec& spec) {
  uint64_t mask = 0;
  for (const std::string& name : spec.List("clockIds")) {
    const auto at = std::find_if(std::begin(kClocks), std::end(kClocks),
                                 [&](const auto& clock) { return clock.first == name; });
    if (at == std::end(kClocks))
      return Fail(ErrorCode::kInvalidArgument, "parameters.clockIds: '{}' is no clock", name);
    mask |= uint64_t{1} << at->second;
  }
  if (mask == 0) return Fail(ErrorCode::kInvalidArgument, "parameters.clockIds: is empty");
  return mask;
}

// One process of the plan: "identity page syscall name=address=bytes …".
struct Patch {
  ProcessIdentity process;
  uint64_t page = 0;
  uint64_t syscall_instruction = 0;
  struct Function {
    std::string name;
    uint64_t address = 0;
    std::string original;
  };
  std::vector<Function> functions;
};

std::string PatchText(const Patch& patch) {
  std::string text =
      fmt::format("{} {:x} {:x}", patch.process.Text(), patch.page, patch.syscall_instruction);
  for (const Patch::Function& function : patch.functions)
    text += fmt::format(" {}={:x}={}", function.name, function.address, ToHex(function.original));
  return text;
}

std::vector<Patch> Patches(const FaultPlan& plan) {
  std::vector<Patch> patches;
  const std::string all = plan.State("patches");
  std::string_view rest = all;
  std::string_view line;
  while (NextLine(rest, line)) {
    Patch patch;
    auto process = ProcessIdentity::Parse(NextWord(line));
    if (!process) continue;
    patch.process = *std::move(process);
    patch.page = ParseUint(NextWord(line), 16).value_or(0);
    patch.syscall_instruction = ParseUint(NextWord(line), 16).value_or(0);
    for (std::string_view word = NextWord(line); !word.empty(); word = NextWord(line)) {
      const auto parts = Split(word, '=');
      if (parts.size() == 3)
        patch.functions.push_back(
            {std::string(parts[0]), ParseUint(parts[1], 16).value_or(0), FromHex(parts[2])});
    }
    patches.push_back(std::move(patch));
  }
  return patches;
}

// A free page of the process, far from what it uses.
uint64_t FreePage(const std::vector<MemoryRange>& ranges) {
  for (uint64_t at = 0x600000000000; at < 0x7e0000000000; at += 0x1000000000) {
    const bool used = std::any_of(ranges.begin(), ranges.end(), [&](const MemoryRange& range) {
      return at + kClockPageBytes > range.begin && at < range.end;
    });
    if (!used) return at;
  }
  return 0;
}

bool HasPage(const HostView& host, const Patch& patch) {
  const auto ranges = ReadMemoryMap(host, patch.process.pid);
  return std::any_of(ranges.begin(), ranges.end(), [&](const MemoryRange& range) {
    return range.begin <= patch.page && patch.page < range.end;
  });
}

// Stopped at a place where nothing that changes is being executed.
Result<StoppedProcess> StopOutside(const HostView& host, const Patch& patch) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    // Let go for a moment, or it is stopped where it was before.
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1 + i % 3));
    auto stopped = StoppedProcess::Stop(host, patch.process.pid);
    // Somebody else has just stopped it: another call of ours, or a debugger.
    if (!stopped && stopped.error().code == ErrorCode::kPermissionDenied && i < kTries - 1)
      continue;
    if (!stopped) return std::unexpected(stopped.error());
    StoppedProcess process = *std::move(stopped);
    FAULTLINE_ASSIGN(bool inside, process.AnyThreadIn(patch.page, patch.page + kClockPageBytes));
    for (const Patch::Function& function : patch.functions) {
      FAULTLINE_ASSIGN(const bool here,
                       process.AnyThreadIn(function.address, function.address + kJumpBytes));
      inside = inside || here;
    }
    if (!inside) return process;
  }
  return Fail(ErrorCode::kTimeout, "process {} is always reading its clock", patch.process.pid);
}

Result<void> Apply(const HostView& host, const Patch& patch, uint64_t mask, int64_t offset_ns) {
  FAULTLINE_ASSIGN(StoppedProcess process, StopOutside(host, patch));
  constexpr uint64_t kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  FAULTLINE_ASSIGN(const uint64_t page,
                   process.SystemCall(patch.syscall_instruction,
                                      {SYS_mmap, patch.page, kClockPageBytes, PROT_READ | PROT_EXEC,
                                       kFlags, ~uint64_t{0}, 0}));
  if (page != patch.page) return Fail(ErrorCode::kInternal, "the page came to {:x}", page);
  FAULTLINE_TRY(WriteMemory(patch.process.pid, page, ClockPage(mask, offset_ns)));
  for (const Patch::Function& function : patch.functions)
    FAULTLINE_TRY(
        WriteMemory(patch.process.pid, function.address, JumpTo(page + ClockEntry(function.name))));
  return {};
}

// What a clock of the process says, less what ours says.
Result<int64_t> OffsetOf(const HostView& host, const Patch& patch, int clock_id) {
  const auto function = std::find_if(patch.functions.begin(), patch.functions.end(),
                                     [](const auto& one) { return one.name == "clock_gettime"; });
  if (function == patch.functions.end())
    return Fail(ErrorCode::kUnsupported, "no clock_gettime in the vDSO");
  FAULTLINE_ASSIGN(StoppedProcess process, StoppedProcess::Stop(host, patch.process.pid));
  FAULTLINE_ASSIGN(const uint64_t scratch, process.Scratch());
  timespec before{}, after{}, theirs{};
  clock_gettime(clock_id, &before);
  FAULTLINE_ASSIGN(const uint64_t failed,
                   process.Call(function->address, static_cast<uint64_t>(clock_id), scratch));
  clock_gettime(clock_id, &after);
  if (failed != 0)
    return Fail(ErrorCode::kInternal, "clock_gettime failed in process {}", patch.process.pid);
  FAULTLINE_ASSIGN(const std::string bytes, ReadMemory(patch.process.pid, scratch, sizeof theirs));
  std::memcpy(&theirs, bytes.data(), sizeof theirs);
  const auto ns = [](const timespec& time) { return time.tv_sec * kNsPerSecond + time.tv_nsec; };
  return ns(theirs) - (ns(before) / 2 + ns(after) / 2);
}

class ClockOffset final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_TRY(ClockMask(spec));
    if (spec.DurationNs("timeOffset") == 0)
      return Fail(ErrorCode::kInvalidArgument, "parameters.timeOffset: is 0");
    FAULTLINE_ASSIGN(const auto processes, TargetProcesses(spec.target, host));
    NameVictims(processes, host, plan);
    std::string texts;
    for (const ProcessIdentity& process : NamedVictims(plan)) {
      for (const FaultPlan& other : host.others) {
        if (other.spec.fault == spec.fault &&
            other.State("patches").find(process.Text() + " ") != std::string::npos)
          return Fail(ErrorCode::kConflict, "fault {} moves the clock of pid {} already",
                      other.spec.uid, process.pid);
      }
      FAULTLINE_ASSIGN(const VdsoLayout layout, ReadVdso(*host.host, process.pid));
      Patch patch;
      patch.process = process;
      patch.syscall_instruction = layout.syscall_instruction;
      patch.page = FreePage(ReadMemoryMap(*host.host, process.pid));
      for (const VdsoFunction& function : layout.functions) {
        FAULTLINE_ASSIGN(std::string original,
                         ReadMemory(process.pid, function.address, kJumpBytes));
        patch.functions.push_back({function.name, function.address, std::move(original)});
      }
      texts += PatchText(patch) + "\n";
    }
    plan.state["patches"] = texts;
    plan.state["mechanism"] = "vDSO patch by ptrace";
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const uint64_t mask, ClockMask(plan.spec));
    const auto work = [&]() -> Result<int64_t> {
      FAULTLINE_TRY(ApplyAll(plan, host, mask));
      return 0;
    };
    const auto undo = [&] {
      for (int i = 0; i < 20 && !Undo(plan, host); ++i) usleep(50'000);
    };
    FAULTLINE_TRY(FinishWhateverHappens(work, undo));
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const uint64_t mask, ClockMask(plan.spec));
    const int clock_id = __builtin_ctzll(mask);
    const auto asked = static_cast<double>(plan.spec.DurationNs("timeOffset")) / 1e9;
    std::optional<double> least, most;
    std::string trouble;
    for (const Patch& patch : Patches(plan)) {
      if (!ReadIfSame(*host.host, patch.process)) continue;
      const auto offset =
          FinishWhateverHappens([&] { return OffsetOf(*host.host, patch, clock_id); }, [] {});
      if (!offset) {
        trouble = offset.error().message;
        continue;
      }
      const double seconds = static_cast<double>(*offset) / 1e9;
      if (!least || std::abs(seconds - asked) > std::abs(*most - asked)) most = seconds;
      if (!least) least = seconds;
    }
    v1::Effect effect;
    AddMeasurement(effect, plan, "clock_offset_seconds", most.value_or(0), asked);
    if (!most) {
      effect.set_verdict(v1::VERDICT_INCONCLUSIVE);
      effect.set_reason(trouble.empty() ? "all processes of the target have ended" : trouble);
      return effect;
    }
    const bool holds = std::abs(*most - asked) <= std::max(0.02, std::abs(asked) * 0.05);
    effect.set_verdict(holds ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(
        fmt::format("the clock of the process is {:+.3f} s off, {:+.3f} s asked", *most, asked));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    // Even when nothing can be seen: whoever was killed while it injected may have a child at work.
    // After our turn it is done, or comes too late.
    const auto work = [&]() -> Result<int64_t> {
      FAULTLINE_TRY(Undo(plan, host));
      return 0;
    };
    FAULTLINE_TRY(FinishWhateverHappens(work, [] {}));
    return {};
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    for (const Patch& patch : Patches(plan)) {
      if (!ReadIfSame(*host.host, patch.process)) continue;
      for (std::string& left : Left(patch, *host.host)) residue.push_back(std::move(left));
    }
    return residue;
  }

 private:
  static Result<void> ApplyAll(const FaultPlan& plan, const FaultHost& host, uint64_t mask) {
    size_t done = 0;
    for (const Patch& patch : Patches(plan)) {
      if (!ReadIfSame(*host.host, patch.process)) continue;
      FAULTLINE_TRY(Apply(*host.host, patch, mask, plan.spec.DurationNs("timeOffset")));
      ++done;
    }
    if (done == 0) return Fail(ErrorCode::kNotFound, "all processes of the target have ended");
    return {};
  }

  static Result<void> Undo(const FaultPlan& plan, const FaultHost& host) {
    for (const Patch& patch : Patches(plan)) {
      if (!ReadIfSame(*host.host, patch.process) || Left(patch, *host.host).empty()) continue;
      FAULTLINE_ASSIGN(StoppedProcess process, StopOutside(*host.host, patch));
      for (const Patch::Function& function : patch.functions)
        FAULTLINE_TRY(WriteMemory(patch.process.pid, function.address, function.original));
      if (HasPage(*host.host, patch)) {
        FAULTLINE_TRY(process.SystemCall(patch.syscall_instruction,
                                         {SYS_munmap, patch.page, kClockPageBytes}));
      }
    }
    return {};
  }

  static std::vector<std::string> Left(const Patch& patch, const HostView& host) {
    std::vector<std::string> left;
    for (const Patch::Function& function : patch.functions) {
      const auto bytes = ReadMemory(patch.process.pid, function.address, kJumpBytes);
      if (bytes && *bytes != function.original)
        left.push_back(fmt::format("patched {} of pid {}", function.name, patch.process.pid));
    }
    if (HasPage(host, patch))
      left.push_back(fmt::format("page {:x} of pid {}", patch.page, patch.process.pid));
    return left;
  }
};

constexpr ParameterRow kParameters[] = {
    {.name = "timeOffset",
     .kind = ParameterKind::kDuration,
     .doc = "added to the clocks; may be negative",
     .required = true},
    {.name = "clockIds",
     .kind = ParameterKind::kList,
     .fallback = "CLOCK_REALTIME",
     .doc = "which clocks"},
};

}  // namespace

extern const FaultRow kClockOffset = {
    .name = "clock_offset",
    .doc = "Moves the clocks of the target's processes.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new ClockOffset); },
    .example = "timeOffset=-1h30m",
};

}  // namespace faultline
