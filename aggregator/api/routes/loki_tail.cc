// Loki's tail: lines as they come, over a WebSocket (Grafana, logcli) or as lines of JSON for who asks plainly. And the
// small answers that Grafana's log pages ask: statistics of an index, names of levels, health.
#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/log_patterns.h"
#include "aggregator/query/logql.h"
#include "aggregator/query/result_json.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

constexpr size_t kMaxLinesPerPiece = 5'000;
constexpr int64_t kDefaultBackNs = 3600 * kNsPerSecond;
constexpr int64_t kLateNs = 10 * kNsPerSecond;  // lines may come so long after their time
constexpr int64_t kMaxDelayNs = 5 * kNsPerSecond;
constexpr auto kPollTime = std::chrono::milliseconds(250);

class TailStream final : public BodyStream {
 public:
  TailStream(LogQlQuery query, Store* store, const Clock* clock, QueryOptions options, int64_t begin_ns, int64_t delay_ns,
             size_t first_lines)
      : query_(std::move(query)),
        store_(store),
        clock_(clock),
        options_(std::move(options)),
        begin_ns_(begin_ns),
        delay_ns_(delay_ns),
        first_lines_(first_lines) {
    options_.deadline_steady_ns = 0;
  }

  // What is there already: of too much, the newest. Then, each time, the last seconds again, without what was sent.
  std::optional<std::string> Next() override {
    if (!first_) std::this_thread::sleep_for(kPollTime);
    const int64_t end_ns = clock_->UnixNs() - delay_ns_;
    const int64_t begin_ns = first_ ? begin_ns_ : std::max(begin_ns_, end_ns - kLateNs);
    auto streams = query_.Lines(*store_, begin_ns, end_ns, first_ ? first_lines_ : kMaxLinesPerPiece, true, options_);
    if (!streams) return std::nullopt;
    first_ = false;
    for (LogStreamResult& stream : *streams) {
      const std::string labels = FormatLabels(stream.labels);
      std::erase_if(stream.lines, [&](const std::pair<int64_t, std::string>& line) {
        if (line.first < end_ns - kLateNs) return false;
        return !sent_.emplace(line.first, std::hash<std::string>()(labels + line.second)).second;
      });
    }
    sent_.erase(sent_.begin(), sent_.lower_bound({end_ns - 2 * kLateNs, 0}));
    std::erase_if(*streams, [](const LogStreamResult& stream) { return stream.lines.empty(); });
    return streams->empty() ? std::string() : Piece(*streams);
  }

 private:
  static std::string Piece(const std::vector<LogStreamResult>& streams) {
    std::string json = R"({"streams":[)";
    for (size_t s = 0; s < streams.size(); ++s) {
      if (s > 0) json += ',';
      json += R"({"stream":)";
      promql::AppendJsonLabels(json, streams[s].labels);
      json += R"(,"values":[)";
      auto lines = streams[s].lines;
      std::ranges::stable_sort(lines, {}, &std::pair<int64_t, std::string>::first);
      for (size_t i = 0; i < lines.size(); ++i) {
        json += fmt::format(R"({}["{}",)", i > 0 ? "," : "", lines[i].first);
        promql::AppendJsonString(json, lines[i].second);
        json += ']';
      }
      json += "]}";
    }
    return json + "]}\n";
  }

  const LogQlQuery query_;
  Store* const store_;
  const Clock* const clock_;
  QueryOptions options_;
  const int64_t begin_ns_;
  const int64_t delay_ns_;
  const size_t first_lines_;
  bool first_ = true;
  std::set<std::pair<int64_t, size_t>> sent_;  // time and hash
};

}  // namespace

Result<Reply> LokiTail(const Request& request, ApiContext& context) {
  auto query = LogQlQuery::Parse(request.Parameter("query"));
  if (!query) return Failure(400, "bad_data", query.error().message);
  if (!query->is_log_query()) return Failure(400, "bad_data", "only a log query can be followed");
  int64_t begin_ns = context.clock->UnixNs() - kDefaultBackNs;
  if (const std::string_view start = request.Parameter("start"); !start.empty()) {
    const auto time_ns = ParseInt(start);
    begin_ns = time_ns ? *time_ns : ParseTime(start).value_or(begin_ns);
  }
  const auto delay_s = ParseUint(request.Parameter("delay_for")).value_or(0);
  const auto limit = ParseUint(request.Parameter("limit")).value_or(100);
  Reply reply;
  reply.content_type = "application/x-ndjson";
  reply.web_socket = true;
  reply.stream = std::make_unique<TailStream>(
      std::move(*query), context.store, context.clock, OptionsOf(request, context), begin_ns,
      std::min<int64_t>(static_cast<int64_t>(std::min<uint64_t>(delay_s, 5)) * kNsPerSecond, kMaxDelayNs),
      std::clamp<uint64_t>(limit, 1, kMaxLinesPerPiece));
  return reply;
}

