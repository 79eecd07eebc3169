// report and diagnose: documents that the aggregator renders.
#include <fstream>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/time_option.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

std::string Format(const Session& session, const std::string& asked) {
  if (!asked.empty()) return asked;
  return session.output == "json" ? "json" : session.output == "yaml" ? "yaml" : "text";
}

Result<void> Deliver(const std::string& document, const std::string& file) {
  if (file.empty()) {
    std::fputs(document.c_str(), stdout);
    if (!document.ends_with('\n')) std::puts("");
    return {};
  }
  std::ofstream out(file, std::ios::binary);
  if (!(out << document) || !out.flush()) return FailErrno(errno, "write {}", file);
  std::fprintf(stderr, "%zu bytes written to %s\n", document.size(), file.c_str());
  return {};
}

struct Options {
  std::string what, name, format, file;
  std::string begin = "5m", end = "now", baseline = "2m";
};

Result<void> Report(const Session& session, const Options& options) {
  if (options.what == "node" && options.name.empty()) return Fail(ErrorCode::kInvalidArgument, "report node needs a name");
  const std::string path = options.what == "node" ? "/api/v1/reports/node/" + UrlEncode(options.name) : "/api/v1/reports/cluster";
  FAULTLINE_ASSIGN(const std::string document,
                   session.Client().Call("GET", path, {{"format", Format(session, options.format)}}));
  return Deliver(document, options.file);
}

Result<void> Diagnose(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const int64_t begin, ParseMoment("--begin", options.begin));
  FAULTLINE_ASSIGN(const int64_t end, ParseMoment("--end", options.end));
  json::object request = {{"begin", ApiSeconds(begin)}, {"end", ApiSeconds(end)}, {"baseline", options.baseline}};
  if (options.what == "node") {
    request["node"] = options.name;
  } else if (options.what == "pod") {
    const size_t slash = options.name.find('/');
    request["namespace"] = slash == std::string::npos ? "default" : options.name.substr(0, slash);
    request["pod"] = slash == std::string::npos ? options.name : options.name.substr(slash + 1);
  }
  FAULTLINE_ASSIGN(const std::string document,
                   session.Client().Call("POST", "/api/v1/diagnose", {{"format", Format(session, options.format)}},
                                         json::serialize(request)));
  return Deliver(document, options.file);
}

}  // namespace

void SetUpReport(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("what", options->what, "node or cluster")->required()->check(CLI::IsMember({"node", "cluster"}));
  app.add_option("name", options->name, "name of the node");
  app.add_option("--format", options->format, "text, json, yaml, markdown or html (default: text, or as -o says)");
  app.add_option("--file", options->file, "write it here");
  Run(app, [options, &session] { return Report(session, *options); });
}

void SetUpDiagnose(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("what", options->what, "node, pod or cluster")->required()->check(CLI::IsMember({"node", "pod", "cluster"}));
  app.add_option("name", options->name, "name of the node, or namespace/pod");
  app.add_option("--begin", options->begin, "begin of the window that looks wrong: 5m, or a time (default 5m)");
  app.add_option("--end", options->end, "its end (default now)");
  app.add_option("--baseline", options->baseline, "how much before it counts as normal (default 2m)");
  app.add_option("--format", options->format, "text, json or html (default: text, or as -o says)");
  app.add_option("--file", options->file, "write it here");
  Run(app, [options, &session] { return Diagnose(session, *options); });
}

}  // namespace faultline::cli
