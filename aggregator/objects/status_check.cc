// A status check: whether something is as it should be, asked again and again. HTTP as Chaos Mesh
// has it; PromQL and Log ask our own store: `expression` gives values, criteria.value says what
// each must be ("< 5"). No value at all counts as 0 for Log, and as a failure for PromQL.
#include <string>

#include "aggregator/objects/kinds.h"
#include "common/text.h"

namespace faultline::kinds {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

bool IsStatusRange(std::string_view text) {
  const size_t dash = text.find('-');
  const auto low = ParseInt(text.substr(0, dash));
  const auto high = dash == std::string_view::npos ? low : ParseInt(text.substr(dash + 1));
  return low && high && *low >= 100 && *high <= 599 && *low <= *high;
}

void ReadHttp(FieldReader& http) {
  const json::string* url = http.String("url", Need::kRequired);
  if (url != nullptr && !url->starts_with("http://"))
    http.Refuse("url", "expected http://…: checks are made without TLS");
  http.Word("method", {"GET", "POST"}, "GET");
  http.Any("headers");
  http.String("body");
  http.Object(
      "criteria",
      [](FieldReader& criteria) {
        json::value* code = criteria.Any("statusCode", Need::kRequired);
        if (code != nullptr && code->is_int64())
          *code = json::string(std::to_string(code->get_int64()));
        if (code != nullptr && !(code->is_string() && IsStatusRange(code->get_string())))
          criteria.Refuse("statusCode", "expected a code such as 200, or a range such as 200-399");
      },
      Need::kRequired);
}

void ReadCriteria(FieldReader& criteria) {
  const json::string* value = criteria.String("value", Need::kRequired);
  if (value == nullptr) return;
  std::string_view text = *value;
  const std::string_view sign = NextWord(text);
  const bool known =
      sign == "<" || sign == "<=" || sign == ">" || sign == ">=" || sign == "==" || sign == "!=";
  if (!known || !ParseDouble(Trim(text)))
    criteria.Refuse("value", "expected a comparison such as \"< 5\"");
}

}  // namespace

void ReadStatusCheckFields(FieldReader& check) {
  check.String("name");
  check.Word("mode", {"Synchronous", "Continuous"}, "Synchronous");
  const std::string type = check.Word("type", {"HTTP", "PromQL", "Log"}, "HTTP");
  check.Integer("timeoutSeconds", 1, 60);
  check.Integer("intervalSeconds", 1, 3600);
  check.Integer("failureThreshold", 1, 1000);
  check.Integer("successThreshold", 1, 1000);
  check.Integer("recordsHistoryLimit", 1, 1000);
  check.DurationNs("duration");
  if (type == "HTTP") {
    check.Object("http", ReadHttp, Need::kRequired);
    return;
  }
  check.String("expression", Need::kRequired);
  check.Object("criteria", ReadCriteria, Need::kRequired);
}

}  // namespace faultline::kinds
