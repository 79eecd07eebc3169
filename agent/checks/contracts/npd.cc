// node-problem-detector. A log monitor (kmsg, journald, filelog) has rules of type temporary (an
// event) or permanent (sets a condition); a custom plugin monitor runs programs: exit 0 is OK, 1 is
// not OK, anything else is unknown, and what they print is the message, cut to max_output_length.
// Its system-stats and exporter files are understood and are no checks.
#include <algorithm>
#include <set>

#include "agent/checks/contracts/contract_rows.h"
#include "common/text.h"

#include <re2/re2.h>

namespace faultline {
namespace {

constexpr int64_t kMinInterval = kNsPerSecond;

struct Monitor {
  std::string source;
  std::vector<LogCondition> conditions;
};

const LogCondition* FindCondition(const Monitor& monitor, std::string_view type) {
  for (const LogCondition& condition : monitor.conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

Result<Monitor> ReadMonitor(Fields& top, const RuleDocument& document) {
  Monitor monitor;
  FAULTLINE_ASSIGN(monitor.source, top.Text("source"));
  FAULTLINE_TRY(top.BoolOr("metricsReporting", true));
  FAULTLINE_ASSIGN(const std::vector<RuleNode>* conditions, top.ListOr("conditions"));
  for (size_t i = 0; conditions != nullptr && i < conditions->size(); ++i) {
    FAULTLINE_ASSIGN(
        Fields fields,
        Fields::Of(document.name, top.PathOf(fmt::format("conditions[{}]", i)), (*conditions)[i]));
    LogCondition condition;
    FAULTLINE_ASSIGN(condition.type, fields.Text("type"));
    FAULTLINE_ASSIGN(condition.reason, fields.Text("reason"));
    FAULTLINE_ASSIGN(condition.message, fields.TextOr("message", ""));
    FAULTLINE_TRY(fields.Done());
    monitor.conditions.push_back(std::move(condition));
  }
  return monitor;
}

struct RuleKind {
  v1::CheckKind kind = v1::CHECK_KIND_EVENT;
  std::string condition;
  std::string reason;
};

Result<RuleKind> ReadKind(Fields& fields, const Monitor& monitor) {
  RuleKind kind;
  FAULTLINE_ASSIGN(const std::string type, fields.Text("type"));
  FAULTLINE_ASSIGN(kind.reason, fields.Text("reason"));
  FAULTLINE_ASSIGN(kind.condition, fields.TextOr("condition", ""));
  if (type == "permanent") {
    kind.kind = v1::CHECK_KIND_CONDITION;
    if (FindCondition(monitor, kind.condition) == nullptr) {
      return fields.Wrong("condition", "`{}` is not among the monitor's conditions",
                          kind.condition);
    }
  } else if (type != "temporary") {
    return fields.Wrong("type", "`{}` is neither temporary nor permanent", type);
  }
  return kind;
}

std::string UniqueName(std::set<std::string>& names, const std::string& wanted) {
  std::string name = wanted;
  for (int n = 2; !names.insert(name).second; ++n) name = fmt::format("{}#{}", wanted, n);
  return name;
}

Result<RuleSet> ReadPlugins(Fields& top, const RuleDocument& document,
                            const ContractContext& context) {
  FAULTLINE_ASSIGN(const Monitor monitor, ReadMonitor(top, document));
  int64_t interval_ns = 30 * kNsPerSecond;
  int64_t timeout_ns = 5 * kNsPerSecond;
  int64_t max_message = 80;
  if (const RuleNode* node = top.Take("pluginConfig"); node != nullptr) {
    FAULTLINE_ASSIGN(Fields config, Fields::Of(document.name, top.PathOf("pluginConfig"), *node));
    FAULTLINE_ASSIGN(interval_ns, config.DurationOr("invoke_interval", interval_ns));
    FAULTLINE_ASSIGN(timeout_ns, config.DurationOr("timeout", timeout_ns));
    FAULTLINE_ASSIGN(max_message, config.NumberOr("max_output_length", max_message, 1, 65536));
    FAULTLINE_TRY(config.NumberOr("concurrency", 3, 1, 1000));
    FAULTLINE_TRY(config.BoolOr("enable_message_change_based_condition_update", false));
    FAULTLINE_TRY(config.BoolOr("skip_initial_status", false));
    FAULTLINE_TRY(config.Done());
  }
  RuleSet set;
  std::set<std::string> names;
  FAULTLINE_ASSIGN(const std::vector<RuleNode>* rules, top.ListOr("rules"));
  for (size_t i = 0; rules != nullptr && i < rules->size(); ++i) {
    FAULTLINE_ASSIGN(
        Fields fields,
        Fields::Of(document.name, top.PathOf(fmt::format("rules[{}]", i)), (*rules)[i]));
    FAULTLINE_ASSIGN(const RuleKind kind, ReadKind(fields, monitor));
    CheckRule rule;
    rule.contract = "npd";
    rule.module = monitor.source;
    rule.item = kind.condition.empty() ? kind.reason : kind.condition;
    rule.reason = kind.reason;
    rule.condition = kind.condition.empty() ? kind.reason : kind.condition;
    rule.kind = kind.kind;
    rule.level =
        kind.kind == v1::CHECK_KIND_CONDITION ? v1::CHECK_LEVEL_CRITICAL : v1::CHECK_LEVEL_WARNING;
    FAULTLINE_TRY(SetProgram(fields, "path", document, context, rule));
    FAULTLINE_ASSIGN(rule.arguments, fields.Texts("args"));
    FAULTLINE_ASSIGN(rule.timeout_ns, fields.DurationOr("timeout", timeout_ns));
    FAULTLINE_ASSIGN(rule.interval_ns, fields.DurationOr("invoke_interval", interval_ns));
    // The rule's timeout cannot be longer than the monitor's.
    rule.timeout_ns = std::min(rule.timeout_ns == 0 ? timeout_ns : rule.timeout_ns, timeout_ns);
    rule.interval_ns = std::max(rule.interval_ns, kMinInterval);
    rule.max_message_bytes = static_cast<uint32_t>(max_message);
    if (const LogCondition* condition = FindCondition(monitor, kind.condition);
        condition != nullptr) {
      rule.ok_reason = condition->reason;
      rule.ok_message = condition->message;
    }
    FAULTLINE_TRY(fields.Done());
    const char* what = kind.kind == v1::CHECK_KIND_CONDITION ? "condition" : "event";
    rule.rule = UniqueName(names, fmt::format("npd/{}/{}/{}", monitor.source, what, rule.item));
    set.checks.push_back(std::move(rule));
  }
  return set;
}

Result<RuleSet> ReadLogMonitor(Fields& top, const std::string& plugin,
                               const RuleDocument& document) {
  FAULTLINE_ASSIGN(Monitor monitor, ReadMonitor(top, document));
  LogMonitor log;
  log.source = monitor.source;
  log.plugin = plugin;
  log.origin = document.name;
  FAULTLINE_ASSIGN(log.path, top.TextOr("logPath", plugin == "kmsg" ? "/dev/kmsg" : ""));
  FAULTLINE_ASSIGN(log.lookback_ns, top.DurationOr("lookback", 0, true));
  FAULTLINE_TRY(top.DurationOr("delay", 0, true));
  FAULTLINE_ASSIGN(const int64_t lines, top.NumberOr("bufferSize", 10, 0, 1000));
  log.buffer_lines = static_cast<uint32_t>(lines == 0 ? 10 : lines);
  FAULTLINE_ASSIGN(log.skip, top.Texts("skipList"));
  if (const RuleNode* node = top.Take("pluginConfig"); node != nullptr) {
    FAULTLINE_ASSIGN(Fields config, Fields::Of(document.name, top.PathOf("pluginConfig"), *node));
    FAULTLINE_ASSIGN(log.unit, config.TextOr("source", ""));
    FAULTLINE_ASSIGN(log.timestamp_pattern, config.TextOr("timestamp", ""));
    FAULTLINE_ASSIGN(log.message_pattern, config.TextOr("message", ""));
    FAULTLINE_ASSIGN(log.timestamp_format, config.TextOr("timestampFormat", ""));
    for (const auto& [field, pattern] : {std::pair("timestamp", log.timestamp_pattern),
                                         std::pair("message", log.message_pattern)}) {
      RE2::Options options;
      options.set_log_errors(false);
      if (const RE2 compiled(pattern, options); !compiled.ok())
        return config.Wrong(field, "{}", compiled.error());
    }
    FAULTLINE_TRY(config.TextOr(
        "revive", ""));  // kmsg: the stream is opened again after an error; ours always is
    FAULTLINE_TRY(config.TextOr("restartOnErrors", ""));
    FAULTLINE_TRY(config.Done());
  }
  if (plugin == "filelog" && !log.path.starts_with('/'))
    return top.Wrong("logPath", "must be an absolute path");
  std::set<std::string> names;
  FAULTLINE_ASSIGN(const std::vector<RuleNode>* rules, top.ListOr("rules"));
  for (size_t i = 0; rules != nullptr && i < rules->size(); ++i) {
    FAULTLINE_ASSIGN(
        Fields fields,
        Fields::Of(document.name, top.PathOf(fmt::format("rules[{}]", i)), (*rules)[i]));
    FAULTLINE_ASSIGN(const RuleKind kind, ReadKind(fields, monitor));
    LogRule rule;
    rule.kind = kind.kind;
    rule.level =
        kind.kind == v1::CHECK_KIND_CONDITION ? v1::CHECK_LEVEL_CRITICAL : v1::CHECK_LEVEL_WARNING;
    rule.reason = kind.reason;
    rule.condition = kind.condition;
    FAULTLINE_ASSIGN(rule.pattern, fields.Text("pattern"));
    FAULTLINE_ASSIGN(rule.message_suffix, fields.TextOr("patternGeneratedMessageSuffix", ""));
    FAULTLINE_TRY(fields.Done());
    RE2::Options options;
    options.set_log_errors(false);
    if (const RE2 compiled(rule.pattern, options); !compiled.ok()) {
      return fields.Wrong("pattern", "{}", compiled.error());
    }
    rule.module = monitor.source;
    rule.rule = UniqueName(names, fmt::format("npd/{}/{}", monitor.source, kind.reason));
    log.rules.push_back(std::move(rule));
  }
  log.conditions = std::move(monitor.conditions);
  RuleSet set;
  set.monitors.push_back(std::move(log));
  return set;
}

bool IsFigures(const RuleNode& root) {
  for (const auto& [field, value] : root.fields) {
    if (field == "metricsConfigs" || field == "apiEndpoint" ||
        value.Find("metricsConfigs") != nullptr)
      return true;
  }
  return false;
}

}  // namespace

bool NpdClaims(const RuleDocument& /*document*/, const RuleNode* root) {
  if (root == nullptr || root->kind != RuleNode::Kind::kMap) return false;
  return root->Find("plugin") != nullptr || (root->Find("pluginConfig") != nullptr) ||
         IsFigures(*root);
}

Result<RuleSet> ReadNpd(const RuleDocument& document, const RuleNode* root,
                        const ContractContext& context) {
  if (root == nullptr) {
    const auto parsed = ParseRuleText(document.text, document.name);
    return std::unexpected(parsed ? Error{} : parsed.error());
  }
  if (IsFigures(*root)) {
    RuleSet set;
    set.notes.push_back(
        fmt::format("{}: figures or an exporter, not checks: what they export is collected anyway",
                    document.name));
    return set;
  }
  FAULTLINE_ASSIGN(Fields top, Fields::Of(document.name, "", *root));
  FAULTLINE_ASSIGN(const std::string plugin, top.Text("plugin"));
  if (plugin != "custom" && plugin != "kmsg" && plugin != "journald" && plugin != "filelog") {
    return top.Wrong("plugin", "`{}` is none of custom, kmsg, journald, filelog", plugin);
  }
  FAULTLINE_ASSIGN(RuleSet set, plugin == "custom" ? ReadPlugins(top, document, context)
                                                   : ReadLogMonitor(top, plugin, document));
  FAULTLINE_TRY(top.Done());
  return set;
}

std::vector<v1::CheckResult> JudgeNpd(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                      v1::CheckResult result) {
  const int code = outcome.exit_code();
  result.set_verdict(code == 0   ? v1::CHECK_VERDICT_OK
                     : code == 1 ? v1::CHECK_VERDICT_PROBLEM
                                 : v1::CHECK_VERDICT_UNKNOWN);
  const std::string printed = OneLine(outcome.output(), rule.max_message_bytes);
  result.set_message(printed);
  if (code == 0 && rule.kind == v1::CHECK_KIND_CONDITION) {
    result.set_reason(rule.ok_reason);
    result.set_message(rule.ok_message);
  }
  return {result};
}

}  // namespace faultline
