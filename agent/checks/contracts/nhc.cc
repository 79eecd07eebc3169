// LBNL Node Health Check: lines `host mask || check arguments`. The mask is a glob, /expression/,
// {range} or a list of them. Each line is a rule of its own; its check is a function of
// nhc_checks.h, run by bash with the words of the line as its arguments: the line itself is never
// given to a shell. `export NAME=value` and NAME=value set what later lines see.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include <re2/re2.h>

#include "agent/checks/contracts/contract_rows.h"
#include "agent/checks/contracts/nhc_checks.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kTimeoutNs = 30 * kNsPerSecond;

// {n[1-4,7],m9}: prefixes with lists of numbers.
bool InRange(std::string_view range, std::string_view host) {
  std::string part;
  int depth = 0;
  const auto matches = [&host](std::string_view item) {
    const size_t open = item.find('[');
    if (open == std::string_view::npos) return item == host;
    const size_t close = item.find(']', open);
    if (close == std::string_view::npos || !host.starts_with(item.substr(0, open)) ||
        !host.ends_with(item.substr(close + 1)) || host.size() < open + item.size() - close - 1) {
      return false;
    }
    const auto number =
        ParseUint(host.substr(open, host.size() - open - (item.size() - close - 1)));
    if (!number) return false;
    for (const std::string_view span : Split(item.substr(open + 1, close - open - 1), ',')) {
      const size_t dash = span.find('-');
      const auto low = ParseUint(span.substr(0, dash));
      const auto high = dash == std::string_view::npos ? low : ParseUint(span.substr(dash + 1));
      if (low && high && *number >= *low && *number <= *high) return true;
    }
    return false;
  };
  for (const char c : range) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ',' && depth == 0) {
      if (matches(Trim(part))) return true;
      part.clear();
    } else {
      part += c;
    }
  }
  return matches(Trim(part));
}

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
    matches = InRange(mask.substr(1, mask.size() - 2), host);
  } else {
    matches = GlobMatch(mask, host);
  }
  return matches != inverted;
}

// $NAME and ${NAME} of what the file itself exported; others are left for the checks' own (HW_CORES
// …).
std::string Expand(std::string_view word, const std::map<std::string, std::string>& variables) {
  std::string text;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '$' || i + 1 >= word.size()) {
      text += word[i];
      continue;
    }
    const bool braced = word[i + 1] == '{';
    size_t end = i + (braced ? 2 : 1);
    const size_t begin = end;
    while (end < word.size() &&
           (std::isalnum(static_cast<unsigned char>(word[end])) || word[end] == '_'))
      ++end;
    const auto known = variables.find(std::string(word.substr(begin, end - begin)));
    if (known == variables.end() || end == begin) {
      text += word[i];
      continue;
    }
    text += known->second;
    i = braced && end < word.size() ? end : end - 1;
  }
  return text;
}

bool IsName(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

// Words of the line, quotes taken off. $((…)) is one word; its value is found by the check's shell,
// which sees a number's letters only.
Result<std::vector<std::string>> Words(std::string_view line) {
  std::string kept(line);
  std::vector<std::string> sums;
  for (size_t at = kept.find("$(("); at != std::string::npos; at = kept.find("$((", at + 1)) {
    const size_t end = kept.find("))", at);
    if (end == std::string::npos) return Fail(ErrorCode::kInvalidArgument, "$(( is not closed");
    const std::string sum = kept.substr(at + 3, end - at - 3);
    const bool plain = std::ranges::all_of(sum, [](unsigned char c) {
      return std::isalnum(c) ||
             std::string_view("_ +-*/%").find(static_cast<char>(c)) != std::string_view::npos;
    });
    static const RE2 kKnown("(HW_(CORES|SOCKETS|THREADS)|[0-9]+|[ +*/%-])+");
    if (!plain || !RE2::FullMatch(sum, kKnown))
      return Fail(ErrorCode::kInvalidArgument, "$(({})) is not plain arithmetic", sum);
    sums.push_back(sum);
    kept.replace(at, end + 2 - at, fmt::format("@SUM{}@", sums.size() - 1));
  }
  FAULTLINE_ASSIGN(std::vector<std::string> words, SplitCommand(kept));
  for (std::string& word : words) {
    for (size_t i = 0; i < sums.size(); ++i) {
      const std::string mark = fmt::format("@SUM{}@", i);
      if (word == mark) word = "=((" + sums[i] + "))";
    }
  }
  return words;
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
  std::map<std::string, std::string> variables;
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
    auto words = Words(Trim(line.substr(bar + 2)));
    if (!words) return wrong("check", words.error().message);
    for (std::string& word : *words) word = Expand(word, variables);
    if (words->empty()) return wrong("check", "is missing");
    if (!MaskMatches(line.substr(0, bar), context.host_name)) continue;
    size_t first = words->front() == "export" ? 1 : 0;
    if (const size_t equals = first < words->size() ? (*words)[first].find('=') : std::string::npos;
        equals != std::string::npos &&
        IsName(std::string_view((*words)[first]).substr(0, equals))) {
      for (; first < words->size(); ++first) {
        const std::string& word = (*words)[first];
        const size_t at = word.find('=');
        if (at == std::string::npos || !IsName(std::string_view(word).substr(0, at)))
          return wrong("export", word);
        // Variables by which a program is made to run another.
        static const RE2 kRefused(
            "LD_.*|BASH.*|ENV|SHELLOPTS|IFS|PS4|PYTHON.*|PERL.*|GCONV_PATH|FAULTLINE_.*");
        if (RE2::FullMatch(word.substr(0, at), kRefused)) {
          return wrong("export", fmt::format("{} may not be set by rules", word.substr(0, at)));
        }
        variables[word.substr(0, at)] = word.substr(at + 1);
      }
      continue;
    }
    if (!words->front().starts_with("check_") || !IsName(words->front())) {
      return wrong("check", fmt::format("`{}` is no check", words->front()));
    }
    CheckRule rule;
    // The two that start a program of the line's choosing: behind their options, of which each has
    // a value.
    if (words->front().starts_with("check_cmd_")) {
      size_t at = 1;
      while (at < words->size() && (*words)[at].starts_with('-')) at += 2;
      if (at >= words->size()) return wrong("check", "names no program");
      const auto allowed = AllowedProgram((*words)[at], context.allowed_roots);
      if (!allowed) rule.off = allowed.error().message;
    }
    rule.contract = "nhc";
    rule.module = "nhc";
    rule.item = words->front();
    for (int n = 2; !names.insert(rule.item).second; ++n)
      rule.item = fmt::format("{}#{}", words->front(), n);
    rule.rule = "nhc/" + rule.item;
    rule.reason = rule.item;
    rule.condition = rule.item;
    rule.level = v1::CHECK_LEVEL_CRITICAL;
    rule.program = "/bin/bash";
    rule.own_program = true;
    rule.arguments = {"-c", std::string(kNhcChecks), "nhc"};
    rule.arguments.insert(rule.arguments.end(), words->begin(), words->end());
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
