// logs: lines oldest first, as a file would show them; --follow asks for what is new.
#include <unistd.h>

#include <algorithm>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/time_option.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string query, start = "1h", end = "now";
  int limit = 100;
  bool follow = false, labels = false;
};

struct Line {
  int64_t time_ns = 0;
  std::string labels, text;
};

Result<std::vector<Line>> Fetch(const Session& session, const Options& options, int64_t start, int64_t end,
                                const char* direction) {
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("GET", "/loki/api/v1/query_range",
                                         {{"query", options.query}, {"start", std::to_string(start)},
                                          {"end", std::to_string(end)}, {"limit", std::to_string(options.limit)},
                                          {"direction", direction}}));
  if (session.structured() && !options.follow) session.Print(reply);
  std::vector<Line> lines;
  for (const json::value& stream : ArrayAt(reply, "data.result")) {
    const std::string labels = json::serialize(At(stream, "stream"));
    for (const json::value& entry : ArrayAt(stream, "values")) {
      lines.push_back({ParseInt(entry.as_array().at(0).as_string()).value_or(0), labels,
                       std::string(entry.as_array().at(1).as_string())});
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.time_ns < b.time_ns; });
  return lines;
}

void PrintLines(const std::vector<Line>& lines, bool labels) {
  for (const Line& line : lines) {
    std::printf("%s %s%s%s\n", FormatTime(line.time_ns).substr(0, 23).c_str(), labels ? line.labels.c_str() : "",
                labels ? " " : "", line.text.c_str());
  }
  std::fflush(stdout);
}

Result<void> Logs(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const int64_t start, ParseMoment("--start", options.start));
  FAULTLINE_ASSIGN(const int64_t end, ParseMoment("--end", options.end));
  FAULTLINE_ASSIGN(std::vector<Line> lines, Fetch(session, options, start, end, "backward"));
  if (!session.structured()) PrintLines(lines, options.labels);
  int64_t next = lines.empty() ? end : lines.back().time_ns + 1;
  while (options.follow) {
    sleep(1);
    FAULTLINE_ASSIGN(lines, Fetch(session, options, next, SystemClock().UnixNs() + kNsPerSecond, "forward"));
    PrintLines(lines, options.labels);
    if (!lines.empty()) next = lines.back().time_ns + 1;
  }
  return {};
}

}  // namespace

void SetUpLogs(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("query", options->query, R"(LogQL: {pod="x"} |= "error")")->required();
  app.add_option("--start", options->start, "since when: 15m, or a time (default 1h)");
  app.add_option("--end", options->end, "until when (default now)");
  app.add_option("--limit", options->limit, "at most so many lines, the newest (default 100)");
  app.add_flag("-f,--follow", options->follow, "go on with what comes");
  app.add_flag("--labels", options->labels, "print the labels of each line's stream");
  Run(app, [options, &session] { return Logs(session, *options); });
}

}  // namespace faultline::cli
