// bundle and completion.
#include <fstream>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "common/clock.h"
#include "common/text.h"
#include "common/version.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

// What a support request needs, as one JSON document; what cannot be had is there with its reason. No secrets: the API
// gives none.
Result<void> Bundle(const Session& session, std::string file) {
  static constexpr const char* kPaths[] = {
      "/api/v1/nodes", "/api/v1/routes", "/api/v1/labels/ground-truth", "/api/v1/reports/cluster?format=json",
      "/apis/faultline.io/v1/experiments", "/apis/faultline.io/v1/policies", "/api/v1/topology"};
  json::object bundle = {{"version", Version()}, {"time", FormatTime(SystemClock().UnixNs())}};
  const ApiClient client = session.Client();
  size_t done = 0;
  for (const char* path : kPaths) {
    if (session.terminal) std::fprintf(stderr, "\r[%zu/%zu] %-50s", ++done, std::size(kPaths) + 1, path);
    auto reply = client.Json("GET", path);
    bundle[path] = reply ? *std::move(reply) : json::value{{"error", reply.error().message}};
  }
  const auto metrics = client.Call("GET", "/metrics");
  bundle["/metrics"] = metrics ? *metrics : metrics.error().message;
  if (session.terminal) std::fprintf(stderr, "\r%-60s\r", "");
  if (file.empty()) file = fmt::format("faultline-bundle-{}.json", SystemClock().UnixNs() / kNsPerSecond);
  std::ofstream out(file);
  if (!(out << json::serialize(bundle) << "\n") || !out.flush()) return FailErrno(errno, "write {}", file);
  std::printf("%s\n", file.c_str());
  return {};
}

Result<void> Completion() {
  std::string words;
  for (const CommandRow& row : CommandCatalogue()) words += fmt::format(" {}", row.name);
  std::printf(
      "# source <(faultline completion)\n"
      "_faultline() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]}\n"
      "  case $COMP_CWORD:${COMP_WORDS[1]} in\n"
      "    1:*) COMPREPLY=($(compgen -W '%s' -- \"$word\")) ;;\n"
      "    2:get|2:describe|2:delete|2:watch) COMPREPLY=($(compgen -W 'experiments policies labels checkrules clusterchecks nodechecks nodes ground-truth' -- \"$word\")) ;;\n"
      "    2:top) COMPREPLY=($(compgen -W 'nodes pods' -- \"$word\")) ;;\n"
      "    2:report|2:diagnose) COMPREPLY=($(compgen -W 'node cluster' -- \"$word\")) ;;\n"
      "    2:check) COMPREPLY=($(compgen -W 'run list conditions history priorities' -- \"$word\")) ;;\n"
      "    2:fault) COMPREPLY=($(compgen -W 'list run status recover' -- \"$word\")) ;;\n"
      "    2:experiment) COMPREPLY=($(compgen -W 'pause resume abort' -- \"$word\")) ;;\n"
      "    2:keys) COMPREPLY=($(compgen -W 'init add remove' -- \"$word\")) ;;\n"
      "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
      "  esac\n"
      "}\n"
      "complete -F _faultline faultline\n",
      words.c_str());
  return {};
}

}  // namespace

void SetUpBundle(CLI::App& app, Session& session) {
  const auto file = std::make_shared<std::string>();
  app.add_option("--file", *file, "write it here (default: faultline-bundle-<time>.json)");
  Run(app, [file, &session] { return Bundle(session, *file); });
}

void SetUpCompletion(CLI::App& app, Session&) { Run(app, Completion); }

}  // namespace faultline::cli
