// check: run checks now on some nodes and wait for what they say, list what is known, look into one
// rule's history.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/object_paths.h"
#include "aggregator/cli/table.h"
#include "aggregator/cli/time_option.h"
#include "common/clock.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

const KindPath kClusterChecks = {"ClusterCheck", "clusterchecks"};

struct Options {
  std::vector<std::string> rules, modules, items, nodes;
  std::string timeout = "2m", node, rule, begin = "1d", file;
  bool keep = false, all = false;
};

json::array Strings(const std::vector<std::string>& from) {
  return json::array(from.begin(), from.end());
}

// What a script printed must not move this terminal's cursor.
std::string Plain(std::string text, size_t limit = 160) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  if (text.size() > limit) text = text.substr(0, limit) + "…";
  return text;
}

json::object Manifest(const Options& options, const std::string& name) {
  json::object rules, spec = {{"timeout", options.timeout}, {"stagger", "1ms"}};
  const std::pair<const char*, const std::vector<std::string>*> lists[] = {
      {"rules", &options.rules}, {"modules", &options.modules}, {"items", &options.items}};
  for (const auto& [key, values] : lists) {
    if (!values->empty()) rules[key] = Strings(*values);
  }
  if (!rules.empty()) spec["rules"] = std::move(rules);
  if (!options.nodes.empty()) spec["nodeSelector"] = {{"nodes", Strings(options.nodes)}};
  return {{"apiVersion", "faultline.io/v1"},
          {"kind", "ClusterCheck"},
          {"metadata", {{"name", name}, {"namespace", "default"}}},
          {"spec", std::move(spec)}};
}

