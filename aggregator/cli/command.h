// One sub-command of `faultline`. A file per command (or family), a row in catalogue.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "aggregator/cli/api_client.h"
#include "common/result.h"

namespace faultline::cli {

// Exit codes of the contract.
constexpr int kExitFine = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotFound = 3;

struct Session {
  ApiOptions server;
  std::string output = "table";  // table, wide, json, yaml
  bool terminal = false;         // standard output is one: colours, progress

  ApiClient Client() const { return ApiClient(server); }
  bool structured() const { return output == "json" || output == "yaml"; }
  // Prints as -o says (json, yaml); for tables the command does it itself.
  void Print(const boost::json::value& value) const;
};

struct CommandRow {
  std::string_view name;
  std::string_view doc;
  // Adds options to `app` and its callback through Run.
  void (*set_up)(CLI::App& app, Session& session);
};

std::span<const CommandRow> CommandCatalogue();

// Makes `body` what the sub-command does: its error is printed and becomes the exit code.
void Run(CLI::App& app, std::function<Result<void>()> body);
int LastExitCode();

}  // namespace faultline::cli
