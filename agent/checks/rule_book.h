// All rules of this node: built-in checks, the node's own files, and what the aggregator pushed
// (kept in <state_dir>/pushed_rules, so that a restart has them). Reading happens as a whole: an
// error leaves what was there and names document, line and field.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/checks/contracts/contract.h"
#include "agent/checks/rule.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

class RuleBook {
 public:
  RuleBook(const v1::ChecksConfig& config, std::string host_name, std::string state_folder);

  // Built-ins, local files and pushed rules. A local file that does not read is left out and told
  // in errors().
  void Load();
  // Takes the pushed documents instead of those before, or says why not; then nothing has changed.
  Result<void> SetPushed(const v1::SetCheckRules& pushed);

  const std::vector<CheckRule>& checks() const { return checks_; }
  const std::vector<LogMonitor>& monitors() const { return monitors_; }
  const std::string& version() const { return version_; }
  const std::string& hash() const { return hash_; }
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  Result<RuleSet> ReadPushed(const v1::SetCheckRules& pushed) const;
  void ReadAll();
  void ApplyLevels();
  void AddBuiltins();
  void AddFiles();
  void Add(RuleSet set);
  void FillDefaults(CheckRule& rule) const;
  bool Known(const std::string& rule) const;

  const v1::ChecksConfig config_;
  const std::string state_folder_;
  ContractContext context_;
  std::vector<CheckRule> checks_;
  std::vector<LogMonitor> monitors_;
  std::map<std::string, v1::CheckLevel> levels_;
  std::string version_;
  std::string hash_;
  std::vector<std::string> errors_;
};

}  // namespace faultline
