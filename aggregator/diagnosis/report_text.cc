// For a terminal: the answer first, then why, then what else changed.

#include <fmt/format.h>

#include <algorithm>

#include "aggregator/diagnosis/diagnosis.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxSuspects = 5;
constexpr size_t kMaxAnomalies = 10;

std::string TimeOfDay(int64_t unix_ms) { return FormatTime(unix_ms * kNsPerMs).substr(11, 12); }

std::string Who(const Suspect& suspect) {
  if (!suspect.pod.empty()) {
    return fmt::format("{}/{}/{}", suspect.name_space, suspect.pod, suspect.container);
  }
  if (!suspect.cgroup.empty()) return suspect.cgroup;
  return suspect.container.empty() ? "(node)" : suspect.container;
}

std::string Subject(const Labels& labels) {
  for (const std::string_view name : {"pod", "id", "container", "node"}) {
    if (const auto value = LabelValue(labels, name); !value.empty()) return std::string(value);
  }
  return "?";
}

void AppendSuspects(const DiagnosisReport& report, std::string* out) {
  *out += "\nSUSPECTS\n";
  fmt::format_to(std::back_inserter(*out), "  {:<3} {:<6} {:<18} {:<14} {:<13} {}\n", "#", "score", "cause",
                 "node", "since", "who");
  for (size_t i = 0; i < std::min(report.suspects.size(), kMaxSuspects); ++i) {
    const Suspect& suspect = report.suspects[i];
    fmt::format_to(std::back_inserter(*out), "  {:<3} {:<6.2f} {:<18} {:<14} {:<13} {}\n", i + 1, suspect.score,
                   suspect.cause, suspect.node, TimeOfDay(suspect.onset_unix_ms), Who(suspect));
  }
  *out += "\nEVIDENCE for the first suspect (run a query with: faultline query '…')\n";
  for (const Anomaly& anomaly : report.suspects.front().evidence) {
    fmt::format_to(std::back_inserter(*out), "  {:<46} {:>10.4g} -> {:<10.4g} {:<5} since {}  score {:.0f}\n",
                   anomaly.signal, anomaly.before, anomaly.during, anomaly.direction,
                   TimeOfDay(anomaly.onset_unix_ms), anomaly.score);
    fmt::format_to(std::back_inserter(*out), "      {}\n", anomaly.expression);
  }
}

void AppendGrades(const DiagnosisReport& report, std::string* out) {
  if (report.grades.empty()) return;
  *out += "\nAGAINST THE TRUTH\n";
  for (const DiagnosisReport::Grade& grade : report.grades) {
    const std::string target =
        grade.label.target.cgroup().empty() ? grade.label.target.container() : grade.label.target.cgroup();
    fmt::format_to(std::back_inserter(*out), "  {} of {} on {} from {} to {}: ", grade.label.fault, target,
                   grade.label.node, TimeOfDay(grade.label.begin_unix_ns / kNsPerMs),
                   grade.label.end_unix_ns == 0 ? "now" : TimeOfDay(grade.label.end_unix_ns / kNsPerMs));
    if (grade.rank == 0) {
      *out += "not among the suspects\n";
    } else {
      fmt::format_to(std::back_inserter(*out), "suspect number {}, cause {}, onset off by {} ms\n", grade.rank,
                     grade.cause_matches ? "right" : "wrong", grade.onset_error_ms);
    }
  }
}

}  // namespace

std::string RenderText(const DiagnosisReport& report) {
  std::string out = report.conclusion + "\n";
  fmt::format_to(std::back_inserter(out), "window {} .. {} UTC, baseline {} s before it, {} series, {:.0f} ms\n",
                 TimeOfDay(report.request.begin_unix_ms), TimeOfDay(report.request.end_unix_ms),
                 report.request.baseline_ms / 1000, report.series_examined,
                 static_cast<double>(report.elapsed_ns) / 1e6);
  for (const std::string& caveat : report.caveats) out += "note: " + caveat + "\n";
  if (!report.suspects.empty()) AppendSuspects(report, &out);
  if (!report.anomalies.empty()) {
    out += "\nWHAT CHANGED\n";
    for (size_t i = 0; i < std::min(report.anomalies.size(), kMaxAnomalies); ++i) {
      const Anomaly& anomaly = report.anomalies[i];
      fmt::format_to(std::back_inserter(out), "  {} {:<46} {:>10.4g} -> {:<10.4g} {}\n",
                     TimeOfDay(anomaly.onset_unix_ms), anomaly.signal, anomaly.before, anomaly.during,
                     Subject(anomaly.labels));
    }
    if (report.anomalies.size() > kMaxAnomalies) {
      fmt::format_to(std::back_inserter(out), "  and {} more (-o json has all)\n",
                     report.anomalies.size() - kMaxAnomalies);
    }
  }
  AppendGrades(report, &out);
  return out;
}

}  // namespace faultline
