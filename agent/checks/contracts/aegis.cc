// `rules:`, a list of {module, item, reason, file, level, timeout} as Aegis has it in ConfigMaps,
// and what ours may say besides: builtin, args, contract, interval, condition, kind, view,
// suggestion. A script's verdict is its exit code (0 is well), or, if it prints a line `results:`,
// the YAML behind the last such line: module -> items, where status true means that the problem is
// there.
#include <algorithm>
#include <set>

#include "agent/checks/contracts/contract_rows.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxResults = 256;
constexpr size_t kMaxNameBytes = 128;

Result<void> ReadView(Fields& fields, const RuleDocument& document, CheckRule& rule) {
  const RuleNode* node = fields.Take("view");
  if (node == nullptr) return {};
  FAULTLINE_ASSIGN(Fields view, Fields::Of(document.name, fields.PathOf("view"), *node));
  FAULTLINE_ASSIGN(std::string text, view.TextOr("namespace", ""));
  rule.view.set_namespace_(text);
  FAULTLINE_ASSIGN(text, view.TextOr("pod", ""));
  rule.view.set_pod(text);
  FAULTLINE_ASSIGN(text, view.TextOr("container", ""));
  rule.view.set_container(text);
  FAULTLINE_ASSIGN(const int64_t pid, view.NumberOr("pid", 0, 0, 1 << 22));
  rule.view.set_pid(static_cast<uint32_t>(pid));
  return view.Done();
}

Result<void> ReadHow(Fields& fields, const RuleDocument& document, const ContractContext& context,
                     CheckRule& rule) {
  FAULTLINE_ASSIGN(rule.builtin, fields.TextOr("builtin", ""));
  FAULTLINE_ASSIGN(rule.contract,
                   fields.TextOr("contract", rule.builtin.empty() ? "aegis" : "builtin"));
  const RuleNode* parameters = fields.Take("parameters");
  if (parameters != nullptr && parameters->kind != RuleNode::Kind::kMap) {
    return fields.Wrong("parameters", "must be a map of texts");
  }
  for (size_t i = 0; parameters != nullptr && i < parameters->fields.size(); ++i) {
    rule.parameters[parameters->fields[i].first] = parameters->fields[i].second.text;
  }
  if (!rule.builtin.empty()) {
    if (fields.Has("file")) return fields.Wrong("builtin", "file and builtin exclude each other");
    rule.origin = fmt::format("{}:{}", document.name, fields.node().line);
    return {};
  }
  if (FindContract(rule.contract) == nullptr) {
    return fields.Wrong("contract", "`{}` is none of npd, gpud, aegis, nhc, nagios", rule.contract);
  }
  FAULTLINE_TRY(SetProgram(fields, "file", document, context, rule));
  FAULTLINE_ASSIGN(rule.arguments, fields.Texts("args"));
  return {};
}

Result<CheckRule> ReadRule(Fields& fields, const RuleDocument& document,
                           const ContractContext& context) {
  CheckRule rule;
  FAULTLINE_ASSIGN(rule.module, fields.Text("module"));
  FAULTLINE_ASSIGN(rule.item, fields.Text("item"));
  FAULTLINE_ASSIGN(rule.reason, fields.TextOr("reason", rule.item));
  FAULTLINE_ASSIGN(rule.condition, fields.TextOr("condition", rule.reason));
  FAULTLINE_TRY(ReadHow(fields, document, context, rule));
  FAULTLINE_ASSIGN(rule.level, ReadLevel(fields, "level", v1::CHECK_LEVEL_WARNING));
  FAULTLINE_ASSIGN(rule.timeout_ns, fields.DurationOr("timeout", 0, true));
  FAULTLINE_ASSIGN(rule.interval_ns, fields.DurationOr("interval", 0, true));
  FAULTLINE_ASSIGN(rule.suggestion, fields.TextOr("suggestion", ""));
  FAULTLINE_ASSIGN(const std::string kind, fields.TextOr("kind", "condition"));
  if (kind != "condition" && kind != "event")
    return fields.Wrong("kind", "`{}` is neither condition nor event", kind);
  rule.kind = kind == "event" ? v1::CHECK_KIND_EVENT : v1::CHECK_KIND_CONDITION;
  FAULTLINE_TRY(ReadView(fields, document, rule));
  if (rule.interval_ns != 0 && rule.interval_ns < kNsPerSecond)
    return fields.Wrong("interval", "must be at least 1s");
  FAULTLINE_TRY(fields.Done());
  return rule;
}

