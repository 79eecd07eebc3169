#include "agent/faults/network_effect.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "agent/faults/network_probe.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kListenMs = 700;
constexpr double kMaxProbedBytesPerS = 40e6;
constexpr double kProbeSeconds = 1.2;

double Before(const FaultPlan& plan, const std::string& name, double otherwise) {
  const auto at = plan.before.find(name);
  return at == plan.before.end() ? otherwise : at->second;
}

void Say(v1::Effect& effect, v1::Verdict verdict, std::string reason) {
  effect.set_verdict(verdict);
  effect.set_reason(std::move(reason));
}

std::optional<network_fault_counts> Counts(const FaultPlan& plan) {
  std::optional<network_fault_counts> sum;
  const auto handle = static_cast<uint32_t>(ParseUint(plan.State("handle")).value_or(0));
  for (const NetDevice& device : PlannedDevices(plan)) {
    const auto one = ReadFilterCounts(device.index, handle);
    if (!one) continue;
    if (!sum) sum.emplace();
    sum->matched += one->matched;
    sum->dropped += one->dropped;
  }
  return sum;
}

// How often a probe meets the fault: once on its way and once on its way back, at most.
int Crossings(const NetworkAsked& asked) { return (asked.to ? 1 : 0) + (asked.from ? 1 : 0); }

double ExpectedLossPercent(const NetworkAsked& asked) {
  const double passes = (1 - asked.loss.percent / 100) * (1 - asked.corrupt.percent / 100);
  return 100 * (1 - std::pow(passes, Crossings(asked)));
}

