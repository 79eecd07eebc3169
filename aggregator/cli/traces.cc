// traces: a list of those that match TraceQL, or one trace as a tree with its times.
#include <algorithm>
#include <map>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/table.h"
#include "aggregator/cli/time_option.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string query, start = "1h", end = "now", min_duration;
  int limit = 20;
};

bool IsTraceId(const std::string& text) {
  return text.size() >= 16 && text.size() <= 32 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

std::string Milliseconds(int64_t microseconds) { return fmt::format("{:.3f}ms", static_cast<double>(microseconds) / 1000); }

struct Span {
  const json::value* json;
  int64_t start_us;
};

void PrintTree(const json::value& trace, const std::multimap<std::string, Span>& children, const std::string& parent,
               int64_t begin_us, int depth) {
  constexpr int kMaxDepth = 200;
  const auto [first, last] = children.equal_range(parent);
  std::vector<Span> spans;
  for (auto at = first; at != last; ++at) spans.push_back(at->second);
  std::ranges::stable_sort(spans, {}, &Span::start_us);
  for (const Span& span : spans) {
    const std::string process = TextAt(*span.json, "processID");
    std::string error;
    for (const json::value& tag : ArrayAt(*span.json, "tags")) {
      const std::string key = TextAt(tag, "key");
      if (key == "error") error += " ERROR";
      if (key == "otel.status_description") error += " " + TextAt(tag, "value");
    }
    std::printf("%10s %10s  %*s%s: %s%s\n", Milliseconds(span.start_us - begin_us).c_str(),
                Milliseconds(static_cast<int64_t>(NumberAt(*span.json, "duration"))).c_str(), depth * 2, "",
                TextAt(trace, "processes." + process + ".serviceName").c_str(), TextAt(*span.json, "operationName").c_str(),
                error.c_str());
    if (depth < kMaxDepth) PrintTree(trace, children, TextAt(*span.json, "spanID"), begin_us, depth + 1);
  }
}

Result<void> OneTrace(const Session& session, const std::string& id) {
  FAULTLINE_ASSIGN(const json::value reply, session.Client().Json("GET", "/api/traces/" + id));
  if (session.structured()) {
    session.Print(At(reply, "data"));
    return {};
  }
  for (const json::value& trace : ArrayAt(reply, "data")) {
    std::map<std::string, bool> known;
    for (const json::value& span : ArrayAt(trace, "spans")) known[TextAt(span, "spanID")] = true;
    std::multimap<std::string, Span> children;  // by parent; of none, or of one that was not stored: ""
    int64_t begin_us = INT64_MAX;
    for (const json::value& span : ArrayAt(trace, "spans")) {
      const int64_t start_us = static_cast<int64_t>(NumberAt(span, "startTime"));
      begin_us = std::min(begin_us, start_us);
      std::string parent;
      for (const json::value& reference : ArrayAt(span, "references")) {
        if (TextAt(reference, "refType") == "CHILD_OF") parent = TextAt(reference, "spanID");
      }
      children.emplace(known.contains(parent) ? parent : "", Span{&span, start_us});
    }
    std::printf("trace %s, %zu spans, from %s\n", TextAt(trace, "traceID").c_str(), known.size(),
                FormatTime(begin_us * 1000).c_str());
    PrintTree(trace, children, "", begin_us, 0);
  }
  return {};
}

Result<void> Traces(const Session& session, const Options& options) {
  if (IsTraceId(options.query)) return OneTrace(session, options.query);
  FAULTLINE_ASSIGN(const int64_t start, ParseMoment("--start", options.start));
  FAULTLINE_ASSIGN(const int64_t end, ParseMoment("--end", options.end));
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("GET", "/api/search",
                                         {{"q", options.query},
                                          {"start", std::to_string(start / kNsPerSecond)},
                                          {"end", std::to_string(end / kNsPerSecond + 1)},
                                          {"limit", std::to_string(options.limit)},
                                          {"minDuration", options.min_duration}}));
  if (session.structured()) {
    session.Print(reply);
    return {};
  }
  Table table({"TRACE", "START", "DURATION", "SERVICE", "NAME", "MATCHED"});
  for (const json::value& trace : ArrayAt(reply, "traces")) {
    table.Add({TextAt(trace, "traceID"),
               FormatTime(ParseInt(TextAt(trace, "startTimeUnixNano")).value_or(0)).substr(0, 23),
               TextAt(trace, "durationMs") + "ms", TextAt(trace, "rootServiceName"), TextAt(trace, "rootTraceName"),
               TextAt(trace, "spanSet.matched")});
  }
  std::fputs(table.Render().c_str(), stdout);
  return {};
}

}  // namespace

void SetUpTraces(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("query", options->query, R"(a trace id, or TraceQL: { resource.service.name = "x" && status = error } (default: all))");
  app.add_option("--start", options->start, "since when: 15m, or a time (default 1h)");
  app.add_option("--end", options->end, "until when (default now)");
  app.add_option("--min-duration", options->min_duration, "only traces at least as long: 200ms");
  app.add_option("--limit", options->limit, "at most so many traces, the newest (default 20)");
  Run(app, [options, &session] { return Traces(session, *options); });
}

}  // namespace faultline::cli
