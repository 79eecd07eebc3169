// chaosd's command lines: `faultline chaosd attack network delay -d eth0 -l 10ms`, recover UID,
// search.
#include "aggregator/objects/foreign/chaosd.h"
#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/table.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string node;
  std::string uid;
};

Result<void> Attack(const Session& session, const Options& options,
                    const std::vector<std::string>& words) {
  FAULTLINE_ASSIGN(const AttackCommand command, ReadAttackCommand(words));
  std::vector<std::pair<std::string, std::string>> parameters;
  if (!options.node.empty()) parameters.emplace_back("node", options.node);
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("POST", "/api/attack/" + command.kind, parameters,
                                         json::serialize(command.body)));
  if (session.structured()) return session.Print(reply), Result<void>();
  std::printf("Attack %s successfully, uid: %s\n", command.kind.c_str(),
              TextAt(reply, "uid").c_str());
  return {};
}

Result<void> Recover(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("DELETE", "/api/attack/" + options.uid));
  if (session.structured()) return session.Print(reply), Result<void>();
  std::printf("Recover %s successfully\n", options.uid.c_str());
  return {};
}

Result<void> Search(const Session& session) {
  FAULTLINE_ASSIGN(const json::value list, session.Client().Json("GET", "/api/experiments/"));
  if (session.structured()) return session.Print(list), Result<void>();
  Table table({"UID", "KIND", "ACTION", "STATUS", "CREATE TIME"});
  for (const json::value& one : list.is_array() ? list.get_array() : json::array()) {
    table.Add({TextAt(one, "uid"), TextAt(one, "kind"), TextAt(one, "action"),
               TextAt(one, "status"), TextAt(one, "created_at")});
  }
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

}  // namespace

void SetUpChaosd(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* attack =
      app.add_subcommand("attack", "an attack as chaosd takes it: network delay -d eth0 -l 10ms");
  attack->prefix_command();
  attack->set_help_flag();
  attack->add_option("--node", options->node, "where (default: any one node)");
  Run(*attack,
      [options, attack, &session] { return Attack(session, *options, attack->remaining()); });
  CLI::App* recover = app.add_subcommand("recover", "end an attack");
  recover->add_option("uid", options->uid, "as attack printed it")->required();
  Run(*recover, [options, &session] { return Recover(session, *options); });
  CLI::App* search = app.add_subcommand("search", "the attacks there are");
  Run(*search, [&session] { return Search(session); });
}

}  // namespace faultline::cli
