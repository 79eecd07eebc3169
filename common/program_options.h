// The command line and configuration that agent and aggregator share: --config FILE, --set a.b=c,
// FAULTLINE_A__B,
// --check-config, --list, --version, --help. Exit codes: 0 fine, 1 failed, 2 bad usage or
// configuration.
//
//   v1::AgentConfig config;
//   ProgramOptions options({.name = "faultline-agent", .summary = "…", .default_config =
//   "/etc/faultline/agent.yaml"}); if (auto exit_code = options.Parse(argc, argv, config,
//   ListCatalogues)) return *exit_code; … SIGHUP: v1::AgentConfig fresh; if (auto ok =
//   options.Load(fresh); !ok) keep the old one;
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config_defaults.h"
#include "common/result.h"

namespace faultline {

class ProgramOptions {
 public:
  struct Program {
    std::string name;
    std::string summary;
    std::string default_config;  // read if it is there and --config is not given
  };

  explicit ProgramOptions(Program program) : program_(std::move(program)) {}

  // Options of one program only, before Parse. `name` as "--once"; the targets outlive Parse.
  void AddFlag(std::string name, std::string doc, bool* value);
  void AddList(std::string name, std::string doc, std::vector<std::string>* values);
  // Only these names may be keys of the map, or values of the list, at `path` (as
  // "faults.allowed").
  void RestrictNames(std::string path, std::vector<std::string_view> names);

  // Reads the command line and fills `config`. An exit code if there is nothing to run: something
  // was printed.
  template <typename Config>
  std::optional<int> Parse(int argc, const char* const* argv, Config& config,
                           const std::function<std::string()>& list) {
    if (auto exit_code = ParseArguments(argc, argv, list, [] { return DefaultsText<Config>(); }))
      return exit_code;
    return Conclude(Load(config));
  }

  // File, environment, settings, defaults, in this order. `config` is untouched on error.
  template <typename Config>
  Result<void> Load(Config& config) const {
    Config fresh;
    FAULTLINE_TRY(ReadSources(&fresh));
    if (auto filled = FillDefaults(&fresh); !filled)
      return Within(config_path_, std::move(filled).error());
    FAULTLINE_TRY(CheckNames(fresh));
    config = std::move(fresh);
    return {};
  }

  // The file that was read; "defaults" if there was none.
  const std::string& config_path() const { return config_path_; }

 private:
  struct Flag {
    std::string name, doc;
    bool* value;
  };
  struct List {
    std::string name, doc;
    std::vector<std::string>* values;
  };

  template <typename Config>
  static std::string DefaultsText() {
    Config config;
    (void)FillDefaults(&config);
    return DescribeKeys(config);
  }
  static std::string DescribeKeys(const google::protobuf::Message& defaults);
  std::optional<int> ParseArguments(int argc, const char* const* argv,
                                    const std::function<std::string()>& list,
                                    const std::function<std::string()>& keys);
  Result<void> CheckNames(const google::protobuf::Message& config) const;
  Result<void> ReadSources(google::protobuf::Message* config) const;
  // Prints; nullopt means go on and run.
  std::optional<int> Conclude(const Result<void>& loaded) const;

  struct Restriction {
    std::string path;
    std::vector<std::string_view> names;
  };

  Program program_;
  std::vector<Flag> flags_;
  std::vector<List> lists_;
  std::vector<Restriction> restrictions_;
  std::string config_path_ = "defaults";
  bool read_file_ = false;
  bool check_only_ = false;
  std::vector<std::string> settings_;
};

}  // namespace faultline
