#include <fmt/format.h>

#include <algorithm>

#include "aggregator/objects/yaml.h"
#include "aggregator/reports/report.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

// Code points, near enough to columns for what nodes and containers are called.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Padded(const std::string& text, size_t width) {
  return text + std::string(width - std::min(width, Width(text)), ' ');
}

// A life line in letters, oldest first: how a terminal shows what the page draws.
std::string StripText(const std::vector<StripSpan>& strip) {
  constexpr size_t kCells = 28;
  static constexpr std::string_view kSigns[] = {" ", "·", "▪", "█", "?"};
  std::vector<Mood> cells(kCells, Mood::kPlain);
  const auto weight = [](Mood mood) {
    return mood == Mood::kUnknown ? 2
           : mood == Mood::kBad   ? 4
                                  : static_cast<int>(mood) + (mood == Mood::kWarning);
  };
  for (const StripSpan& span : strip) {
    const auto first = static_cast<size_t>(std::clamp(span.begin, 0.0, 1.0) * kCells);
    const auto last = static_cast<size_t>(std::clamp(span.end, 0.0, 1.0) * kCells - 1e-9);
    for (size_t i = first; i <= last && i < kCells; ++i) {
      if (weight(span.mood) > weight(cells[i])) cells[i] = span.mood;
    }
  }
  std::string text = "[";
  for (const Mood mood : cells) text += kSigns[static_cast<size_t>(mood)];
  return text + "]";
}

// One line per cell: what a terminal shows must not move its cursor.
std::string OneLine(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string CellText(const ReportCell& cell) {
  if (!cell.strip.empty()) return StripText(cell.strip);
  return OneLine(cell.note.empty()   ? cell.text
                 : cell.text.empty() ? cell.note
                                     : cell.text + ": " + cell.note);
}

std::string TableText(const ReportTable& table) {
  // The last column, and whatever is long, does not widen the ones before it.
  constexpr size_t kMaxWidth = 60;
  std::vector<size_t> widths;
  for (const std::string& cell : table.header) widths.push_back(Width(cell));
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) {
      widths[c] = std::max(widths[c], std::min(Width(CellText(row[c])), kMaxWidth));
    }
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line = "  ";
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c)
      line += Padded(row[c], widths[c]) + "  ";
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add(table.header);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const ReportCell& cell : row) cells.push_back(CellText(cell));
    add(cells);
  }
  return text;
}

