// Reads windows, lets the detectors look, lets the ranker judge, then, and only then, grades the judgement against the ground
// truth: what was injected never reaches a detector or the ranker.

#include <algorithm>

#include <fmt/format.h>

#include "aggregator/diagnosis/catalogue.h"
#include "aggregator/diagnosis/signals.h"
#include "aggregator/diagnosis/windows.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxAnomalies = 200;
constexpr size_t kMaxEvents = 200;
constexpr int64_t kMinBaselineMs = 10'000;
constexpr double kSureScore = 0.3;

// Which causes are a right answer for which fault.
struct FaultCauses {
  std::string_view fault;
  std::string_view causes;  // separated by blanks
};
constexpr FaultCauses kFaultCauses[] = {
    {"cpu_stress", "cpu_saturation cpu_throttling"},
    {"cpu_quota", "cpu_throttling"},
    {"process_stop", "process_stopped"},
    {"process_kill", "process_exit process_stopped"},
    {"memory_stress", "memory_growth memory_limit oom_kill"},
    {"io_stress", "disk_write_load disk_read_load io_contention"},
    {"disk_fill", "disk_full"},
    {"network_loss", "network_loss"},
};

bool CauseFits(std::string_view fault, std::string_view cause) {
  for (const FaultCauses& row : kFaultCauses) {
    if (row.fault != fault) continue;
    for (const std::string_view candidate : Split(row.causes, ' ')) {
      if (candidate == cause) return true;
    }
  }
  return false;
}

bool SameTarget(const FaultLabel& label, const Suspect& suspect) {
  if (label.node != suspect.node) return false;
  if (!label.target.cgroup().empty() || !suspect.cgroup.empty()) {
    if (label.target.cgroup() == suspect.cgroup) return true;
  }
  return !label.target.container().empty() && label.target.container() == suspect.container &&
         label.target.pod() == suspect.pod && label.target.namespace_() == suspect.name_space;
}

std::vector<DiagnosisReport::Grade> GradeAll(const DiagnosisReport& report,
                                             const std::vector<FaultLabel>& labels) {
  std::vector<DiagnosisReport::Grade> grades;
  for (const FaultLabel& label : labels) {
    if (label.begin_unix_ns == 0) continue;  // never took hold
    if (!report.request.node.empty() && label.node != report.request.node) continue;
    DiagnosisReport::Grade grade{.label = label, .rank = 0, .cause_matches = false, .onset_error_ms = 0};
    for (size_t i = 0; i < report.suspects.size() && grade.rank == 0; ++i) {
      if (!SameTarget(label, report.suspects[i])) continue;
      grade.rank = static_cast<int>(i) + 1;
      grade.cause_matches = CauseFits(label.fault, report.suspects[i].cause);
      grade.onset_error_ms = report.suspects[i].onset_unix_ms - label.begin_unix_ns / kNsPerMs;
    }
    grades.push_back(std::move(grade));
  }
  return grades;
}

// Events that are witnesses by themselves.
void AddEventAnomalies(const std::vector<StoredEvent>& events, std::vector<Anomaly>* anomalies) {
  for (const StoredEvent& stored : events) {
    if (stored.event.type() != "oom_kill") continue;
    Anomaly anomaly;
    const v1::Subject& subject = stored.event.subject();
    anomaly.labels = {{"node", stored.node}, {"namespace", subject.namespace_()}, {"pod", subject.pod()},
                      {"container", subject.container()}, {"id", subject.cgroup()}};
    std::erase_if(anomaly.labels, [](const auto& label) { return label.second.empty(); });
    SortLabels(anomaly.labels);
    anomaly.signal = "event/" + stored.event.type();
    anomaly.expression = stored.event.message();
    anomaly.onset_unix_ms = stored.event.time_unix_ns() / kNsPerMs;
    anomaly.score = 50;
    anomaly.during = 1;
    anomaly.direction = "new";
    anomalies->push_back(std::move(anomaly));
  }
}

// Gives the evidence of the suspects its curves, so that a report can draw them.
void AddPlots(const std::vector<SeriesWindow>& windows, std::vector<Suspect>* suspects) {
  constexpr size_t kMaxPoints = 240;
  for (Suspect& suspect : *suspects) {
    for (Anomaly& anomaly : suspect.evidence) {
      const auto at = std::find_if(windows.begin(), windows.end(), [&](const SeriesWindow& window) {
        return window.labels == anomaly.labels;
      });
      if (at == windows.end()) continue;
      std::vector<Sample> all = at->baseline;
      all.insert(all.end(), at->window.begin(), at->window.end());
      const size_t stride = all.size() / kMaxPoints + 1;
      for (size_t i = 0; i < all.size(); i += stride) anomaly.plot.push_back(all[i]);
    }
  }
}