ProbeAsked ProbeOf(const NetworkAsked& asked, const RemoteAddress& peer) {
  ProbeAsked probe;
  probe.peer = peer;
  if (!asked.remote_ports.empty()) probe.port = asked.remote_ports.front().first;
  if (peer.port != 0) probe.port = peer.port;
  const bool counts =
      asked.loss.percent > 0 || asked.duplicate.percent > 0 || asked.corrupt.percent > 0;
  if (counts && !asked.partition) probe.count = probe.port != 0 ? 120 : 1000;
  probe.interval_us = counts && !asked.partition ? (probe.port != 0 ? 5000 : 1000) : 25'000;
  const int64_t slow_ms = Crossings(asked) * (asked.latency_ns + asked.jitter_ns) / kNsPerMs;
  probe.wait_ms = std::clamp<int64_t>(slow_ms * 3 / 2 + 250, 250, 5000);
  if (asked.rate_bytes_per_s > 0) {
    probe.payload_bytes = 1400;
    const double offered = asked.rate_bytes_per_s * 1.5 * kProbeSeconds + 2 * asked.buffer_bytes;
    probe.count = static_cast<int>(std::clamp(offered / 1442, 20.0, 60'000.0));
    probe.interval_us = static_cast<int64_t>(kProbeSeconds * 1e6 / probe.count);
    probe.wait_ms = 400;
  }
  return probe;
}

// Within a tenth, or the spread of a share of `count` tries that chance alone exceeds once in 10,000 times (3.9 sigma):
// a verdict is given for every injection, so one that is wrong by chance once in a hundred would be wrong every day.
// A decision that repeats the last one with a probability of r spreads the share by sqrt((1 + r) / (1 - r)) more.
bool NearShare(double measured, double asked, int count, double correlation_percent) {
  const double p = std::clamp(asked / 100, 0.001, 0.999);
  const double r = std::clamp(correlation_percent / 100, 0.0, 0.99);
  const double spread = 3.9 * 100 * std::sqrt(p * (1 - p) / std::max(count, 1) * (1 + r) / (1 - r));
  return std::abs(measured - asked) <= std::max(0.1 * asked, spread);
}

void JudgeDelay(v1::Effect& effect, const FaultPlan& plan, const NetworkAsked& asked,
                const ProbeResult& probe) {
  const double before = Before(plan, "rtt_ms", 0);
  const double added = probe.mean_ms - before;
  const double wanted = Crossings(asked) * static_cast<double>(asked.latency_ns) / 1e6;
  const double jitter = static_cast<double>(asked.jitter_ns) / 1e6;
  const double share = asked.reorder.percent > 0 ? asked.reorder.percent / 100 : 0;
  const double low = wanted * 0.9 * (1 - share) - jitter;
  // A busy node adds to any delay: the floor is what the fault promises.
  const bool there = added >= low && added > 0.5 * wanted * (1 - share);
  const bool near = added <= wanted * 1.1 + jitter + 5;
  Say(effect, there ? (near ? v1::VERDICT_TRUE : v1::VERDICT_INCONCLUSIVE) : v1::VERDICT_FALSE,
      fmt::format("round trips take {:.1f} ms, {:.1f} ms more than before; {:.1f} ms asked",
                  probe.mean_ms, added, wanted));
}

void JudgeShares(v1::Effect& effect, const NetworkAsked& asked, const ProbeResult& probe) {
  const double loss = ExpectedLossPercent(asked);
  const double duplicate = asked.duplicate.percent;
  std::string reason;
  bool fits = true;
  bool nothing = true;
  if (loss > 0) {
    fits = fits && NearShare(probe.LostPercent(), loss, probe.sent,
                             std::max(asked.loss.correlation_percent, asked.corrupt.correlation_percent));
    nothing = nothing && probe.answered == probe.sent;
    reason = fmt::format("{:.1f} % of {} probes were lost, {:.1f} % expected", probe.LostPercent(),
                         probe.sent, loss);
  }
  if (duplicate > 0) {
    const double expected = duplicate * Crossings(asked);
    fits = fits && NearShare(probe.DuplicatePercent(), expected, probe.answered,
                             asked.duplicate.correlation_percent);
    nothing = nothing && probe.duplicates == 0;
    reason +=
        fmt::format("{}{:.1f} % of {} answers came twice, {:.1f} % expected",
                    reason.empty() ? "" : "; ", probe.DuplicatePercent(), probe.answered, expected);
  }
  Say(effect, fits ? v1::VERDICT_TRUE : (nothing ? v1::VERDICT_FALSE : v1::VERDICT_INCONCLUSIVE),
      reason);
}

void JudgeRate(v1::Effect& effect, const NetworkAsked& asked, const ProbeResult& probe) {
  if (asked.rate_bytes_per_s > kMaxProbedBytesPerS) {
    return Say(effect, v1::VERDICT_INCONCLUSIVE,
               fmt::format("{:g} bytes/s is more than our probe sends", asked.rate_bytes_per_s));
  }
  const double share = probe.bytes_per_s / asked.rate_bytes_per_s;
  Say(effect,
      share > 1.15 || probe.answered == 0 ? v1::VERDICT_FALSE
      : share > 0.85                      ? v1::VERDICT_TRUE
                                          : v1::VERDICT_INCONCLUSIVE,
      fmt::format("{:.0f} bytes/s come through when more are sent, {:.0f} asked", probe.bytes_per_s,
                  asked.rate_bytes_per_s));
}

void Judge(v1::Effect& effect, const FaultPlan& plan, const NetworkAsked& asked,
           const ProbeResult& probe, bool is_neighbour) {
  const bool answered_before = Before(plan, "lost_percent", is_neighbour ? 0 : 100) < 100;
  if (!answered_before && probe.answered == 0) {
    return Say(effect, v1::VERDICT_INCONCLUSIVE,
               "the peer of our probes answered neither before nor now");
  }
  if (asked.partition) {
    return Say(effect, probe.answered == 0 ? v1::VERDICT_TRUE : v1::VERDICT_FALSE,
               fmt::format("{} of {} probes were answered", probe.answered, probe.sent));
  }
  if (asked.rate_bytes_per_s > 0) return JudgeRate(effect, asked, probe);
  if (probe.answered == 0 && ExpectedLossPercent(asked) < 99) {
    return Say(effect, v1::VERDICT_INCONCLUSIVE,
               fmt::format("none of {} probes was answered", probe.sent));
  }
  if (asked.latency_ns > 0 || asked.jitter_ns > 0) {
    JudgeDelay(effect, plan, asked, probe);
    if (effect.verdict() != v1::VERDICT_TRUE) return;
    if (ExpectedLossPercent(asked) == 0 && asked.duplicate.percent == 0) return;
    const std::string delay = effect.reason();
    JudgeShares(effect, asked, probe);
    effect.set_reason(delay + "; " + effect.reason());
    return;
  }
  JudgeShares(effect, asked, probe);
}

void AddNumbers(v1::Effect& effect, const FaultPlan& plan, const NetworkAsked& asked,
                const ProbeResult& probe) {
  if (asked.latency_ns > 0 || asked.jitter_ns > 0) {
    AddMeasurement(
        effect, plan, "rtt_ms", probe.mean_ms,
        Before(plan, "rtt_ms", 0) + Crossings(asked) * static_cast<double>(asked.latency_ns) / 1e6);
  }
  AddMeasurement(effect, plan, "lost_percent", probe.LostPercent(), ExpectedLossPercent(asked));
  if (asked.duplicate.percent > 0) {
    AddMeasurement(effect, plan, "duplicate_percent", probe.DuplicatePercent(),
                   asked.duplicate.percent * Crossings(asked));
  }
  if (asked.rate_bytes_per_s > 0)
    AddMeasurement(effect, plan, "rate_bytes_per_s", probe.bytes_per_s, asked.rate_bytes_per_s);
}

Result<void> Measure(const FaultPlan& plan, const NetworkAsked& asked, v1::Effect& effect) {
  const auto counts = Counts(plan);
  const auto listen = [] { std::this_thread::sleep_for(std::chrono::milliseconds(kListenMs)); };
  std::optional<RemoteAddress> peer = FindPeer(asked.remotes);
  const bool narrow = asked.HasPortFilter() || plan.State("cgroup") != "" ||
                      asked.accept_flags_mask != 0 || asked.protocol == 17 ||
                      std::any_of(asked.remotes.begin(), asked.remotes.end(),
                                  [](const RemoteAddress& remote) { return remote.port != 0; });
  if (counts && (narrow || !peer)) {  // somebody else's packets must show that there are any
    listen();
    const auto later = Counts(plan);
    AddMeasurement(effect, plan, "matched_packets", later ? static_cast<double>(later->matched) : 0,
                   1);
    if (later && later->matched == 0) {
      Say(effect, v1::VERDICT_FALSE, "no packet has met the filter so far");
      return {};
    }
  }
  if (plan.State("cgroup") != "" || asked.protocol == 17 || !asked.local_ports.empty())
    peer.reset();
  if (!peer) {
    AddMeasurement(effect, plan, "probes", 0, 0);
    if (!counts) {
      Say(effect, v1::VERDICT_FALSE, "no filter is attached");
    } else {
      Say(effect, v1::VERDICT_INCONCLUSIVE,
          "packets meet the filter, but nobody is known whom our own probes could ask");
    }
    return {};
  }
  double skip_bytes = asked.buffer_bytes;
  if (asked.rate_bytes_per_s > kMaxProbedBytesPerS) skip_bytes = 0;
  ProbeAsked probe = ProbeOf(asked, *peer);
  if (asked.protocol == 6 && probe.port == 0) probe.port = 9;  // refused is an answer, too
  if (asked.rate_bytes_per_s > kMaxProbedBytesPerS) probe.count = 20;
  FAULTLINE_ASSIGN(const ProbeResult result, Probe(probe, skip_bytes));
  AddNumbers(effect, plan, asked, result);
  if (!counts) {
    Say(effect, v1::VERDICT_FALSE, "no filter is attached");
  } else {
    Judge(effect, plan, asked, result, IsNeighbour(*peer));
  }
  return {};
}

}  // namespace

Result<v1::Effect> MeasureNetwork(const FaultPlan& plan, const NetworkAsked& asked,
                                  const FaultHost& host) {
  v1::Effect effect;
  const auto inode = ParseUint(plan.State("netns"));
  FAULTLINE_TRY(InNamespace(inode.value_or(0), host, [&] { return Measure(plan, asked, effect); }));
  return effect;
}

}  // namespace faultline
