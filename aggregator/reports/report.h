// A report as a document: tiles, sections of facts, tables, charts and sentences. Who makes one
// says what is in it; how it looks as text, Markdown, HTML, JSON or YAML is decided once, in the
// render files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

enum class Mood { kPlain, kGood, kWarning, kBad, kUnknown };
std::string_view MoodName(Mood mood);

// A stretch of a strip, in parts of its whole length (0 … 1).
struct StripSpan {
  double begin = 0;
  double end = 0;
  Mood mood = Mood::kPlain;
  std::string title;
};

struct ReportCell {
  ReportCell() = default;
  ReportCell(const char* the_text) : text(the_text) {}  // NOLINT(google-explicit-constructor)
  ReportCell(std::string the_text)
      : text(std::move(the_text)) {}                         // NOLINT(google-explicit-constructor)
  ReportCell(std::string_view the_text) : text(the_text) {}  // NOLINT(google-explicit-constructor)

  std::string text;
  std::string note;              // said more quietly, below
  Mood mood = Mood::kPlain;      // not plain: shown as a badge
  std::string link;              // evidence: a path of the API, or #id of a section
  std::vector<StripSpan> strip;  // a life line instead of text
};

struct ReportTable {
  std::vector<std::string> header;
  std::vector<std::vector<ReportCell>> rows;
};

// One curve with the stretches in which faults were in force.
struct ReportChart {
  std::string title;
  std::string latest;  // the newest value, for people
  std::string top;     // what the upper edge stands for
  double top_value = 0;
  int64_t begin_ms = 0;
  int64_t end_ms = 0;
  std::vector<std::pair<int64_t, double>> points;
  int64_t step_ms = 0;  // a gap longer than two of these breaks the curve
  std::vector<StripSpan> bands;
  std::string expression;  // what was asked, so that anybody can ask again
  std::string link;
};

struct ReportSection {
  std::string title;
  std::string summary;  // one sentence
  Mood mood = Mood::kPlain;
  std::vector<std::pair<std::string, std::string>> facts;
  ReportTable table;
  std::vector<ReportChart> charts;
  std::vector<ReportCell> steps;  // what to do, in this order
  bool folded = false;            // for those who ask
  std::string id;                 // for links; made of the title when empty
};

struct ReportTile {
  std::string label;
  std::string value;
  std::string note;
  Mood mood = Mood::kPlain;
  std::string link;
};

struct Report {
  std::string title;
  std::string verdict;  // one sentence, what matters most
  Mood mood = Mood::kPlain;
  int64_t time_unix_ns = 0;
  std::vector<ReportSection> sections;
  std::vector<ReportTile> tiles;
  std::string subtitle;
  std::string origin;           // http://host:port for links out of the page; empty: no links
  boost::json::object machine;  // what programs want typed: joins the JSON and YAML
};

// format: text, markdown, html, json, yaml. kInvalidArgument names the formats.
Result<std::string> RenderReport(const Report& report, std::string_view format);
std::string_view ReportContentType(std::string_view format);

std::string RenderReportText(const Report& report);
std::string RenderReportMarkdown(const Report& report);
std::string RenderReportHtml(const Report& report);  // one self-contained file, no scripts
boost::json::object ReportJson(const Report& report);

}  // namespace faultline
