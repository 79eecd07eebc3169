// What a check is, whoever wrote it and in whichever format: a program with a contract for its
// verdict, a built-in, or patterns over log lines. Contracts (contracts/) make these from files;
// the engine runs them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "faultline/v1/check.pb.h"

namespace faultline {

struct CheckRule {
  std::string rule;      // unique: contract/file or module/item
  std::string contract;  // whose verdict counts: aegis, npd, nagios, nhc, gpud, builtin
  std::string module;
  std::string item;
  std::string reason;
  std::string condition;
  v1::CheckLevel level = v1::CHECK_LEVEL_WARNING;
  v1::CheckKind kind = v1::CHECK_KIND_CONDITION;
  std::string program;  // absolute; empty: a built-in
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // NAME=value, besides ours
  // Our own interpreter and not something that a rule names: needs no allowed root.
  bool own_program = false;
  std::string builtin;
  std::map<std::string, std::string> parameters;
  v1::CheckView view;
  int64_t interval_ns = 0;  // 0: the configuration's
  int64_t timeout_ns = 0;
  uint32_t max_message_bytes = 1024;
  std::string ok_reason;
  std::string ok_message;
  std::string suggestion;
  std::string off;     // why it cannot run; it is listed and skipped
  std::string origin;  // file:line
};

// One pattern of a log monitor.
struct LogRule {
  std::string rule;
  std::string reason;
  std::string condition;  // of a permanent rule
  std::string pattern;    // RE2; must match up to the end of the buffered lines
  v1::CheckKind kind = v1::CHECK_KIND_EVENT;
  v1::CheckLevel level = v1::CHECK_LEVEL_WARNING;
  std::string module;
  std::string suggestion;
  std::string message_suffix;  // appended to what is told
  bool whole_line = true;  // the pattern must match to the end of the line (node-problem-detector)
};

// A condition before anything matched.
struct LogCondition {
  std::string type;
  std::string reason;
  std::string message;
};

struct LogMonitor {
  std::string source;  // its name: kernel-monitor
  std::string contract = "npd";
  std::string plugin;             // kmsg, journald, filelog
  std::string path;               // of filelog: a file; of journald: its folder
  std::string unit;               // of journald: the identifier whose lines count
  std::string timestamp_pattern;  // of filelog
  std::string timestamp_format;   // as Go writes its reference time (go_time.h)
  std::string message_pattern;
  int64_t lookback_ns = 0;
  uint32_t buffer_lines = 10;
  std::vector<std::string> skip;  // lines that contain one of them are passed over
  std::vector<LogCondition> conditions;
  std::vector<LogRule> rules;
  std::string origin;
};

// Everything that one document or folder of documents said.
struct RuleSet {
  std::vector<CheckRule> checks;
  std::vector<LogMonitor> monitors;
  std::map<std::string, v1::CheckLevel> levels;  // by condition: how bad it is, whoever finds it
  std::vector<std::string> notes;  // what was understood but is not ours to do, and why
};

}  // namespace faultline
