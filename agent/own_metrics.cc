#include "agent/own_metrics.h"

namespace faultline {
namespace {

constexpr auto kGauge = v1::METRIC_TYPE_GAUGE;
constexpr auto kCounter = v1::METRIC_TYPE_COUNTER;

constexpr MetricFamily kBuild{"faultline_agent_build_info", kGauge, "Version of the agent; the value is 1."};
constexpr MetricFamily kSeries{"faultline_agent_series", kGauge, "Series alive."};
constexpr MetricFamily kProduced{"faultline_agent_records_produced_total", kCounter,
                                 "Records that leaves made: delivered, dropped or waiting."};
constexpr MetricFamily kDelivered{"faultline_agent_records_delivered_total", kCounter,
                                  "Records that the aggregator acknowledged."};
constexpr MetricFamily kPending{"faultline_agent_records_pending", kGauge,
                                "Records in the open batch."};
constexpr MetricFamily kDropped{"faultline_dropped_total", kCounter,
                                "Records given up, by who made them and why."};
constexpr MetricFamily kUnattributed{"faultline_agent_unattributed_total", kCounter,
                                     "Records about a cgroup or process that no container is known for."};
constexpr MetricFamily kSpoolBatches{"faultline_agent_spool_batches", kGauge, "Batches in the spool."};
constexpr MetricFamily kSpoolBytes{"faultline_agent_spool_bytes", kGauge, "Bytes of batches in the spool."};
constexpr MetricFamily kSpoolRecords{"faultline_agent_spool_records", kGauge, "Records in the spool."};
constexpr MetricFamily kConnected{"faultline_agent_uplink_connected", kGauge,
                                  "Whether the aggregator takes batches now."};
constexpr MetricFamily kSent{"faultline_agent_uplink_batches_sent_total", kCounter, "Batches sent, repeats included."};
constexpr MetricFamily kSentBytes{"faultline_agent_uplink_sent_bytes_total", kCounter,
                                  "Compressed bytes of batches sent."};
constexpr MetricFamily kReconnects{"faultline_agent_uplink_reconnects_total", kCounter,
                                   "Connections given up for silence."};
constexpr MetricFamily kRejects{"faultline_agent_uplink_rejects_total", kCounter,
                                "Refusals by the aggregator, by reason."};
constexpr MetricFamily kOffset{"faultline_agent_clock_offset_seconds", kGauge,
                               "The aggregator's clock less the agent's."};
constexpr MetricFamily kExcess{"faultline_agent_excess_cgroups", kGauge,
                               "Cgroups beyond containers.max_cgroups, not looked at."};

class OwnMetrics final : public Collector {
 public:
  explicit OwnMetrics(OwnMetricsParts parts) : parts_(std::move(parts)) {}

  Result<void> Collect(Emitter& out) override {
    out.Sample(kBuild, {{"version", parts_.version}}, 1);
    Records(out);
    Spooled(out);
    if (parts_.uplink != nullptr) Link(out);
    if (parts_.containers != nullptr) {
      out.Sample(kExcess, {}, static_cast<double>(parts_.containers->excess_cgroups()));
    }
    return {};
  }

 private:
  void Records(Emitter& out) {
    const Pipeline& pipeline = *parts_.pipeline;
    const Spool::Counters& spool = parts_.spool->counters();
    out.Sample(kSeries, {}, static_cast<double>(pipeline.series()));
    out.Sample(kProduced, {}, static_cast<double>(pipeline.produced() + spool.recovered_records));
    out.Sample(kDelivered, {}, static_cast<double>(spool.delivered_records));
    out.Sample(kPending, {}, static_cast<double>(pipeline.pending()));
    out.Sample(kUnattributed, {}, static_cast<double>(pipeline.unattributed()));
    for (const auto& [key, count] : pipeline.dropped()) {
      out.Sample(kDropped, {{"leaf", key.first}, {"reason", key.second}}, static_cast<double>(count));
    }
    out.Sample(kDropped, {{"leaf", "spool"}, {"reason", "spool_full"}},
               static_cast<double>(spool.dropped_records));
  }

  void Spooled(Emitter& out) {
    out.Sample(kSpoolBatches, {}, static_cast<double>(parts_.spool->batches()));
    out.Sample(kSpoolBytes, {}, static_cast<double>(parts_.spool->bytes()));
    out.Sample(kSpoolRecords, {}, static_cast<double>(parts_.spool->records()));
  }

  void Link(Emitter& out) {
    const Uplink& uplink = *parts_.uplink;
    out.Sample(kConnected, {}, uplink.connected() ? 1 : 0);
    out.Sample(kSent, {}, static_cast<double>(uplink.counters().batches_sent));
    out.Sample(kSentBytes, {}, static_cast<double>(uplink.counters().bytes_sent));
    out.Sample(kReconnects, {}, static_cast<double>(uplink.counters().reconnects));
    for (const auto& [reason, count] : uplink.counters().rejects) {
      out.Sample(kRejects, {{"reason", reason}}, static_cast<double>(count));
    }
    out.Sample(kOffset, {}, static_cast<double>(uplink.clock_offset_ns()) / 1e9);
  }

  const OwnMetricsParts parts_;
};

}  // namespace

std::unique_ptr<Collector> MakeOwnMetrics(OwnMetricsParts parts) {
  return std::make_unique<OwnMetrics>(std::move(parts));
}

}  // namespace faultline
