// How well the kernel's clock is disciplined (NTP, PPS): adjtimex(2), looking only.
#include <sys/timex.h>

#include <cerrno>

#include "agent/collectors/collector.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily kSync =
    Gauge("node_timex_sync_status", "1 if the clock follows a reliable server, 0 if not.");
constexpr MetricFamily kOffset =
    Gauge("node_timex_offset_seconds", "Distance of the local clock from its reference.");
constexpr MetricFamily kFrequency =
    Gauge("node_timex_frequency_adjustment_ratio", "By which factor the local clock is sped up.");
constexpr MetricFamily kMaxError = Gauge("node_timex_maxerror_seconds", "Largest possible error.");
constexpr MetricFamily kEstimatedError =
    Gauge("node_timex_estimated_error_seconds", "Estimated error.");
constexpr MetricFamily kStatus = Gauge("node_timex_status", "Status bits of the clock.");
constexpr MetricFamily kConstant =
    Gauge("node_timex_loop_time_constant", "Time constant of the phase-locked loop.");
constexpr MetricFamily kTick = Gauge("node_timex_tick_seconds", "Seconds between clock ticks.");
constexpr MetricFamily kPpsFrequency =
    Gauge("node_timex_pps_frequency_hertz", "Frequency of the pulse per second.");
constexpr MetricFamily kPpsJitter =
    Gauge("node_timex_pps_jitter_seconds", "Jitter of the pulse per second.");
constexpr MetricFamily kPpsShift = Gauge("node_timex_pps_shift_seconds",
                                         "Interval over which the pulse per second is calibrated.");
constexpr MetricFamily kPpsStability =
    Gauge("node_timex_pps_stability_hertz", "Average change of the pulse per second's frequency.");
constexpr MetricFamily kPpsJitterTotal =
    Counter("node_timex_pps_jitter_total", "Times the pulse per second jittered beyond its limit.");
constexpr MetricFamily kPpsCalibrations =
    Counter("node_timex_pps_calibration_total", "Calibration intervals of the pulse per second.");
constexpr MetricFamily kPpsErrors =
    Counter("node_timex_pps_error_total", "Calibration errors of the pulse per second.");
constexpr MetricFamily kPpsStabilityTotal =
    Counter("node_timex_pps_stability_exceeded_total",
            "Times the frequency of the pulse per second moved beyond its limit.");
constexpr MetricFamily kTai =
    Gauge("node_timex_tai_offset_seconds", "International Atomic Time minus UTC.");

constexpr double kMicro = 1e6;
constexpr double kScaledPpm = 1e6 * 65536;  // frequencies are ppm with a 16-bit fraction

class TimexCollector final : public Collector {
 public:
  Result<void> Collect(Emitter& out) override {
    timex clock{};
    const int state = adjtimex(&clock);
    if (state < 0) return FailErrno(errno, "adjtimex");
    const double fraction = (clock.status & STA_NANO) != 0 ? 1e9 : kMicro;
    const auto emit = [&](const MetricFamily& family, auto value, double divisor = 1) {
      out.Sample(family, {}, static_cast<double>(value) / divisor);
    };
    emit(kSync, state == TIME_ERROR ? 0 : 1);
    emit(kOffset, clock.offset, fraction);
    out.Sample(kFrequency, {}, 1 + static_cast<double>(clock.freq) / kScaledPpm);
    emit(kMaxError, clock.maxerror, kMicro);
    emit(kEstimatedError, clock.esterror, kMicro);
    emit(kStatus, clock.status);
    emit(kConstant, clock.constant);
    emit(kTick, clock.tick, kMicro);
    emit(kPpsFrequency, clock.ppsfreq, kScaledPpm);
    emit(kPpsJitter, clock.jitter, fraction);
    emit(kPpsShift, clock.shift);
    emit(kPpsStability, clock.stabil, kScaledPpm);
    emit(kPpsJitterTotal, clock.jitcnt);
    emit(kPpsCalibrations, clock.calcnt);
    emit(kPpsErrors, clock.errcnt);
    emit(kPpsStabilityTotal, clock.stbcnt);
    emit(kTai, clock.tai);
    return {};
  }
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeTimex(const LeafContext&) {
  return std::make_unique<TimexCollector>();
}

}  // namespace faultline