// Groups of similar lines with their counts over time, of the newest lines that match.
Result<Reply> LokiPatterns(const Request& request, ApiContext& context) {
  constexpr size_t kMaxLines = 200'000;
  constexpr size_t kMaxPatterns = 300;
  const auto query = LogQlQuery::Parse(request.Parameter("query"));
  if (!query) return Failure(400, "bad_data", query.error().message);
  if (!query->is_log_query()) return Failure(400, "bad_data", "patterns are of a log query");
  const auto time = [&](std::string_view name, int64_t fallback) {
    const std::string_view text = request.Parameter(name);
    if (text.empty()) return fallback;
    if (const auto ns = ParseInt(text); ns && *ns > 100'000'000'000) return *ns;
    const auto ms = ParseQueryTime(text);
    return ms ? *ms * kNsPerMs : fallback;
  };
  const int64_t end_ns = time("end", context.clock->UnixNs());
  const int64_t begin_ns = time("start", end_ns - kDefaultBackNs);
  int64_t step_s = std::max<int64_t>((end_ns - begin_ns) / kNsPerSecond / 100, 10);
  if (const auto step = ParseQueryDuration(request.Parameter("step")); step && *step >= 1000) step_s = *step / 1000;
  QueryOptions options = OptionsOf(request, context);
  const auto streams = query->Lines(*context.store, begin_ns, end_ns, kMaxLines, true, options);
  if (!streams) return EvaluationFailure(streams.error());
  LogPatterns patterns(step_s);
  for (const LogStreamResult& stream : *streams) {
    for (const auto& [time_ns, line] : stream.lines) patterns.Add(time_ns / kNsPerSecond, line);
  }
  std::string json = "[";
  size_t listed = 0;
  for (const LogPattern& pattern : patterns.Sorted()) {
    if (listed++ == kMaxPatterns) break;
    json += json.size() > 1 ? R"(,{"pattern":)" : R"({"pattern":)";
    promql::AppendJsonString(json, pattern.Text());
    json += R"(,"samples":[)";
    for (const auto& [at_s, count] : pattern.counts) json += fmt::format("{}[{},{}]", json.back() == '[' ? "" : ",", at_s, count);
    json += "]}";
  }
  return Success(json + "]");
}

Result<Reply> LokiBuildInfo(const Request&, ApiContext&) {
  Reply reply;
  reply.body = R"({"version":"2.9.0","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":""})";
  return reply;
}

// What a query would read: streams are exact, the rest is as much as is known without reading.
Result<Reply> LokiIndexStats(const Request& request, ApiContext& context) {
  const auto matchers = LogQlQuery::ParseSelector(request.Parameter("query"));
  if (!matchers) return Failure(400, "bad_data", matchers.error().message);
  const int64_t now_ns = context.clock->UnixNs();
  const int64_t begin_ns = ParseInt(request.Parameter("start")).value_or(now_ns - kDefaultBackNs);
  const int64_t end_ns = ParseInt(request.Parameter("end")).value_or(now_ns);
  FAULTLINE_ASSIGN(const auto streams, context.store->LogStreams(*matchers, begin_ns, end_ns));
  Reply reply;
  reply.body = fmt::format(R"({{"streams":{},"chunks":{},"entries":0,"bytes":0}})", streams.size(), streams.size());
  return reply;
}

Result<Reply> LokiDetectedLabels(const Request& request, ApiContext& context) {
  const std::string_view text = request.Parameter("query");
  std::vector<LabelMatcher> matchers;
  if (!text.empty()) {
    auto parsed = LogQlQuery::ParseSelector(text);
    if (!parsed) return Failure(400, "bad_data", parsed.error().message);
    matchers = std::move(*parsed);
  }
  const int64_t now_ns = context.clock->UnixNs();
  const int64_t begin_ns = ParseInt(request.Parameter("start")).value_or(now_ns - kDefaultBackNs);
  FAULTLINE_ASSIGN(const auto streams, context.store->LogStreams(matchers, begin_ns, now_ns));
  std::map<std::string, std::set<std::string>> values;
  for (const Labels& labels : streams) {
    for (const auto& [name, value] : labels) values[name].insert(value);
  }
  Reply reply;
  reply.body = R"({"detectedLabels":[)";
  for (const auto& [name, set] : values) {
    if (reply.body.back() == '}') reply.body += ',';
    reply.body += R"({"label":)";
    promql::AppendJsonString(reply.body, name);
    reply.body += fmt::format(R"(,"cardinality":{}}})", set.size());
  }
  reply.body += "]}";
  return reply;
}

}  // namespace faultline::routes
