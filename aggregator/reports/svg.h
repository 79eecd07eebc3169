// Curves and life lines as inline SVG. Colours are classes of the page's style, so that light, dark
// and paper are one.
#pragma once

#include <string>

#include "aggregator/reports/report.h"

namespace faultline {

std::string HtmlEscaped(std::string_view text);
std::string_view MoodClass(Mood mood);
void AddStripSvg(const std::vector<StripSpan>& strip, std::string& html);
void AddChartSvg(const ReportChart& chart, std::string& html);

}  // namespace faultline
