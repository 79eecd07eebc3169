#include <fmt/format.h>

#include <algorithm>

#include "aggregator/objects/yaml.h"
#include "aggregator/reports/report.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

std::string_view MoodName(Mood mood) {
  switch (mood) {
    case Mood::kPlain: return "plain";
    case Mood::kGood: return "good";
    case Mood::kWarning: return "warning";
    case Mood::kBad: return "bad";
  }
  return "plain";
}

// Code points, near enough to columns for what nodes and containers are called.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Padded(const std::string& text, size_t width) { return text + std::string(width - std::min(width, Width(text)), ' '); }

std::string TableText(const ReportTable& table) {
  std::vector<size_t> widths;
  for (const std::string& cell : table.header) widths.push_back(Width(cell));
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) widths[c] = std::max(widths[c], Width(row[c]));
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line = "  ";
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) line += Padded(row[c], widths[c]) + "  ";
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add(table.header);
  for (const auto& row : table.rows) add(row);
  return text;
}

std::string MarkdownCell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  std::ranges::replace(text, '\n', ' ');
  return text;
}

std::string MarkdownRow(const std::vector<std::string>& row) {
  std::string line = "|";
  for (const std::string& cell : row) line += " " + MarkdownCell(cell) + " |";
  return line + "\n";
}

}  // namespace

std::string RenderReportText(const Report& report) {
  std::string text = fmt::format("{}\n{}\n{}\n", report.title, std::string(Width(report.title), '='), report.verdict);
  text += "at " + FormatTime(report.time_unix_ns).substr(0, 23) + "Z\n";
  for (const ReportSection& section : report.sections) {
    text += fmt::format("\n{}\n{}\n", section.title, std::string(Width(section.title), '-'));
    if (!section.summary.empty()) text += section.summary + "\n";
    size_t width = 0;
    for (const auto& [name, value] : section.facts) width = std::max(width, Width(name));
    for (const auto& [name, value] : section.facts) text += fmt::format("  {}  {}\n", Padded(name, width), value);
    if (!section.table.rows.empty()) text += TableText(section.table);
  }
  return text;
}

std::string RenderReportMarkdown(const Report& report) {
  std::string text = fmt::format("# {}\n\n**{}**\n\n_{}_\n", report.title, report.verdict, FormatTime(report.time_unix_ns));
  for (const ReportSection& section : report.sections) {
    text += fmt::format("\n## {}\n\n", section.title);
    if (!section.summary.empty()) text += section.summary + "\n\n";
    for (const auto& [name, value] : section.facts) text += fmt::format("- {}: {}\n", name, value);
    if (section.table.rows.empty()) continue;
    text += "\n" + MarkdownRow(section.table.header) + "|";
    for (size_t c = 0; c < section.table.header.size(); ++c) text += " --- |";
    text += "\n";
    for (const auto& row : section.table.rows) text += MarkdownRow(row);
  }
  return text;
}

json::object ReportJson(const Report& report) {
  json::array sections;
  for (const ReportSection& section : report.sections) {
    json::object facts;
    for (const auto& [name, value] : section.facts) facts[name] = value;
    json::array rows;
    for (const auto& row : section.table.rows) {
      json::object cells;
      for (size_t c = 0; c < row.size() && c < section.table.header.size(); ++c) cells[section.table.header[c]] = row[c];
      rows.push_back(std::move(cells));
    }
    sections.push_back({{"title", section.title},
                        {"summary", section.summary},
                        {"mood", MoodName(section.mood)},
                        {"facts", std::move(facts)},
                        {"rows", std::move(rows)}});
  }
  return {{"title", report.title},
          {"verdict", report.verdict},
          {"mood", MoodName(report.mood)},
          {"time", FormatTime(report.time_unix_ns)},
          {"sections", std::move(sections)}};
}

Result<std::string> RenderReport(const Report& report, std::string_view format) {
  if (format == "text") return RenderReportText(report);
  if (format == "markdown") return RenderReportMarkdown(report);
  if (format == "html") return RenderReportHtml(report);
  if (format == "json") return json::serialize(ReportJson(report)) + "\n";
  if (format == "yaml") return WriteYaml(ReportJson(report));
  return Fail(ErrorCode::kInvalidArgument, "format: '{}' is not text, markdown, html, json or yaml", format);
}

std::string_view ReportContentType(std::string_view format) {
  if (format == "html") return "text/html; charset=utf-8";
  if (format == "json") return "application/json";
  if (format == "yaml") return "application/yaml";
  if (format == "markdown") return "text/markdown; charset=utf-8";
  return "text/plain; charset=utf-8";
}

}  // namespace faultline
