// LBNL Node Health Check: lines `host mask || check arguments`. The mask is a glob, /expression/,
// {range} or a list of them. Each line is a rule of its own; its check is a function of
// nhc_checks.h, or a program, run by bash with the words of the line (nhc_line.h) as its arguments:
// the line itself is never given to a shell. `export NAME=value` and NAME=value set what later
// lines see. A line that only a shell could follow is a rule that says so and does not run; actions
// (restart, kill, remount) are never taken.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include <re2/re2.h>

#include "agent/checks/contracts/contract_rows.h"
#include "agent/checks/contracts/nhc_checks.h"
#include "agent/checks/contracts/nhc_line.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kTimeoutNs = 30 * kNsPerSecond;

bool MaskMatches(std::string_view mask, const std::string& host) {
  mask = Trim(mask);
  const bool inverted = mask.starts_with('!');
  if (inverted) mask.remove_prefix(1);
  bool matches = false;
  if (mask.size() >= 2 && mask.starts_with('/') && mask.ends_with('/')) {
    RE2::Options options;
    options.set_log_errors(false);
    matches = RE2::PartialMatch(host, RE2(mask.substr(1, mask.size() - 2), options));
  } else if (mask.starts_with('{') && mask.ends_with('}')) {
    matches = InNhcRange(mask.substr(1, mask.size() - 2), host);
  } else {
    matches = GlobMatch(mask, host);
  }
  return matches != inverted;
}

// Where a command is: its own path, or the first of that name in PATH.
std::string FindProgram(const std::string& name, std::string_view path) {
  if (name.find('/') != std::string::npos) return name;
  for (const std::string_view folder : Split(path, ':')) {
    const std::string found = fmt::format("{}/{}", folder, name);
    if (folder.starts_with('/') && access(found.c_str(), X_OK) == 0) return found;
  }
  return name;
}

std::vector<std::string> Spaced(std::string_view text) {
  std::vector<std::string> words;
  for (std::string_view word = NextWord(text); !word.empty(); word = NextWord(text))
    words.emplace_back(word);
  return words;
}

// Where the program of a check_cmd_… begins, behind its options; that of -e is moved to the end.
size_t CommandBegins(NhcWords& words) {
  size_t at = 1;
  std::string command;
  while (at < words.size() && words[at].size() > 1 && words[at][0] == '-') {
    const bool separate = words[at].size() == 2;
    const size_t value = separate ? at + 1 : at;
    if (words[at] == "--") return at + 1;
    if (words[at][1] == 'e' && value < words.size()) {
      command = separate ? words[value] : words[at].substr(2);
      words.erase(words.begin() + at, words.begin() + value + 1);
    } else {
      at = value + 1;
    }
  }
  if (!command.empty()) {
    words.resize(at);
    std::ranges::copy(Spaced(command), std::back_inserter(words));
  }
  return at;
}

