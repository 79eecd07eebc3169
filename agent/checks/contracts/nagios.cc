// Nagios plugins: exit 0 OK, 1 WARNING, 2 CRITICAL, else UNKNOWN; the first line is `text |
// figures`, later lines are more text and, after another bar, more figures. Commands come from
// NRPE's `command[name]=line` or from Nagios' `define command { … }`.
#include <algorithm>

#include "agent/checks/contracts/contract_rows.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxFigures = 64;
constexpr size_t kMaxLabelBytes = 64;

std::string_view Before(std::string_view text, char mark) {
  return text.substr(0, text.find(mark));
}

// The label, quoted or not; the rest begins behind `=`.
bool TakeLabel(std::string_view& text, std::string& label) {
  label.clear();
  if (text.starts_with('\'')) {
    size_t at = 1;
    for (; at < text.size(); ++at) {
      if (text[at] != '\'') {
        label += text[at];
      } else if (at + 1 < text.size() && text[at + 1] == '\'') {
        label += text[++at];
      } else {
        break;
      }
    }
    if (at + 1 >= text.size() || text[at + 1] != '=') return false;
    text.remove_prefix(at + 2);
  } else {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return false;
    label = text.substr(0, equals);
    text.remove_prefix(equals + 1);
  }
  return !label.empty();
}

std::optional<v1::Perfdata> ReadFigure(std::string label, std::string_view word) {
  const std::vector<std::string_view> parts = Split(word, ';');
  const std::string_view number = parts[0];
  size_t end = 0;
  while (end < number.size() &&
         std::string_view("0123456789.-+,eE").find(number[end]) != std::string_view::npos)
    ++end;
  // An exponent needs digits; a unit may begin with E.
  while (end > 0 && (number[end - 1] == 'e' || number[end - 1] == 'E')) --end;
  std::string digits(number.substr(0, end));
  std::ranges::replace(digits, ',', '.');
  const auto value = ParseDouble(digits);
  if (!value) return std::nullopt;
  v1::Perfdata figure;
  figure.set_label(OneLine(label, kMaxLabelBytes));
  figure.set_value(*value);
  figure.set_unit(OneLine(number.substr(end), 8));
  if (parts.size() > 1) figure.set_warn(OneLine(parts[1], kMaxLabelBytes));
  if (parts.size() > 2) figure.set_crit(OneLine(parts[2], kMaxLabelBytes));
  if (parts.size() > 3) {
    if (const auto min = ParseDouble(parts[3])) figure.set_min(*min);
  }
  if (parts.size() > 4) {
    if (const auto max = ParseDouble(parts[4])) figure.set_max(*max);
  }
  return figure;
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

Result<void> AddCommand(std::string name, std::string line, int number,
                        const RuleDocument& document, const ContractContext& context,
                        RuleSet& set) {
  const auto wrong = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, "{}:{}:1: command[{}]: {}", document.name, number,
                name, why);
  };
  if (name.empty() || set.checks.size() >= 1000) return wrong("has no name, or is one of too many");
  line = ReplaceAll(std::move(line), "$HOSTADDRESS$", "127.0.0.1");
  line = ReplaceAll(std::move(line), "$HOSTNAME$", context.host_name);
  line = ReplaceAll(std::move(line), "$USER1$", "/usr/lib/nagios/plugins");
  CheckRule rule;
  rule.contract = "nagios";
  rule.module = "nagios";
  rule.item = name;
  rule.reason = name;
  rule.condition = name;
  rule.rule = "nagios/" + name;
  rule.level = v1::CHECK_LEVEL_CRITICAL;
  rule.origin = fmt::format("{}:{}", document.name, number);
  const auto words = SplitCommand(line);
  if (!words) return wrong(words.error().message);
  if (words->empty()) return wrong("has no program");
  if (line.find("$ARG") != std::string::npos)
    rule.off = "needs arguments ($ARG1$ …) that this file does not give";
  const auto allowed = AllowedProgram(words->front(), context.allowed_roots);
  if (!allowed && allowed.error().code != ErrorCode::kNotFound)
    return wrong(allowed.error().message);
  rule.program = words->front();
  rule.arguments.assign(words->begin() + 1, words->end());
  if (std::ranges::any_of(set.checks,
                          [&](const CheckRule& other) { return other.rule == rule.rule; })) {
    return wrong("is there twice");
  }
  set.checks.push_back(std::move(rule));
  return {};
}

}  // namespace

