// label: ground truth that people know by other means.
#include <fstream>
#include <sstream>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/time_option.h"
#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string fault, node, name_space, pod, container, cgroup, begin, end, message, file;
};

Result<void> Post(const Session& session, const std::string& body) {
  FAULTLINE_ASSIGN(const json::value reply, session.Client().Json("POST", "/api/v1/labels/ground-truth", {}, body));
  if (session.structured()) return session.Print(reply), Result<void>();
  std::printf("%s added\n", TextAt(reply, "data.added").c_str());
  return {};
}

Result<void> Add(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const int64_t begin, ParseMoment("--begin", options.begin));
  FAULTLINE_ASSIGN(const int64_t end, ParseMoment("--end", options.end));
  json::object label = {{"fault", options.fault}, {"source", "manual"}, {"begin", FormatTime(begin)}, {"end", FormatTime(end)}};
  const std::pair<const char*, const std::string*> fields[] = {
      {"node", &options.node}, {"namespace", &options.name_space}, {"pod", &options.pod},
      {"container", &options.container}, {"cgroup", &options.cgroup}, {"message", &options.message}};
  for (const auto& [name, value] : fields) {
    if (!value->empty()) label[name] = *value;
  }
  return Post(session, json::serialize(label));
}

Result<void> Import(const Session& session, const Options& options) {
  std::ifstream file(options.file);
  if (!file) return FailErrno(errno, "read {}", options.file);
  std::stringstream text;
  text << file.rdbuf();
  return Post(session, text.str());
}

}  // namespace

void SetUpLabel(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* add = app.add_subcommand("add", "one label by hand");
  add->add_option("fault", options->fault, "what it was")->required();
  add->add_option("--begin", options->begin, "since when")->required();
  add->add_option("--end", options->end, "until when")->required();
  add->add_option("--node", options->node, "on which node");
  add->add_option("--pod-namespace", options->name_space, "of which pod's namespace");
  add->add_option("--pod", options->pod, "of which pod");
  add->add_option("--container", options->container, "of which container");
  add->add_option("--cgroup", options->cgroup, "of which cgroup");
  add->add_option("--message", options->message, "what to remember");
  Run(*add, [options, &session] { return Add(session, *options); });
  CLI::App* import = app.add_subcommand("import", "labels from a JSON or YAML file");
  import->add_option("file", options->file, "a label, or a list of them")->required();
  Run(*import, [options, &session] { return Import(session, *options); });
}

}  // namespace faultline::cli