// A command as the checks' shell gets it. Programs of the line's choosing must be allowed.
Result<void> Prepare(NhcWords& words, const std::map<std::string, std::string>& variables,
                     const ContractContext& context) {
  const auto value = [&](const char* name, std::string_view otherwise) {
    const auto at = variables.find(name);
    return at == variables.end() ? std::string(otherwise) : at->second;
  };
  size_t program = words.size();
  if (words.front() == "check_nv_healthmon") {
    const auto arguments = Spaced(value("NVIDIA_HEALTHMON_ARGS", "-e -v"));
    words = {"program", value("NVIDIA_HEALTHMON", "nvidia-healthmon")};
    words.insert(words.end(), arguments.begin(), arguments.end());
    program = 1;
  } else if (words.front().starts_with("check_cmd_")) {
    program = CommandBegins(words);
    if (program >= words.size()) return Fail(ErrorCode::kInvalidArgument, "names no program");
  } else if (!words.front().starts_with("check_") || !IsShellName(words.front())) {
    words.insert(words.begin(), "program");
    program = 1;
  }
  if (program >= words.size()) return {};
  const std::string found =
      FindProgram(words[program], value("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
  if (found.find('/') == std::string::npos) {
    return Fail(ErrorCode::kUnsupported, "`{}` is neither a check of NHC nor a program in PATH",
                found);
  }
  const auto allowed = AllowedProgram(found, context.allowed_roots);
  if (!allowed) return Fail(ErrorCode::kUnsupported, "{}", allowed.error().message);
  words[program] = found;
  return {};
}

// `export A=b C=d`, or the same without export. False: it is something else.
Result<bool> SetVariables(const NhcWords& words, std::map<std::string, std::string>& variables) {
  size_t first = words.front() == "export" ? 1 : 0;
  const auto name_of = [](const std::string& word) {
    return std::string_view(word).substr(0, word.find('='));
  };
  if (first >= words.size() || !IsShellName(name_of(words[first])) ||
      (first == 0 && words[0].find('=') == std::string::npos)) {
    return false;
  }
  for (; first < words.size(); ++first) {
    const std::string name(name_of(words[first]));
    if (!IsShellName(name))
      return Fail(ErrorCode::kInvalidArgument, "`{}` is not NAME=value", words[first]);
    // Variables by which a program is made to run another.
    static const RE2 kRefused(
        "LD_.*|BASH.*|ENV|SHELLOPTS|IFS|PS4|PYTHON.*|PERL.*|GCONV_PATH|FAULTLINE_.*");
    if (RE2::FullMatch(name, kRefused))
      return Fail(ErrorCode::kInvalidArgument, "{} may not be set by rules", name);
    if (words[first].size() > name.size()) variables[name] = words[first].substr(name.size() + 1);
  }
  return true;
}

}  // namespace

bool NhcClaims(const RuleDocument& document, const RuleNode* /*root*/) {
  std::string_view rest = document.text;
  std::string_view line;
  while (NextLine(rest, line)) {
    line = Trim(line);
    if (line.starts_with('#')) continue;
    const size_t bar = line.find("||");
    if (bar == std::string_view::npos) continue;
    const std::string_view check = Trim(line.substr(bar + 2));
    if (check.starts_with("check_") || check.starts_with("export ") || check.starts_with("nv_"))
      return true;
  }
  return document.name.ends_with("nhc.conf");
}

Result<RuleSet> ReadNhc(const RuleDocument& document, const RuleNode* /*root*/,
                        const ContractContext& context) {
  RuleSet set;
  std::map<std::string, std::string> variables = {
      {"HOSTNAME", context.host_name},
      {"HOSTNAME_S", context.host_name.substr(0, context.host_name.find('.'))},
      {"NAME", "nhc"},
      {"PATH", "/sbin:/usr/sbin:/bin:/usr/bin"},
      {"PBS_SERVER_HOME", "/var/spool/torque"},
      {"SLURM_SERVER_HOME", "/var/spool/slurmd"},
  };
  std::set<std::string> names;
  std::string_view rest = document.text;
  std::string_view line;
  for (int number = 1; NextLine(rest, line); ++number) {
    line = Trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    const auto wrong = [&](std::string_view field, std::string_view why) {
      return Fail(ErrorCode::kInvalidArgument, "{}:{}:1: {}: {}", document.name, number, field,
                  why);
    };
    const size_t bar = line.find("||");
    if (bar == std::string_view::npos) return wrong("line", "is not `host mask || check`");
    if (set.checks.size() >= 1000) return wrong("line", "more than 1000 checks");
    const std::string_view text = Trim(line.substr(bar + 2));
    auto read = ReadNhcLine(text, variables);
    if (!read && read.error().code != ErrorCode::kUnsupported)
      return wrong("check", read.error().message);
    if (!MaskMatches(line.substr(0, bar), context.host_name)) continue;
    CheckRule rule;
    NhcWords arguments;
    std::string item(text.substr(0, text.find_first_of(" \t")));
    if (!read) rule.off = read.error().message;
    for (NhcWords& words : read ? read->commands : std::vector<NhcWords>()) {
      const auto set_here = SetVariables(words, variables);
      if (!set_here) return wrong("export", set_here.error().message);
      if (*set_here) continue;
      if (arguments.empty()) item = words.front();
      if (const auto ready = Prepare(words, variables, context); !ready) {
        if (ready.error().code != ErrorCode::kUnsupported)
          return wrong("check", ready.error().message);
        rule.off = ready.error().message;
      }
      if (!arguments.empty()) arguments.emplace_back(kNhcNextCommand);
      arguments.insert(arguments.end(), words.begin(), words.end());
    }
    if (read && arguments.empty()) continue;  // variables, or nothing but a comment
    if (read && !read->unset.empty() && rule.off.empty())
      rule.off = fmt::format("${} is set nowhere", read->unset.front());
    rule.contract = "nhc";
    rule.module = "nhc";
    item = item.substr(item.rfind('/') + 1);
    rule.item = item;
    for (int n = 2; !names.insert(rule.item).second; ++n) rule.item = fmt::format("{}#{}", item, n);
    rule.rule = "nhc/" + rule.item;
    rule.reason = rule.item;
    rule.condition = rule.item;
    rule.level = v1::CHECK_LEVEL_CRITICAL;
    rule.program = "/bin/bash";
    rule.own_program = true;
    rule.arguments = {"-c", std::string(kNhcChecks), "nhc"};
    rule.arguments.insert(rule.arguments.end(), arguments.begin(), arguments.end());
    for (const auto& [name, value] : variables)
      rule.environment.push_back(fmt::format("{}={}", name, value));
    rule.timeout_ns = kTimeoutNs;
    if (const auto timeout = variables.find("TIMEOUT"); timeout != variables.end()) {
      if (const auto seconds = ParseUint(timeout->second);
          seconds && *seconds > 0 && *seconds < 3600) {
        rule.timeout_ns = static_cast<int64_t>(*seconds) * kNsPerSecond;
      }
    }
    rule.interval_ns = 300 * kNsPerSecond;
    rule.origin = fmt::format("{}:{}", document.name, number);
    set.checks.push_back(std::move(rule));
  }
  return set;
}

std::vector<v1::CheckResult> JudgeNhc(const CheckRule& /*rule*/, const v1::ProgramOutcome& outcome,
                                      v1::CheckResult result) {
  constexpr int kNoSuchCheck = 127;
  const int code = outcome.exit_code();
  result.set_verdict(code == 0              ? v1::CHECK_VERDICT_OK
                     : code == kNoSuchCheck ? v1::CHECK_VERDICT_UNKNOWN
                                            : v1::CHECK_VERDICT_PROBLEM);
  result.set_message(std::string(FirstLine(outcome.output())));
  if (result.message().empty()) result.set_message(std::string(FirstLine(outcome.error_output())));
  return {result};
}

}  // namespace faultline
