// HTML of a report: one file, no scripts, nothing fetched; readable in light and dark, and on paper.
#include <fmt/format.h>

#include "aggregator/reports/report.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ink:#1d2330;--paper:#fff;--soft:#667085;--line:#e4e7ec;--card:#f8f9fb;
--good:#12805c;--warning:#b25e02;--bad:#c4281c}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--paper:#14171d;--soft:#98a2b3;--line:#2b303a;--card:#1b1f27;
--good:#4cc38a;--warning:#f1a10d;--bad:#ff6369}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:2rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.05rem;margin:0 0 .5rem}
.time{color:var(--soft);font-size:.85rem}
.verdict{border-left:4px solid var(--line);padding:.6rem 1rem;margin:1rem 0 1.5rem;background:var(--card);border-radius:4px}
.verdict.good{border-color:var(--good)}.verdict.warning{border-color:var(--warning)}.verdict.bad{border-color:var(--bad)}
section{border:1px solid var(--line);border-radius:8px;padding:1rem 1.25rem;margin:0 0 1rem;overflow-x:auto}
section.good h2::after{content:" ●";color:var(--good)}section.warning h2::after{content:" ●";color:var(--warning)}
section.bad h2::after{content:" ●";color:var(--bad)}
p{margin:.25rem 0 .75rem;color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.25rem;margin:0 0 .75rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.9rem}
th{text-align:left;color:var(--soft);font-weight:600}
th,td{padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
@media print{section{break-inside:avoid}})";

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : ReplaceInvalidUtf8(text)) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string_view MoodClass(Mood mood) {
  static constexpr std::string_view kClasses[] = {"", "good", "warning", "bad"};
  return kClasses[static_cast<size_t>(mood)];
}

void AddSection(const ReportSection& section, std::string& html) {
  html += fmt::format("<section class=\"{}\"><h2>{}</h2>\n", MoodClass(section.mood), Escaped(section.title));
  if (!section.summary.empty()) html += fmt::format("<p>{}</p>\n", Escaped(section.summary));
  if (!section.facts.empty()) {
    html += "<dl>";
    for (const auto& [name, value] : section.facts) {
      html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", Escaped(name), Escaped(value));
    }
    html += "</dl>\n";
  }
  if (!section.table.rows.empty()) {
    html += "<table><thead><tr>";
    for (const std::string& cell : section.table.header) html += fmt::format("<th>{}</th>", Escaped(cell));
    html += "</tr></thead><tbody>\n";
    for (const auto& row : section.table.rows) {
      html += "<tr>";
      for (const std::string& cell : row) html += fmt::format("<td>{}</td>", Escaped(cell));
      html += "</tr>\n";
    }
    html += "</tbody></table>\n";
  }
  html += "</section>\n";
}

}  // namespace

std::string RenderReportHtml(const Report& report) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{0}</title><style>{1}</style></head>"
      "<body>\n<h1>{0}</h1><div class=\"time\">{2}</div>\n<div class=\"verdict {3}\">{4}</div>\n",
      Escaped(report.title), kStyle, FormatTime(report.time_unix_ns), MoodClass(report.mood), Escaped(report.verdict));
  for (const ReportSection& section : report.sections) AddSection(section, html);
  html += "</body></html>\n";
  return html;
}

}  // namespace faultline