// A ConfigMap's data are documents of rules.
Result<RuleSet> ReadConfigMap(const RuleDocument& document, const RuleNode& root,
                              const ContractContext& context) {
  RuleSet set;
  const RuleNode* entries = root.Find("data");
  if (entries == nullptr || entries->kind != RuleNode::Kind::kMap) {
    return FailAt(document.name, root, "data", "must be a map of documents");
  }
  for (const auto& [name, text] : entries->fields) {
    RuleDocument inner = document;
    inner.name = fmt::format("{}:{}:data.{}", document.name, text.line, name);
    inner.contract.clear();
    inner.text = text.text;
    // Others are scripts beside their rules.
    if (inner.text.find("rules:") == std::string::npos && !AegisPriorityClaims(inner, nullptr))
      continue;
    FAULTLINE_ASSIGN(RuleSet read, ReadRules(inner, context));
    std::ranges::move(read.checks, std::back_inserter(set.checks));
    std::ranges::move(read.monitors, std::back_inserter(set.monitors));
    set.levels.merge(read.levels);
  }
  return set;
}

Result<v1::CheckResult> ReadItem(Fields& fields, const std::string& module,
                                 const v1::CheckResult& like) {
  v1::CheckResult result = like;
  result.set_module(OneLine(module, kMaxNameBytes));
  FAULTLINE_ASSIGN(std::string text, fields.Text("item"));
  result.set_item(OneLine(text, kMaxNameBytes));
  FAULTLINE_ASSIGN(text, fields.TextOr("condition", result.item()));
  result.set_condition(OneLine(text, kMaxNameBytes));
  result.set_reason(result.condition());
  FAULTLINE_ASSIGN(const v1::CheckLevel level, ReadLevel(fields, "level", like.level()));
  result.set_level(level);
  FAULTLINE_ASSIGN(const bool problem, fields.BoolOr("status", false));
  result.set_verdict(problem ? v1::CHECK_VERDICT_PROBLEM : v1::CHECK_VERDICT_OK);
  FAULTLINE_ASSIGN(text, fields.TextOr("message", ""));
  result.set_message(text);
  result.set_rule(fmt::format("{}/{}/{}", like.rule(), result.module(), result.item()));
  return result;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text)
    quoted += c == '\'' ? std::string("''") : std::string(1, c == '\n' ? ' ' : c);
  return quoted + "'";
}

const char* LevelName(v1::CheckLevel level) {
  switch (level) {
    case v1::CHECK_LEVEL_INFO:
      return "info";
    case v1::CHECK_LEVEL_CRITICAL:
      return "critical";
    case v1::CHECK_LEVEL_FATAL:
      return "fatal";
    default:
      return "warning";
  }
}

}  // namespace

bool RuleListClaims(const RuleDocument& /*document*/, const RuleNode* root) {
  if (root == nullptr || root->kind != RuleNode::Kind::kMap) return false;
  const RuleNode* kind = root->Find("kind");
  return root->Find("rules") != nullptr || (kind != nullptr && kind->text == "ConfigMap");
}

