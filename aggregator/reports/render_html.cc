// HTML of a report: one file, no scripts, nothing fetched; readable in light and dark, on a phone
// and on paper. All that nodes, checks and people named is escaped; links lead to paths of the API
// only.
#include <fmt/format.h>

#include <algorithm>

#include "aggregator/reports/html_style.h"
#include "aggregator/reports/report.h"
#include "aggregator/reports/svg.h"
#include "common/text.h"
#include "common/version.h"

namespace faultline {
namespace {

constexpr size_t kLongTable = 12;  // may break over pages

std::string IdOf(const ReportSection& section) {
  std::string id;
  for (const char c : section.id.empty() ? section.title : section.id) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    id += plain ? c : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : '-';
  }
  return id;
}

// #id, or a path of the API behind its origin; anything else is no link.
std::string Href(const std::string& link, const std::string& origin) {
  if (link.starts_with('#')) return HtmlEscaped(link);
  if (link.starts_with('/') && !origin.empty()) return HtmlEscaped(origin + link);
  return {};
}

void AddCellText(const ReportCell& cell, const std::string& origin, std::string& html) {
  const std::string href = Href(cell.link, origin);
  if (!href.empty()) html += fmt::format("<a href=\"{}\">", href);
  if (cell.mood == Mood::kPlain) {
    html += HtmlEscaped(cell.text);
  } else {
    html += fmt::format("<span class=\"badge {}\">{}</span>", MoodClass(cell.mood),
                        HtmlEscaped(cell.text));
  }
  if (!href.empty()) html += "</a>";
  if (!cell.note.empty())
    html += fmt::format("<span class=\"note\">{}</span>", HtmlEscaped(cell.note));
}

void AddTable(const ReportTable& table, const std::string& origin, std::string& html) {
  if (table.rows.empty()) return;
  html += "<table><thead><tr>";
  for (const std::string& cell : table.header)
    html += fmt::format("<th>{}</th>", HtmlEscaped(cell));
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    bool has_main = false;
    for (size_t c = 0; c < row.size(); ++c) {
      const ReportCell& cell = row[c];
      if (!cell.strip.empty()) {
        html += "<td class=\"wide\">";
        AddStripSvg(cell.strip, html);
      } else if (cell.text.empty() && cell.note.empty()) {
        html += "<td>";
      } else {
        // On a phone a row becomes a card: badges in front, the first text as its title, the rest
        // with their names.
        const bool main = !has_main && cell.mood == Mood::kPlain;
        has_main |= main;
        const std::string label = c < table.header.size() ? HtmlEscaped(table.header[c]) : "";
        html += main                        ? "<td class=\"main\">"
                : cell.mood != Mood::kPlain ? "<td class=\"badged\">"
                : label.empty()             ? "<td>"
                                            : fmt::format("<td data-l=\"{}\">", label);
        AddCellText(cell, origin, html);
      }
      html += "</td>";
    }
    html += "</tr>\n";
  }
  html += "</tbody></table>\n";
}

bool HasStrips(const ReportTable& table) {
  return !table.rows.empty() && std::ranges::any_of(table.rows.front(), [](const ReportCell& cell) {
    return !cell.strip.empty();
  });
}

