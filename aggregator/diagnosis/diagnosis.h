// What went wrong, where first, and why we think so. Detectors and rankers are pure: windows in, judgements out; only the
// Diagnoser touches the store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/labels/ground_truth.h"
#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"

namespace faultline {

// One series around the window: what it was before (baseline) and in the window.
struct SeriesWindow {
  Labels labels;
  v1::MetricType type = v1::METRIC_TYPE_GAUGE;
  std::string expression;         // PromQL that shows it
  std::vector<Sample> baseline;   // counters already as rates
  std::vector<Sample> window;
};

struct Anomaly {
  Labels labels;                  // whose: node, namespace, pod, container, id
  std::string signal;             // the metric, log template or event type
  std::string expression;         // the query that reproduces it
  int64_t onset_unix_ms = 0;
  double score = 0;               // robust deviations from the baseline
  double before = 0;
  double during = 0;
  std::string direction;          // up, down, new, gone
  std::vector<Sample> plot;       // baseline and window, thinned; filled for the evidence of suspects only
};

class Detector {
 public:
  virtual ~Detector() = default;
  virtual std::vector<Anomaly> Detect(const SeriesWindow& window) const = 0;
};

struct DetectorRow {
  std::string_view name;
  std::string_view doc;
  std::unique_ptr<Detector> (*make)() = nullptr;
};
std::span<const DetectorRow> DetectorCatalogue();

struct Evidence {
  std::vector<Anomaly> anomalies;
  std::vector<StoredEvent> events;
  int64_t begin_unix_ms = 0;
  int64_t end_unix_ms = 0;
};

struct Suspect {
  std::string node;
  std::string name_space;
  std::string pod;
  std::string container;
  std::string cgroup;
  std::string cause;              // cpu_saturation, process_stopped, memory_pressure, io_latency …
  double score = 0;               // 0..1 among the suspects
  int64_t onset_unix_ms = 0;
  std::vector<Anomaly> evidence;  // strongest first
  std::string explanation;        // one sentence
};

class Ranker {
 public:
  virtual ~Ranker() = default;
  virtual std::vector<Suspect> Rank(const Evidence& evidence) const = 0;
};

struct DiagnosisRequest {
  std::string node;               // empty: all
  std::string name_space, pod, container;  // empty: all
  int64_t begin_unix_ms = 0;      // the window that looks wrong
  int64_t end_unix_ms = 0;
  int64_t baseline_ms = 120'000;  // how much before it counts as normal
};

struct DiagnosisReport {
  DiagnosisRequest request;
  std::vector<Suspect> suspects;  // best first; empty: no cause determinable from the data
  std::vector<Anomaly> anomalies; // what changed, strongest first, bounded
  std::vector<StoredEvent> events;
  size_t series_examined = 0;
  int64_t elapsed_ns = 0;
  std::string conclusion;         // one sentence
  std::vector<std::string> caveats;  // missing data, short baseline, clock offsets …
  // Against the truth, where a fault was injected in the window.
  struct Grade {
    FaultLabel label;
    int rank = 0;                 // 1 = first suspect; 0 = not among the suspects
    bool cause_matches = false;
    int64_t onset_error_ms = 0;
  };
  std::vector<Grade> grades;
};

class Diagnoser {
 public:
  Diagnoser(Store* store, GroundTruth* ground_truth, const Clock* clock);
  ~Diagnoser();
  Result<DiagnosisReport> Diagnose(const DiagnosisRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string RenderText(const DiagnosisReport& report);
std::string RenderJson(const DiagnosisReport& report);
std::string RenderHtml(const DiagnosisReport& report);  // one self-contained file

}  // namespace faultline
