// /federate: the newest sample of each matching series in Prometheus' text format, as another Prometheus scrapes it.
#include <algorithm>

#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

constexpr size_t kMaxSeries = 1'000'000;

void AppendSample(std::string& text, const Labels& labels, const Sample& sample) {
  text += LabelValue(labels, "__name__");
  char separator = '{';
  for (const auto& [name, value] : labels) {
    if (name == "__name__") continue;
    text += separator + name + "=\"";
    for (const char c : value) {
      if (c == '\n') {
        text += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
    separator = ',';
  }
  if (separator == ',') text += '}';
  text += fmt::format(" {} {}\n", FormatDouble(sample.value), sample.time_ms);
}

}  // namespace

Result<Reply> Federate(const Request& request, ApiContext& context) {
  const int64_t now_ms = context.clock->UnixNs() / kNsPerMs;
  const auto source = SourceOf(context);
  std::vector<std::pair<Labels, Sample>> found;
  for (const std::string_view text : request.Parameters("match[]")) {
    const auto matchers = promql::ParseSelector(text);
    if (!matchers) return Failure(400, "bad_data", matchers.error().message);
    FAULTLINE_ASSIGN(const std::vector<SeriesId> ids, source->Select(*matchers, now_ms - context.lookback_ms, now_ms));
    if (found.size() + ids.size() > kMaxSeries)
      return Fail(ErrorCode::kResourceExhausted, "more than {} series match", kMaxSeries);
    for (const SeriesId id : ids) {
      if (request.deadline_steady_ns != 0 && context.clock->SteadyNs() > request.deadline_steady_ns)
        return Fail(ErrorCode::kTimeout, "federation timed out");
      FAULTLINE_ASSIGN(const std::vector<Sample> samples, source->Fetch(id, now_ms - context.lookback_ms, now_ms));
      if (samples.empty() || IsStale(samples.back().value)) continue;
      FAULTLINE_ASSIGN(Labels labels, source->LabelsOf(id));
      if (LabelValue(labels, "__name__").empty()) continue;
      found.emplace_back(std::move(labels), samples.back());
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    const std::string_view left = LabelValue(a.first, "__name__"), right = LabelValue(b.first, "__name__");
    return left != right ? left < right : a.first < b.first;
  });
  Reply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  for (size_t i = 0; i < found.size(); ++i) {
    if (i > 0 && found[i].first == found[i - 1].first) continue;  // two selectors matched it
    const std::string_view name = LabelValue(found[i].first, "__name__");
    if (i == 0 || LabelValue(found[i - 1].first, "__name__") != name) reply.body += fmt::format("# TYPE {} untyped\n", name);
    AppendSample(reply.body, found[i].first, found[i].second);
  }
  return reply;
}

}  // namespace faultline::routes
