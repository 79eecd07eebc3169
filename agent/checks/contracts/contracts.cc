#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "agent/checks/contracts/contract.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxMessageBytes = 1024;

std::optional<std::string> RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return std::nullopt;
  return resolved;
}

bool IsBelow(std::string_view path, std::string_view root) {
  while (root.size() > 1 && root.ends_with('/')) root.remove_suffix(1);
  if (root == "/") return true;
  return path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/';
}

std::string Joined(const v1::ProgramOutcome& outcome) {
  std::string text = outcome.output();
  if (!text.empty() && !outcome.error_output().empty() && !text.ends_with('\n')) text += '\n';
  return text + outcome.error_output();
}

void Describe(const v1::ProgramOutcome& outcome, v1::CheckResult& result) {
  if (outcome.has_exit_code()) result.set_exit_code(outcome.exit_code());
  result.set_signal(outcome.signal());
  result.set_duration_ns(outcome.duration_ns());
  result.set_cpu_ns(outcome.cpu_ns());
  result.set_output(Joined(outcome));
  result.set_output_truncated(outcome.truncated());
  result.set_escaped_processes(outcome.escaped());
}

}  // namespace

const ContractRow* FindContract(std::string_view name) {
  for (const ContractRow& row : ContractCatalogue()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

Result<RuleSet> ReadRules(const RuleDocument& document, const ContractContext& context) {
  const auto root = ParseRuleText(document.text, document.name);
  const RuleNode* tree = root ? &*root : nullptr;
  if (!document.contract.empty()) {
    const ContractRow* row = FindContract(document.contract);
    if (row == nullptr) {
      return Fail(ErrorCode::kInvalidArgument, "{}:1:1: contract: `{}` is none that is known",
                  document.name, document.contract);
    }
    return row->read(document, tree, context);
  }
  if (root && root->kind == RuleNode::Kind::kNull) {
    RuleSet none;
    none.notes.push_back(fmt::format("{}: nothing in it", document.name));
    return none;
  }
  for (const ContractRow& row : ContractCatalogue()) {
    if (row.claims(document, tree)) return row.read(document, tree, context);
  }
  if (!root) return std::unexpected(root.error());
  return Fail(ErrorCode::kInvalidArgument,
              "{}:1:1: document: no rules that are known: neither `rules:`, nor a "
              "node-problem-detector monitor, "
              "nor lines of NHC or NRPE",
              document.name);
}

v1::CheckResult ResultOf(const CheckRule& rule) {
  v1::CheckResult result;
  result.set_rule(rule.rule);
  result.set_contract(rule.contract);
  result.set_module(rule.module);
  result.set_item(rule.item);
  result.set_reason(rule.reason);
  result.set_condition(rule.condition);
  result.set_level(rule.level);
  result.set_kind(rule.kind);
  result.set_suggestion(rule.suggestion);
  if (rule.view.pid() != 0 || !rule.view.pod().empty()) {
    result.set_namespace_(rule.view.namespace_());
    result.set_pod(rule.view.pod());
    result.set_container(rule.view.container());
    result.set_view(rule.view.pod().empty() ? fmt::format("pid {}", rule.view.pid())
                                            : fmt::format("{}/{}/{}", rule.view.namespace_(),
                                                          rule.view.pod(), rule.view.container()));
  }
  return result;
}

std::vector<v1::CheckResult> JudgeRun(const CheckRule& rule, const v1::ProgramOutcome& outcome) {
  v1::CheckResult result = ResultOf(rule);
  Describe(outcome, result);
  if (!outcome.error().empty()) {
    result.set_verdict(v1::CHECK_VERDICT_UNKNOWN);
    result.set_message(fmt::format("{} could not be started: {}", rule.program, outcome.error()));
    return {result};
  }
  if (outcome.timed_out()) {
    result.set_verdict(v1::CHECK_VERDICT_TIMEOUT);
    result.set_message(fmt::format(
        "no verdict within {} s{}", FormatDouble(static_cast<double>(rule.timeout_ns) / 1e9),
        outcome.unkillable() ? "; it hangs in the kernel and was left behind" : ""));
    return {result};
  }
  if (!outcome.has_exit_code()) {
    result.set_verdict(v1::CHECK_VERDICT_UNKNOWN);
    result.set_message(fmt::format("ended by signal {}", outcome.signal()));
    return {result};
  }
  const ContractRow* row = FindContract(rule.contract);
  if (row == nullptr) return {result};
  std::vector<v1::CheckResult> results = row->judge(rule, outcome, std::move(result));
  // What a program printed is cut by its contract; here is the bound of all messages.
  const size_t bound = std::max<size_t>(rule.max_message_bytes, kMaxMessageBytes);
  for (v1::CheckResult& told : results) told.set_message(OneLine(told.message(), bound));
  return results;
}

Result<std::string> AllowedProgram(std::string_view path,
                                   std::span<const std::string> allowed_roots) {
  if (!path.starts_with('/'))
    return Fail(ErrorCode::kInvalidArgument, "`{}` is not an absolute path", path);
  const auto real = RealPath(std::string(path));
  // What is not there is judged by its name.
  const std::string judged = real ? *real : std::filesystem::path(path).lexically_normal().string();
  const bool allowed = std::ranges::any_of(allowed_roots, [&](const std::string& root) {
    return IsBelow(judged, real ? RealPath(root).value_or(root) : root);
  });
  if (!allowed) {
    return Fail(ErrorCode::kPermissionDenied, "`{}` lies outside checks.allowed_roots ({})", judged,
                fmt::join(allowed_roots, ", "));
  }
  if (!real) return Fail(ErrorCode::kNotFound, "there is no `{}`", path);
  return *real;
}

Result<void> SetProgram(Fields& fields, std::string_view field, const RuleDocument& document,
                        const ContractContext& context, CheckRule& rule) {
  FAULTLINE_ASSIGN(std::string path, fields.Text(field));
  if (!path.starts_with('/')) {
    // Relative to the document's folder or the one above it (node-problem-detector's
    // ./config/plugin/x.sh).
    if (document.path.empty())
      return fields.Wrong(field, "`{}` must be absolute in rules that are pushed", path);
    const std::filesystem::path folder = std::filesystem::path(document.path).parent_path();
    std::string found = (folder / path).lexically_normal().string();
    for (const auto& base : {folder, folder.parent_path()}) {
      const std::string candidate = (base / path).lexically_normal().string();
      if (access(candidate.c_str(), F_OK) == 0) {
        found = candidate;
        break;
      }
    }
    path = found;
  }
  const auto allowed = AllowedProgram(path, context.allowed_roots);
  if (!allowed && allowed.error().code != ErrorCode::kNotFound) {
    return fields.Wrong(field, "{}", allowed.error().message);
  }
  rule.program = path;
  rule.origin = fmt::format("{}:{}", document.name, fields.node().line);
  return {};
}

Result<v1::CheckLevel> ReadLevel(Fields& fields, std::string_view field, v1::CheckLevel fallback) {
  FAULTLINE_ASSIGN(const std::string text, fields.TextOr(field, ""));
  if (text.empty()) return fallback;
  constexpr std::pair<std::string_view, v1::CheckLevel> kLevels[] = {
      {"info", v1::CHECK_LEVEL_INFO},         {"warn", v1::CHECK_LEVEL_WARNING},
      {"warning", v1::CHECK_LEVEL_WARNING},   {"error", v1::CHECK_LEVEL_CRITICAL},
      {"critical", v1::CHECK_LEVEL_CRITICAL}, {"emergency", v1::CHECK_LEVEL_CRITICAL},
      {"fatal", v1::CHECK_LEVEL_FATAL}};
  for (const auto& [name, level] : kLevels) {
    if (text == name) return level;
  }
  return fields.Wrong(field, "`{}` is none of info, warning, critical, fatal", text);
}

std::string OneLine(std::string_view text, size_t max_bytes) {
  std::string line;
  for (const char c : Trim(text)) {
    if (line.size() >= max_bytes) break;
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (!control) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  // Not in the middle of a character.
  size_t end = line.size();
  if (text.size() > max_bytes) {
    while (end > 0 && end > line.size() - std::min<size_t>(line.size(), 4) &&
           !IsValidUtf8(std::string_view(line).substr(0, end))) {
      --end;
    }
    if (end > 0 && IsValidUtf8(std::string_view(line).substr(0, end))) line.resize(end);
  }
  return line;
}

std::string_view FirstLine(std::string_view text) {
  text = Trim(text);
  return Trim(text.substr(0, text.find('\n')));
}

Result<std::vector<std::string>> SplitCommand(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\'' || c == '"') {
      const size_t end = line.find(c, i + 1);
      if (end == std::string_view::npos)
        return Fail(ErrorCode::kInvalidArgument, "a quote {} is not closed", c);
      word += line.substr(i + 1, end - i - 1);
      in_word = true;
      i = end;
    } else if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else if (std::string_view("`;|&<>()").find(c) != std::string_view::npos) {
      return Fail(ErrorCode::kInvalidArgument, "`{}` needs a shell, which rules do not get", c);
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace faultline