Result<RuleSet> ReadRuleList(const RuleDocument& document, const RuleNode* root,
                             const ContractContext& context) {
  if (root == nullptr) {
    const auto parsed = ParseRuleText(document.text, document.name);
    return std::unexpected(parsed ? Error{} : parsed.error());
  }
  if (const RuleNode* kind = root->Find("kind"); kind != nullptr && kind->text == "ConfigMap") {
    return ReadConfigMap(document, *root, context);
  }
  FAULTLINE_ASSIGN(Fields top, Fields::Of(document.name, "", *root));
  FAULTLINE_ASSIGN(const std::vector<RuleNode>* rules, top.ListOr("rules"));
  FAULTLINE_TRY(top.Done());
  RuleSet set;
  std::set<std::string> names;
  for (size_t i = 0; rules != nullptr && i < rules->size(); ++i) {
    FAULTLINE_ASSIGN(Fields fields,
                     Fields::Of(document.name, fmt::format("rules[{}]", i), (*rules)[i]));
    FAULTLINE_ASSIGN(CheckRule rule, ReadRule(fields, document, context));
    rule.rule = fmt::format("{}/{}/{}", rule.contract, rule.module, rule.item);
    if (!names.insert(rule.rule).second)
      return fields.Wrong("item", "{} is there twice", rule.rule);
    set.checks.push_back(std::move(rule));
  }
  return set;
}

Result<std::vector<v1::CheckResult>> ParseAegisResults(std::string_view output,
                                                       const v1::CheckResult& like) {
  std::vector<v1::CheckResult> results;
  size_t begin = std::string_view::npos;
  for (size_t at = 0; at < output.size();) {
    if (output.substr(at).starts_with("results:")) begin = at;
    const size_t end = output.find('\n', at);
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
  if (begin == std::string_view::npos) return results;
  // Lines after the YAML, as logs have them, do not belong to it: it ends where a line stands at
  // the margin.
  size_t end = output.find('\n', begin);
  while (end != std::string_view::npos && end + 1 < output.size()) {
    const char first = output[end + 1];
    if (first != ' ' && first != '\t' && first != '-' && first != '\n') break;
    end = output.find('\n', end + 1);
  }
  const std::string_view yaml =
      output.substr(begin, end == std::string_view::npos ? end : end - begin);
  FAULTLINE_ASSIGN(const RuleNode root, ParseRuleText(yaml, "results"));
  const RuleNode* modules = root.Find("results");
  if (modules == nullptr || modules->kind != RuleNode::Kind::kMap) return results;
  for (const auto& [module, items] : modules->fields) {
    for (size_t i = 0; i < items.items.size() && results.size() < kMaxResults; ++i) {
      FAULTLINE_ASSIGN(Fields fields,
                       Fields::Of("results", fmt::format("{}[{}]", module, i), items.items[i]));
      FAULTLINE_ASSIGN(v1::CheckResult result, ReadItem(fields, module, like));
      results.push_back(std::move(result));
    }
  }
  return results;
}

std::string RenderAegisResults(std::span<const v1::CheckResult> results) {
  std::string text = "results:\n";
  std::set<std::string> modules;
  for (const v1::CheckResult& first : results) {
    if (!modules.insert(first.module()).second) continue;
    text += fmt::format("  {}:\n", Quoted(first.module()));
    for (const v1::CheckResult& result : results) {
      if (result.module() != first.module()) continue;
      const bool problem = result.verdict() == v1::CHECK_VERDICT_PROBLEM ||
                           result.verdict() == v1::CHECK_VERDICT_DEGRADED;
      text += fmt::format(
          "  - item: {}\n    condition: {}\n    level: {}\n    status: {}\n    message: {}\n",
          Quoted(result.item()), Quoted(result.condition()), LevelName(result.level()), problem,
          Quoted(result.message()));
    }
  }
  return text;
}

std::vector<v1::CheckResult> JudgeAegis(const CheckRule& /*rule*/,
                                        const v1::ProgramOutcome& outcome, v1::CheckResult result) {
  const auto results = ParseAegisResults(outcome.output(), result);
  if (results && !results->empty()) return *results;
  if (!results) {
    result.set_verdict(v1::CHECK_VERDICT_UNKNOWN);
    result.set_message(results.error().message);
    return {result};
  }
  result.set_verdict(outcome.exit_code() == 0 ? v1::CHECK_VERDICT_OK : v1::CHECK_VERDICT_PROBLEM);
  result.set_message(std::string(FirstLine(outcome.output())));
  if (result.message().empty()) result.set_message(std::string(FirstLine(outcome.error_output())));
  return {result};
}

}  // namespace faultline