std::vector<v1::Perfdata> ParsePerfdata(std::string_view text) {
  std::vector<v1::Perfdata> figures;
  text = Trim(text);
  std::string label;
  while (!text.empty() && figures.size() < kMaxFigures) {
    if (!TakeLabel(text, label)) break;
    const size_t end = text.find_first_of(" \t\n");
    if (auto figure = ReadFigure(label, text.substr(0, end))) figures.push_back(*std::move(figure));
    text = end == std::string_view::npos ? "" : Trim(text.substr(end));
  }
  return figures;
}

bool NagiosClaims(const RuleDocument& document, const RuleNode* /*root*/) {
  std::string_view rest = document.text;
  std::string_view line;
  while (NextLine(rest, line)) {
    line = Trim(line);
    if (line.starts_with("command[") || line.starts_with("define command")) return true;
  }
  return false;
}

Result<RuleSet> ReadNagios(const RuleDocument& document, const RuleNode* /*root*/,
                           const ContractContext& context) {
  RuleSet set;
  std::string_view rest = document.text;
  std::string_view line;
  bool defining = false;
  std::string name;
  std::string command;
  int number = 0;
  int begun = 0;
  while (NextLine(rest, line)) {
    ++number;
    line = Trim(line);
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with("command[")) {
      const size_t close = line.find(']');
      const size_t equals = line.find('=');
      if (close == std::string_view::npos || equals == std::string_view::npos || equals < close) {
        return Fail(ErrorCode::kInvalidArgument, "{}:{}:1: command: must be command[name]=line",
                    document.name, number);
      }
      FAULTLINE_TRY(AddCommand(std::string(line.substr(8, close - 8)),
                               std::string(Trim(line.substr(equals + 1))), number, document,
                               context, set));
    } else if (line.starts_with("define command")) {
      defining = true;
      begun = number;
      name.clear();
      command.clear();
    } else if (defining && line.starts_with('}')) {
      FAULTLINE_TRY(AddCommand(std::move(name), std::move(command), begun, document, context, set));
      defining = false;
    } else if (defining) {
      const std::string_view key = NextWord(line);
      if (key == "command_name") name = Trim(line);
      if (key == "command_line") command = Trim(line);
    }
  }
  if (defining)
    return Fail(ErrorCode::kInvalidArgument, "{}:{}:1: define command: is not closed",
                document.name, begun);
  return set;
}

std::vector<v1::CheckResult> JudgeNagios(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                         v1::CheckResult result) {
  switch (outcome.exit_code()) {
    case 0:
      result.set_verdict(v1::CHECK_VERDICT_OK);
      break;
    case 1:
      result.set_verdict(v1::CHECK_VERDICT_DEGRADED);
      break;
    case 2:
      result.set_verdict(v1::CHECK_VERDICT_PROBLEM);
      break;
    default:
      result.set_verdict(v1::CHECK_VERDICT_UNKNOWN);
      break;
  }
  if (outcome.exit_code() == 1) result.set_level(std::min(rule.level, v1::CHECK_LEVEL_WARNING));
  const std::string_view output = outcome.output();
  const std::string_view first = output.substr(0, output.find('\n'));
  result.set_message(std::string(Trim(Before(first, '|'))));
  if (result.message().empty()) result.set_message(std::string(FirstLine(outcome.error_output())));
  std::string figures(
      first.size() > Before(first, '|').size() ? first.substr(Before(first, '|').size() + 1) : "");
  // Further figures follow a bar in the longer text.
  const std::string_view longer = output.substr(std::min(output.size(), first.size() + 1));
  if (const size_t bar = longer.find('|'); bar != std::string_view::npos)
    figures += ' ' + std::string(longer.substr(bar + 1));
  for (v1::Perfdata& figure : ParsePerfdata(figures)) *result.add_perfdata() = std::move(figure);
  return {result};
}

}  // namespace faultline
