// A report as a document: sections of facts, tables and sentences. Who makes one says what is in it; how it looks as
// text, Markdown, HTML, JSON or YAML is decided once, in the render files.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

enum class Mood { kPlain, kGood, kWarning, kBad };

struct ReportTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct ReportSection {
  std::string title;
  std::string summary;  // one sentence
  Mood mood = Mood::kPlain;
  std::vector<std::pair<std::string, std::string>> facts;
  ReportTable table;
};

struct Report {
  std::string title;
  std::string verdict;  // one sentence, what matters most
  Mood mood = Mood::kPlain;
  int64_t time_unix_ns = 0;
  std::vector<ReportSection> sections;
};

// format: text, markdown, html, json, yaml. kInvalidArgument names the formats.
Result<std::string> RenderReport(const Report& report, std::string_view format);
std::string_view ReportContentType(std::string_view format);

std::string RenderReportText(const Report& report);
std::string RenderReportMarkdown(const Report& report);
std::string RenderReportHtml(const Report& report);  // one self-contained file, no scripts
boost::json::object ReportJson(const Report& report);

}  // namespace faultline
