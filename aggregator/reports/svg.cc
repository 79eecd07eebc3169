#include "aggregator/reports/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/text.h"

namespace faultline {
namespace {

constexpr double kChartWidth = 320;
constexpr double kChartHeight = 64;
constexpr double kStripWidth = 168;

int64_t Rounded(double value) { return static_cast<int64_t>(std::lround(value)); }

// Hour and minute when the chart spans up to two days, else the day.
std::string AxisTime(int64_t ms, int64_t span_ms) {
  const std::string text = FormatTime(ms * 1'000'000);
  return span_ms <= 2 * 86'400'000 ? text.substr(11, 5) : text.substr(5, 5);
}

}  // namespace

std::string HtmlEscaped(std::string_view text) {
  std::string escaped;
  for (const char c : ReplaceInvalidUtf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        // Control characters mean nothing in a page; terminals' colours arrive as such.
        escaped += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return escaped;
}

std::string_view MoodClass(Mood mood) {
  static constexpr std::string_view kClasses[] = {"", "good", "warning", "bad", "unknown"};
  return kClasses[static_cast<size_t>(mood)];
}

void AddStripSvg(const std::vector<StripSpan>& strip, std::string& html) {
  auto out = std::back_inserter(html);
  fmt::format_to(
      out,
      "<svg class=\"strip\" viewBox=\"0 0 {} 10\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-label=\"history\">",
      Rounded(kStripWidth));
  for (const StripSpan& span : strip) {
    const double begin = std::clamp(span.begin, 0.0, 1.0) * kStripWidth;
    const double end = std::clamp(span.end, 0.0, 1.0) * kStripWidth;
    fmt::format_to(out, "<rect class=\"{}\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"10\">",
                   span.mood == Mood::kPlain ? "none" : MoodClass(span.mood), begin,
                   std::max(end - begin, 0.8));
    if (!span.title.empty()) fmt::format_to(out, "<title>{}</title>", HtmlEscaped(span.title));
    html += "</rect>";
  }
  html += "</svg>";
}

void AddChartSvg(const ReportChart& chart, std::string& html) {
  const auto span_ms = static_cast<double>(std::max<int64_t>(chart.end_ms - chart.begin_ms, 1));
  const double top = chart.top_value > 0 ? chart.top_value : 1;
  const auto x = [&](int64_t ms) {
    return std::clamp(static_cast<double>(ms - chart.begin_ms) / span_ms, 0.0, 1.0) * kChartWidth;
  };
  const auto y = [&](double value) {
    return 2 + (1 - std::clamp(value / top, 0.0, 1.0)) * (kChartHeight - 4);
  };
  auto out = std::back_inserter(html);
  fmt::format_to(
      out, "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}, now {}\">",
      Rounded(kChartWidth), Rounded(kChartHeight) + 14, HtmlEscaped(chart.title),
      HtmlEscaped(chart.latest));
  fmt::format_to(out, "<path class=\"grid\" d=\"M0 2H{0}M0 {1}H{0}M0 {2}H{0}\"/>",
                 Rounded(kChartWidth), Rounded(kChartHeight / 2), Rounded(kChartHeight) - 2);
  for (const StripSpan& band : chart.bands) {
    const double begin = std::clamp(band.begin, 0.0, 1.0) * kChartWidth;
    const double width = std::max(std::clamp(band.end, 0.0, 1.0) * kChartWidth - begin, 1.2);
    fmt::format_to(out,
                   "<rect class=\"band\" x=\"{:.1f}\" y=\"2\" width=\"{:.1f}\" "
                   "height=\"{}\"><title>{}</title></rect>",
                   begin, width, Rounded(kChartHeight) - 4, HtmlEscaped(band.title));
  }
  // One path per stretch without gaps; the area below it is the same path closed at the bottom.
  std::string line, area;
  double first_x = 0, last_x = 0;
  int64_t last_ms = INT64_MIN / 2;
  const auto close = [&] {
    if (!area.empty())
      fmt::format_to(std::back_inserter(area), "L{:.1f} {}L{:.1f} {}Z", last_x,
                     Rounded(kChartHeight) - 2, first_x, Rounded(kChartHeight) - 2);
  };
  for (const auto& [ms, value] : chart.points) {
    if (!std::isfinite(value)) continue;
    const bool broken = ms - last_ms > 2 * chart.step_ms;
    if (broken) close();
    last_x = x(ms);
    if (broken) first_x = last_x;
    const std::string point = fmt::format("{}{:.1f} {:.1f}", broken ? 'M' : 'L', last_x, y(value));
    line += point;
    area += point;
    last_ms = ms;
  }
  close();
  fmt::format_to(out, "<path class=\"area\" d=\"{}\"/><path class=\"line\" d=\"{}\"/>", area, line);
  fmt::format_to(
      out,
      "<text x=\"0\" y=\"{0}\">{1}</text><text x=\"{2}\" y=\"{0}\" class=\"end\">{3}</text>"
      "<text x=\"{2}\" y=\"11\" class=\"end\">{4}</text></svg>",
      Rounded(kChartHeight) + 11, AxisTime(chart.begin_ms, chart.end_ms - chart.begin_ms),
      Rounded(kChartWidth), AxisTime(chart.end_ms, chart.end_ms - chart.begin_ms),
      HtmlEscaped(chart.top));
}

}  // namespace faultline
