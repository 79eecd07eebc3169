#include "aggregator/query/result_json.h"

#include <fmt/format.h>

#include "aggregator/query/number_text.h"
#include "common/text.h"

namespace faultline::promql {
namespace {

void AppendPair(std::string& out, int64_t time_ms, double value) {
  out += '[';
  AppendTimestamp(out, time_ms);
  out += ",\"";
  AppendSampleValue(out, value);
  out += "\"]";
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  std::string repaired;
  if (!IsValidUtf8(text)) {
    repaired = ReplaceInvalidUtf8(text);
    text = repaired;
  }
  out += '"';
  size_t plain = 0;  // begin of what needs no escape
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out += text.substr(plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += fmt::format("\\u{:04x}", c);
    }
  }
  out += text.substr(plain);
  out += '"';
}

void AppendJsonLabels(std::string& out, const Labels& labels) {
  out += '{';
  bool first = true;
  for (const auto& [name, value] : labels) {
    if (!first) out += ',';
    first = false;
    AppendJsonString(out, name);
    out += ':';
    AppendJsonString(out, value);
  }
  out += '}';
}

void AppendJsonResult(std::string& out, const QueryResult& result) {
  out += fmt::format(R"({{"resultType":"{}","result":)", TypeName(result.type));
  if (result.type == ValueType::kScalar) {
    AppendPair(out, result.time_ms, result.scalar);
  } else if (result.type == ValueType::kString) {
    out += '[';
    AppendTimestamp(out, result.time_ms);
    out += ',';
    AppendJsonString(out, result.text);
    out += ']';
  } else {
    out += '[';
    for (size_t s = 0; s < result.series.size(); ++s) {
      const ResultSeries& series = result.series[s];
      out += s == 0 ? R"({"metric":)" : R"(,{"metric":)";
      AppendJsonLabels(out, series.labels);
      if (result.type == ValueType::kVector) {
        out += R"(,"value":)";
        AppendPair(out, series.samples[0].time_ms, series.samples[0].value);
      } else {
        out += R"(,"values":[)";
        for (size_t i = 0; i < series.samples.size(); ++i) {
          if (i > 0) out += ',';
          AppendPair(out, series.samples[i].time_ms, series.samples[i].value);
        }
        out += ']';
      }
      out += '}';
    }
    out += ']';
  }
  out += '}';
}

}  // namespace faultline::promql