// Waits until the run is over; a line of progress on a terminal.
Result<json::value> Await(const Session& session, const std::string& name) {
  while (true) {
    FAULTLINE_ASSIGN(json::value object,
                     session.Client().Json("GET", ObjectPath(kClusterChecks, "default", name)));
    const std::string phase = TextAt(object, "status.phase");
    if (session.terminal) {
      const double desired = NumberAt(object, "status.desired"),
                   active = NumberAt(object, "status.active");
      std::fprintf(stderr, "\r%.0f of %.0f nodes have answered ", desired - active, desired);
    }
    if (phase == "Completed" || phase == "Failed") {
      if (session.terminal) std::fprintf(stderr, "\r%-50s\r", "");
      return object;
    }
    usleep(150'000);
  }
}

// Problems, then what could not tell, then the rest when asked for.
size_t PrintResults(const json::value& object, bool all) {
  Table table({"NODE", "VERDICT", "LEVEL", "MODULE", "ITEM", "MESSAGE"});
  size_t ok = 0, bad = 0, unknown = 0, not_applicable = 0;
  for (const json::value& node : ArrayAt(object, "status.checkResults.results")) {
    const std::string name = TextAt(node, "name"), error = TextAt(node, "error");
    if (!error.empty()) table.Add({name, "failed", "", "", "", Plain(error)});
    const json::value& infos = At(node, "resultInfos");
    for (const auto& [module, items] : infos.is_object() ? infos.get_object() : json::object()) {
      for (const json::value& item : items.is_array() ? items.get_array() : json::array()) {
        const std::string verdict = TextAt(item, "verdict");
        const bool is_bad = TextAt(item, "status") == "true";
        const bool quiet = verdict == "ok" || verdict == "not_applicable" || verdict == "skipped";
        ok += verdict == "ok";
        bad += is_bad;
        not_applicable += verdict == "not_applicable" || verdict == "skipped";
        unknown += !is_bad && !quiet;
        if (quiet && !all) continue;
        table.Add({name, verdict, is_bad ? TextAt(item, "level") : "", std::string(module),
                   Plain(TextAt(item, "item"), 60), Plain(TextAt(item, "message"))});
      }
    }
  }
  if (!table.empty()) std::fputs(table.Render().c_str(), stdout);
  std::printf(
      "%zu ok, %zu with a problem, %zu unknown, %zu not applicable; %s of %s nodes answered\n", ok,
      bad, unknown, not_applicable, TextAt(object, "status.succeeded").c_str(),
      TextAt(object, "status.desired").c_str());
  for (const json::value& outlier : ArrayAt(object, "status.outliers")) {
    std::printf("outlier: %s on %s is %s, usual %s\n",
                Plain(TextAt(outlier, "subject"), 80).c_str(), TextAt(outlier, "node").c_str(),
                Plain(TextAt(outlier, "value"), 80).c_str(),
                Plain(TextAt(outlier, "usual"), 80).c_str());
  }
  return bad;
}

Result<void> RunChecks(const Session& session, const Options& options) {
  const std::string name = fmt::format("run-{}", SystemClock().UnixNs() / 1000);
  const ApiClient client = session.Client();
  FAULTLINE_TRY(client.Json("POST", ObjectPath(kClusterChecks, "default", ""), {},
                            json::serialize(Manifest(options, name))));
  FAULTLINE_ASSIGN(const json::value object, Await(session, name));
  if (!options.keep) (void)client.Call("DELETE", ObjectPath(kClusterChecks, "default", name));
  const std::string error = TextAt(object, "status.error");
  if (!error.empty()) return Fail(ErrorCode::kNotFound, "{}", error);
  size_t bad = 0;
  if (session.structured()) {
    session.Print(At(object, "status"));
    bad = ArrayAt(object, "status.problems").size();
  } else {
    bad = PrintResults(object, options.all);
  }
  if (TextAt(object, "status.phase") == "Failed")
    return Fail(ErrorCode::kUnavailable, "no node answered");
  if (bad > 0)
    return Fail(ErrorCode::kInternal, "{} {} found", bad, bad == 1 ? "problem" : "problems");
  return {};
}

Result<void> ListChecks(const Session& session, const Options& options) {
  const Parameters parameters =
      options.node.empty() ? Parameters() : Parameters{{"node", options.node}};
  FAULTLINE_ASSIGN(const json::value nodes, session.Client().Data("/api/v1/checks", parameters));
  if (session.structured()) return session.Print(nodes), Result<void>();
  Table table({"NODE", "RULE", "VERDICT", "LEVEL", "STARTED", "MESSAGE"});
  for (const json::value& node : nodes.is_array() ? nodes.get_array() : json::array()) {
    for (const json::value& check : ArrayAt(node, "checks")) {
      table.Add({TextAt(node, "node"), TextAt(check, "rule"), TextAt(check, "verdict"),
                 TextAt(check, "level"), TextAt(check, "started").substr(0, 19),
                 Plain(TextAt(check, "message"), 80)});
    }
  }
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

Result<void> ListConditions(const Session& session, const Options& options) {
  const Parameters parameters =
      options.node.empty() ? Parameters() : Parameters{{"node", options.node}};
  FAULTLINE_ASSIGN(const json::value conditions,
                   session.Client().Data("/api/v1/checks/conditions", parameters));
  if (session.structured()) return session.Print(conditions), Result<void>();
  Table table({"NODE", "CONDITION", "STATUS", "LEVEL", "PRIORITY", "SINCE", "MESSAGE"});
  for (const json::value& condition :
       conditions.is_array() ? conditions.get_array() : json::array()) {
    table.Add({TextAt(condition, "node"), TextAt(condition, "type"), TextAt(condition, "status"),
               TextAt(condition, "level"), TextAt(condition, "priority"),
               TextAt(condition, "lastTransitionTime").substr(0, 19),
               Plain(TextAt(condition, "message"), 80)});
  }
  if (table.empty()) return std::puts("no condition holds"), Result<void>();
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

Result<void> History(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const int64_t begin, ParseMoment("--begin", options.begin));
  FAULTLINE_ASSIGN(const json::value results,
                   session.Client().Data("/api/v1/checks/results",
                                         {{"node", options.node},
                                          {"rule", options.rule},
                                          {"start", std::to_string(begin / kNsPerSecond)}}));
  if (session.structured()) return session.Print(results), Result<void>();
  Table table({"STARTED", "RULE", "VERDICT", "SECONDS", "MESSAGE"});
  for (const json::value& result : results.is_array() ? results.get_array() : json::array()) {
    table.Add({TextAt(result, "started").substr(0, 19), TextAt(result, "rule"),
               TextAt(result, "verdict"),
               fmt::format("{:.3f}", NumberAt(result, "durationSeconds")),
               Plain(TextAt(result, "message"))});
  }
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

Result<std::string> ReadWhole(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return FailErrno(errno, "read {}", file);
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

Result<void> Priorities(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const std::string text, ReadWhole(options.file));
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("PUT", "/api/v1/checks/priorities", {}, text));
  std::printf("%s conditions\n", TextAt(reply, "data.conditions").c_str());
  return {};
}

}  // namespace

void SetUpCheck(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* run =
      app.add_subcommand("run", "run checks now and wait; exit 1 when there is a problem");
  run->add_option("rules", options->rules,
                  "rules to run: globs such as builtin/disk* or */ib/* (default: all)");
  run->add_option("--node", options->nodes, "on these nodes: globs (default: all)");
  run->add_option("--module", options->modules, "only of these modules");
  run->add_option("--item", options->items, "only these items");
  run->add_option("--timeout", options->timeout, "how long a node may take (default 2m)");
  run->add_flag("--keep", options->keep, "keep the ClusterCheck object");
  run->add_flag("--all", options->all, "show what is fine, too");
  Run(*run, [options, &session] { return RunChecks(session, *options); });
  CLI::App* list = app.add_subcommand("list", "every check and its last verdict");
  CLI::App* conditions = app.add_subcommand("conditions", "what holds, worst first");
  for (CLI::App* command : {list, conditions})
    command->add_option("--node", options->node, "only of this node");
  Run(*list, [options, &session] { return ListChecks(session, *options); });
  Run(*conditions, [options, &session] { return ListConditions(session, *options); });
  CLI::App* history = app.add_subcommand("history", "what one rule found before");
  history->add_option("node", options->node, "name of the node")->required();
  history->add_option("rule", options->rule, "rule, or a glob")->required();
  history->add_option("--begin", options->begin, "since: 1d, or a time (default 1d)");
  Run(*history, [options, &session] { return History(session, *options); });
  CLI::App* priorities = app.add_subcommand(
      "priorities", "take Aegis' priority.conf: which condition matters how much");
  priorities->add_option("file", options->file, "the file")->required();
  Run(*priorities, [options, &session] { return Priorities(session, *options); });
}

}  // namespace faultline::cli