std::string Conclude(const DiagnosisReport& report) {
  if (report.suspects.empty() || report.suspects.front().score < kSureScore) {
    return report.anomalies.empty() ? "Nothing changed that the detectors can see."
                                    : "No cause is determinable from the data; what changed is listed below.";
  }
  const Suspect& first = report.suspects.front();
  return fmt::format("Most likely {}: {}.", first.cause, first.explanation);
}

}  // namespace

struct Diagnoser::Impl {
  Store* store;
  GroundTruth* ground_truth;
  const Clock* clock;
  std::vector<std::unique_ptr<Detector>> detectors;
  std::unique_ptr<Ranker> ranker;
};

Diagnoser::Diagnoser(Store* store, GroundTruth* ground_truth, const Clock* clock)
    : impl_(std::make_unique<Impl>(store, ground_truth, clock)) {
  for (const DetectorRow& row : DetectorCatalogue()) impl_->detectors.push_back(row.make());
  impl_->ranker = MakeCauseRanker();
}
Diagnoser::~Diagnoser() = default;

Result<DiagnosisReport> Diagnoser::Diagnose(const DiagnosisRequest& request) {
  const int64_t started = impl_->clock->SteadyNs();
  if (request.end_unix_ms <= request.begin_unix_ms) {
    return Fail(ErrorCode::kInvalidArgument, "window: end {} is not after begin {}", request.end_unix_ms,
                request.begin_unix_ms);
  }
  if (request.baseline_ms < kMinBaselineMs) {
    return Fail(ErrorCode::kInvalidArgument, "baseline: {} ms is shorter than {} ms", request.baseline_ms,
                kMinBaselineMs);
  }
  DiagnosisReport report;
  report.request = request;
  WindowSet set;
  for (const Signal& signal : SignalCatalogue()) {
    FAULTLINE_TRY(ReadSignal(impl_->store, signal, request, &set));
  }
  FAULTLINE_TRY(ReadErrorLogs(impl_->store, request, &set));
  report.series_examined = set.series_examined;

  Evidence evidence;
  evidence.begin_unix_ms = request.begin_unix_ms;
  evidence.end_unix_ms = request.end_unix_ms;
  size_t short_baselines = 0;
  for (const SeriesWindow& window : set.windows) {
    short_baselines += window.baseline.empty() ? 1 : 0;
    for (const auto& detector : impl_->detectors) {
      for (Anomaly& anomaly : detector->Detect(window)) evidence.anomalies.push_back(std::move(anomaly));
    }
  }
  FAULTLINE_ASSIGN(evidence.events, impl_->store->Events(request.begin_unix_ms * kNsPerMs,
                                                         request.end_unix_ms * kNsPerMs, kMaxEvents));
  if (!request.node.empty()) {
    std::erase_if(evidence.events, [&](const StoredEvent& event) { return event.node != request.node; });
  }
  AddEventAnomalies(evidence.events, &evidence.anomalies);
  report.suspects = impl_->ranker->Rank(evidence);
  AddPlots(set.windows, &report.suspects);

  std::stable_sort(evidence.anomalies.begin(), evidence.anomalies.end(),
                   [](const Anomaly& a, const Anomaly& b) { return a.score > b.score; });
  if (evidence.anomalies.size() > kMaxAnomalies) evidence.anomalies.resize(kMaxAnomalies);
  report.anomalies = std::move(evidence.anomalies);
  report.events = std::move(evidence.events);
  if (set.windows.empty()) {
    report.caveats.push_back("no series of the requested node or container has samples in this window");
  } else if (short_baselines * 2 > set.windows.size()) {
    report.caveats.push_back(fmt::format(
        "{} of {} series have no samples in the baseline: normal is not known for them", short_baselines,
        set.windows.size()));
  }
  report.conclusion = Conclude(report);
  if (impl_->ground_truth != nullptr) {
    report.grades = GradeAll(report, impl_->ground_truth->Between(request.begin_unix_ms * kNsPerMs,
                                                                  request.end_unix_ms * kNsPerMs));
  }
  report.elapsed_ns = impl_->clock->SteadyNs() - started;
  return report;
}

}  // namespace faultline
