// One file that opens offline and prints well: the answer, the suspects, a curve per witness drawn as inline SVG. Everything that
// came from outside is escaped; there is no script in it.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "aggregator/diagnosis/diagnosis.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int kWidth = 640;
constexpr int kHeight = 120;
constexpr size_t kMaxAnomalies = 50;

constexpr std::string_view kHead = R"(<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Faultline diagnosis</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1c2330;background:#fff}
h1{font-size:1.35rem}h2{font-size:1.05rem;margin-top:1.6rem}table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #dde2ea;overflow-wrap:anywhere}
code{font-size:.8rem;color:#45516a;overflow-wrap:anywhere}.answer{border-left:4px solid #c2410c;background:#fff7ed;padding:.6rem .9rem}
svg{width:100%;height:auto;background:#f7f9fc;border-radius:4px}.muted{color:#5b6780}
@media (prefers-color-scheme:dark){body{background:#12161e;color:#dfe5ef}.answer{background:#2b1a10}svg{background:#1a202b}
td,th{border-color:#2b3342}code,.muted{color:#9aa7bd}}@media print{body{max-width:none}}</style></head><body>
)";

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string TimeOfDay(int64_t unix_ms) { return FormatTime(unix_ms * kNsPerMs).substr(11, 12); }

std::string Plot(const Anomaly& anomaly, const DiagnosisRequest& request) {
  if (anomaly.plot.size() < 2) return {};
  const int64_t begin = anomaly.plot.front().time_ms;
  const int64_t end = std::max(anomaly.plot.back().time_ms, begin + 1);
  double top = 0;
  for (const Sample& sample : anomaly.plot) {
    if (std::isfinite(sample.value)) top = std::max(top, sample.value);
  }
  if (top <= 0) top = 1;
  const auto x = [&](int64_t ms) {
    return static_cast<double>(ms - begin) * kWidth / static_cast<double>(end - begin);
  };
  const double from = std::clamp(x(request.begin_unix_ms), 0.0, double{kWidth});
  std::string svg = fmt::format(
      R"(<svg viewBox="0 0 {} {}" role="img"><rect x="{:.1f}" width="{:.1f}" height="{}" fill="#c2410c" opacity=".08"/>)",
      kWidth, kHeight + 18, from, kWidth - from, kHeight);
  svg += R"(<polyline fill="none" stroke="#2563eb" stroke-width="1.5" points=")";
  for (const Sample& sample : anomaly.plot) {
    if (!std::isfinite(sample.value)) continue;
    fmt::format_to(std::back_inserter(svg), "{:.1f},{:.1f} ", x(sample.time_ms),
                   kHeight - 4 - std::max(0.0, sample.value) / top * (kHeight - 12));
  }
  const double onset = std::clamp(x(anomaly.onset_unix_ms), 0.0, double{kWidth});
  fmt::format_to(std::back_inserter(svg),
                 R"("/><line x1="{0:.1f}" x2="{0:.1f}" y2="{1}" stroke="#c2410c" stroke-dasharray="4 3"/>)", onset,
                 kHeight);
  fmt::format_to(std::back_inserter(svg),
                 R"(<text x="2" y="{0}" font-size="11" fill="#888">{1}</text><text x="{2}" y="{0}" font-size="11" )"
                 R"(text-anchor="end" fill="#888">{3}</text><text x="2" y="12" font-size="11" fill="#888">{4:.4g}</text></svg>)",
                 kHeight + 14, TimeOfDay(begin), kWidth - 2, TimeOfDay(end), top);
  return svg;
}

void AppendSuspects(const DiagnosisReport& report, std::string* out) {
  *out += "<h2>Suspects</h2><table><tr><th>#<th>score<th>cause<th>who<th>node<th>since (UTC)</tr>";
  for (size_t i = 0; i < report.suspects.size(); ++i) {
    const Suspect& s = report.suspects[i];
    const std::string who = s.pod.empty() ? (s.cgroup.empty() ? "the node itself" : s.cgroup)
                                          : fmt::format("{}/{}/{}", s.name_space, s.pod, s.container);
    fmt::format_to(std::back_inserter(*out), "<tr><td>{}<td>{:.2f}<td>{}<td>{}<td>{}<td>{}</tr>", i + 1, s.score,
                   Escape(s.cause), Escape(who), Escape(s.node), TimeOfDay(s.onset_unix_ms));
  }
  *out += "</table><h2>Evidence for the first suspect</h2>";
  for (const Anomaly& anomaly : report.suspects.front().evidence) {
    fmt::format_to(std::back_inserter(*out), "<p><b>{}</b> {:.4g} &rarr; {:.4g} ({}), since {}<br><code>{}</code></p>{}",
                   Escape(anomaly.signal), anomaly.before, anomaly.during, Escape(anomaly.direction),
                   TimeOfDay(anomaly.onset_unix_ms), Escape(anomaly.expression), Plot(anomaly, report.request));
  }
}

void AppendGrades(const DiagnosisReport& report, std::string* out) {
  if (report.grades.empty()) return;
  *out += "<h2>Against the truth</h2><table><tr><th>fault<th>target<th>rank<th>cause<th>onset error</tr>";
  for (const auto& grade : report.grades) {
    const auto& target = grade.label.target;
    fmt::format_to(std::back_inserter(*out), "<tr><td>{}<td>{}<td>{}<td>{}<td>{} ms</tr>", Escape(grade.label.fault),
                   Escape(target.cgroup().empty() ? target.container() : target.cgroup()),
                   grade.rank == 0 ? "not found" : std::to_string(grade.rank),
                   grade.cause_matches ? "right" : "wrong", grade.onset_error_ms);
  }
  *out += "</table>";
}

}  // namespace

std::string RenderHtml(const DiagnosisReport& report) {
  std::string out(kHead);
  fmt::format_to(std::back_inserter(out), "<h1>Diagnosis</h1><p class=\"answer\">{}</p>", Escape(report.conclusion));
  fmt::format_to(std::back_inserter(out),
                 "<p class=\"muted\">window {} to {} UTC, baseline {} s before it; {} series examined in {:.0f} ms</p>",
                 FormatTime(report.request.begin_unix_ms * kNsPerMs).substr(0, 19),
                 TimeOfDay(report.request.end_unix_ms), report.request.baseline_ms / 1000, report.series_examined,
                 static_cast<double>(report.elapsed_ns) / 1e6);
  for (const std::string& caveat : report.caveats) out += "<p class=\"muted\">" + Escape(caveat) + "</p>";
  if (!report.suspects.empty()) AppendSuspects(report, &out);
  AppendGrades(report, &out);
  if (!report.anomalies.empty()) {
    out += "<h2>What changed</h2><table><tr><th>since<th>signal<th>whose<th>before<th>during</tr>";
    for (size_t i = 0; i < std::min(report.anomalies.size(), kMaxAnomalies); ++i) {
      const Anomaly& a = report.anomalies[i];
      fmt::format_to(std::back_inserter(out), "<tr><td>{}<td>{}<td><code>{}</code><td>{:.4g}<td>{:.4g}</tr>",
                     TimeOfDay(a.onset_unix_ms), Escape(a.signal), Escape(FormatLabels(a.labels)), a.before, a.during);
    }
    out += "</table>";
  }
  return out + "</body></html>\n";
}

}  // namespace faultline