void AddBody(const ReportSection& section, const std::string& origin, std::string& html) {
  if (!section.steps.empty()) {
    html += "<ol class=\"steps\">";
    for (const ReportCell& step : section.steps) {
      html += "<li>";
      AddCellText(step, origin, html);
      html += "</li>";
    }
    html += "</ol>\n";
  }
  if (!section.facts.empty()) {
    html += "<dl>";
    for (const auto& [name, value] : section.facts) {
      html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", HtmlEscaped(name), HtmlEscaped(value));
    }
    html += "</dl>\n";
  }
  if (!section.charts.empty()) {
    html += "<div class=\"charts\">\n";
    for (const ReportChart& chart : section.charts) {
      const std::string href = Href(chart.link, origin);
      const std::string title = HtmlEscaped(chart.title);
      html += fmt::format("<figure><figcaption><span title=\"{}\">{}</span><b>{}</b></figcaption>",
                          HtmlEscaped(chart.expression),
                          href.empty() ? title : fmt::format("<a href=\"{}\">{}</a>", href, title),
                          HtmlEscaped(chart.latest));
      AddChartSvg(chart, html);
      html += "</figure>\n";
    }
    html += "</div>\n";
  }
  if (HasStrips(section.table)) {
    html +=
        "<div class=\"legend\"><span><i class=\"good\"></i>ok</span><span><i "
        "class=\"warning\"></i>warning</span>"
        "<span><i class=\"bad\"></i>problem</span><span><i class=\"unknown\"></i>unknown</span>"
        "<span><i class=\"none\"></i>not run</span></div>";
  }
  AddTable(section.table, origin, html);
}

void AddSection(const ReportSection& section, const std::string& origin, std::string& html) {
  const std::string id = HtmlEscaped(IdOf(section)), title = HtmlEscaped(section.title);
  const std::string lead = section.summary.empty() ? ""
                                                   : fmt::format("<p class=\"lead\">{}</p>",
                                                                 HtmlEscaped(section.summary));
  const std::string mood(MoodClass(section.mood));
  if (section.folded) {
    html += fmt::format("<details class=\"card {}\" id=\"{}\"><summary><h2>{}</h2>{}</summary>\n",
                        mood, id, title, lead);
  } else {
    html += fmt::format("<section class=\"{}{}\" id=\"{}\"><h2>{}</h2>{}\n", mood,
                        section.table.rows.size() > kLongTable ? " long" : "", id, title, lead);
  }
  AddBody(section, origin, html);
  html += section.folded ? "</details>\n" : "</section>\n";
}

void AddTiles(const Report& report, std::string& html) {
  if (report.tiles.empty()) return;
  html += "<ul class=\"tiles\">";
  for (const ReportTile& tile : report.tiles) {
    const std::string href = Href(tile.link, report.origin);
    html += fmt::format(
        "<li class=\"{}\">{}<span>{}</span><strong>{}</strong><small>{}</small>{}</li>\n",
        MoodClass(tile.mood), href.empty() ? "" : fmt::format("<a href=\"{}\">", href),
        HtmlEscaped(tile.label), HtmlEscaped(tile.value), HtmlEscaped(tile.note),
        href.empty() ? "" : "</a>");
  }
  html += "</ul>\n";
}

std::string_view MoodWord(Mood mood) {
  static constexpr std::string_view kWords[] = {"", "Healthy", "Attention", "Problem", "Unknown"};
  return kWords[static_cast<size_t>(mood)];
}

}  // namespace

std::string RenderReportHtml(const Report& report) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{0} · "
      "Faultline</title><style>{1}</style></head>"
      "<body>\n<header class=\"{2}\"><div><div class=\"kicker\"><span>Faultline "
      "report</span><time>{3} UTC</time></div>"
      "<h1>{0}</h1>",
      HtmlEscaped(report.title), kReportStyle, MoodClass(report.mood),
      FormatTime(report.time_unix_ns).substr(0, 19).replace(10, 1, " "));
  const std::string_view word = MoodWord(report.mood);
  html += fmt::format(
      "<p class=\"verdict\">{}{}</p>",
      word.empty() ? "" : fmt::format("<b class=\"badge {}\">{}</b>", MoodClass(report.mood), word),
      HtmlEscaped(report.verdict));
  if (!report.subtitle.empty())
    html += fmt::format("<p class=\"note\">{}</p>", HtmlEscaped(report.subtitle));
  html += "</div></header>\n<main>\n";
  AddTiles(report, html);
  for (const ReportSection& section : report.sections) AddSection(section, report.origin, html);
  html += fmt::format(
      "<footer>Made by Faultline {} · this page is complete: it loads nothing and runs no "
      "script.</footer>\n"
      "</main></body></html>\n",
      HtmlEscaped(Version()));
  return html;
}

}  // namespace faultline