// Markdown and HTML in what came from outside stay what they are: characters.
std::string MarkdownText(std::string text) {
  std::string escaped;
  for (const char c : OneLine(std::move(text))) {
    if (std::string_view("\\|<>[]`*_#").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string MarkdownCell(const ReportCell& cell) {
  if (!cell.strip.empty()) return "`" + StripText(cell.strip) + "`";
  const std::string text = MarkdownText(CellText(cell));
  return cell.mood == Mood::kBad || cell.mood == Mood::kWarning ? "**" + text + "**" : text;
}

std::string MarkdownRow(const std::vector<std::string>& row) {
  std::string line = "|";
  for (const std::string& cell : row) line += " " + cell + " |";
  return line + "\n";
}

// Least, greatest and newest of a curve, with a line of bars: enough to see a step or a spike.
std::string ChartText(const ReportChart& chart) {
  static constexpr std::string_view kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr size_t kCells = 32;
  std::vector<double> cells(kCells, -1);
  const auto span = static_cast<double>(std::max<int64_t>(chart.end_ms - chart.begin_ms, 1));
  for (const auto& [ms, value] : chart.points) {
    const double place = static_cast<double>(ms - chart.begin_ms) / span * kCells;
    const size_t cell = static_cast<size_t>(std::clamp(place, 0.0, kCells - 1.0));
    cells[cell] = std::max(cells[cell], value);
  }
  std::string text;
  for (const double value : cells) {
    const double part = chart.top_value > 0 ? value / chart.top_value : 0;
    text += value < 0 ? std::string_view(" ")
                      : kBars[static_cast<size_t>(std::clamp(part * 8, 0.0, 7.0))];
  }
  return text;
}

}  // namespace

std::string_view MoodName(Mood mood) {
  static constexpr std::string_view kNames[] = {"plain", "good", "warning", "bad", "unknown"};
  return kNames[static_cast<size_t>(mood)];
}

std::string RenderReportText(const Report& report) {
  std::string text = fmt::format("{}\n{}\n{}\n", OneLine(report.title),
                                 std::string(Width(report.title), '='), OneLine(report.verdict));
  if (!report.subtitle.empty()) text += OneLine(report.subtitle) + "\n";
  text += "at " + FormatTime(report.time_unix_ns).substr(0, 23) + "Z\n";
  size_t width = 0;
  for (const ReportTile& tile : report.tiles) width = std::max(width, Width(tile.label));
  if (!report.tiles.empty()) text += "\n";
  for (const ReportTile& tile : report.tiles) {
    const char sign = tile.mood == Mood::kBad       ? '!'
                      : tile.mood == Mood::kWarning ? '*'
                      : tile.mood == Mood::kUnknown ? '?'
                                                    : ' ';
    text += fmt::format("{} {}  {}{}\n", sign, Padded(tile.label, width), OneLine(tile.value),
                        tile.note.empty() ? "" : "  " + OneLine(tile.note));
  }
  for (const ReportSection& section : report.sections) {
    text += fmt::format("\n{}\n{}\n", section.title, std::string(Width(section.title), '-'));
    if (!section.summary.empty()) text += OneLine(section.summary) + "\n";
    for (size_t i = 0; i < section.steps.size(); ++i)
      text += fmt::format("  {}. {}\n", i + 1, CellText(section.steps[i]));
    width = 0;
    for (const auto& [name, value] : section.facts) width = std::max(width, Width(name));
    for (const ReportChart& chart : section.charts) width = std::max(width, Width(chart.title));
    for (const auto& [name, value] : section.facts)
      text += fmt::format("  {}  {}\n", Padded(name, width), OneLine(value));
    for (const ReportChart& chart : section.charts) {
      text +=
          fmt::format("  {}  {}  {}\n", Padded(chart.title, width), ChartText(chart), chart.latest);
    }
    if (!section.table.rows.empty()) text += TableText(section.table);
  }
  return text;
}

std::string RenderReportMarkdown(const Report& report) {
  std::string text = fmt::format("# {}\n\n**{}**\n\n_{}_\n", MarkdownText(report.title),
                                 MarkdownText(report.verdict), FormatTime(report.time_unix_ns));
  if (!report.tiles.empty()) text += "\n| | | |\n| --- | --- | --- |\n";
  for (const ReportTile& tile : report.tiles) {
    text += MarkdownRow({MarkdownText(tile.label), "**" + MarkdownText(tile.value) + "**",
                         MarkdownText(tile.note)});
  }
  for (const ReportSection& section : report.sections) {
    text += fmt::format("\n## {}\n\n", MarkdownText(section.title));
    if (!section.summary.empty()) text += MarkdownText(section.summary) + "\n\n";
    for (size_t i = 0; i < section.steps.size(); ++i)
      text += fmt::format("{}. {}\n", i + 1, MarkdownText(CellText(section.steps[i])));
    for (const auto& [name, value] : section.facts)
      text += fmt::format("- {}: {}\n", MarkdownText(name), MarkdownText(value));
    for (const ReportChart& chart : section.charts) {
      text += fmt::format("- {}: {} `{}`\n", MarkdownText(chart.title), MarkdownText(chart.latest),
                          ChartText(chart));
    }
    if (section.table.rows.empty()) continue;
    text += "\n" + MarkdownRow(section.table.header) + "|";
    for (size_t c = 0; c < section.table.header.size(); ++c) text += " --- |";
    text += "\n";
    for (const auto& row : section.table.rows) {
      std::vector<std::string> cells;
      for (const ReportCell& cell : row) cells.push_back(MarkdownCell(cell));
      text += MarkdownRow(cells);
    }
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
      for (size_t c = 0; c < row.size() && c < section.table.header.size(); ++c) {
        if (!row[c].strip.empty()) continue;
        cells[section.table.header[c]] =
            row[c].note.empty() ? row[c].text : row[c].text + ": " + row[c].note;
      }
      rows.push_back(std::move(cells));
    }
    json::object object = {{"title", section.title},
                           {"summary", section.summary},
                           {"mood", MoodName(section.mood)},
                           {"facts", std::move(facts)},
                           {"rows", std::move(rows)}};
    json::array steps, charts;
    for (const ReportCell& step : section.steps) steps.emplace_back(CellText(step));
    for (const ReportChart& chart : section.charts) {
      charts.push_back(
          {{"title", chart.title}, {"latest", chart.latest}, {"query", chart.expression}});
    }
    if (!steps.empty()) object["steps"] = std::move(steps);
    if (!charts.empty()) object["charts"] = std::move(charts);
    sections.push_back(std::move(object));
  }
  json::object tiles;
  for (const ReportTile& tile : report.tiles) tiles[tile.label] = tile.value;
  json::object object = {{"title", report.title},
                         {"verdict", report.verdict},
                         {"mood", MoodName(report.mood)},
                         {"time", FormatTime(report.time_unix_ns)},
                         {"summary", std::move(tiles)}};
  for (const auto& [name, value] : report.machine) object[name] = value;
  object["sections"] = std::move(sections);
  return object;
}

Result<std::string> RenderReport(const Report& report, std::string_view format) {
  if (format == "text") return RenderReportText(report);
  if (format == "markdown") return RenderReportMarkdown(report);
  if (format == "html") return RenderReportHtml(report);
  if (format == "json") return json::serialize(ReportJson(report)) + "\n";
  if (format == "yaml") return WriteYaml(ReportJson(report));
  return Fail(ErrorCode::kInvalidArgument, "format: '{}' is not text, markdown, html, json or yaml",
              format);
}

std::string_view ReportContentType(std::string_view format) {
  if (format == "html") return "text/html; charset=utf-8";
  if (format == "json") return "application/json";
  if (format == "yaml") return "application/yaml";
  if (format == "markdown") return "text/markdown; charset=utf-8";
  return "text/plain; charset=utf-8";
}

}  // namespace faultline
