#include "aggregator/cli/command_line.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "aggregator/cli/command.h"
#include "aggregator/objects/yaml.h"
#include "common/version.h"

namespace faultline::cli {
namespace {

int exit_code = kExitFine;

}  // namespace

void Session::Print(const boost::json::value& value) const {
  if (output == "yaml") {
    std::fputs(WriteYaml(value).c_str(), stdout);
  } else {
    std::puts(boost::json::serialize(value).c_str());
  }
}

void Run(CLI::App& app, std::function<Result<void>()> body) {
  app.callback([body = std::move(body)] {
    const auto done = body();
    if (done) return;
    std::fflush(stdout);
    std::fprintf(stderr, "faultline: %s\n", done.error().message.c_str());
    exit_code = done.error().code == ErrorCode::kNotFound ? kExitNotFound : kExitFailed;
  });
}

int LastExitCode() { return exit_code; }

int RunCommandLine(int argc, char** argv) {
  Session session;
  session.terminal = isatty(STDOUT_FILENO) != 0;
  CLI::App app("Asks and tells a Faultline aggregator.", "faultline");
  app.set_version_flag("--version", std::string(Version()));
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--server", session.server.server, "the aggregator (default http://127.0.0.1:8710)")
      ->envname("FAULTLINE_SERVER");
  app.add_option("--token", session.server.token, "bearer token")->envname("FAULTLINE_TOKEN");
  app.add_option("-o,--output", session.output, "how to print")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
      ->capture_default_str();
  for (const CommandRow& row : CommandCatalogue()) {
    row.set_up(*app.add_subcommand(std::string(row.name), std::string(row.doc)), session);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitFine : kExitUsage;
  }
  return LastExitCode();
}

}  // namespace faultline::cli
