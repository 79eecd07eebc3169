// What programs say in JSON. gpud: states {component, health
// Healthy|Degraded|Unhealthy|Initializing, reason, error, suggested_actions {description,
// repair_actions[]}, extra_info}, alone, in a list or below `states`. sichek: {item, status
// normal|abnormal, level, checkers [{name, device, spec, curr, status, level, suggestion, detail,
// error_name}]}. Several objects may follow each other, one a line; lines that are no JSON are
// passed over.
#include <boost/json.hpp>

#include "agent/checks/contracts/contract_rows.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxStates = 256;
constexpr size_t kMaxNameBytes = 128;
constexpr size_t kMaxTextBytes = 512;

std::string TextOf(const json::object& object, std::string_view key, size_t max_bytes) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return OneLine(value->get_string(), max_bytes);
  return OneLine(json::serialize(*value), max_bytes);
}

v1::CheckLevel LevelOf(std::string_view name, v1::CheckLevel fallback) {
  if (name == "info") return v1::CHECK_LEVEL_INFO;
  if (name == "warning") return v1::CHECK_LEVEL_WARNING;
  if (name == "critical") return v1::CHECK_LEVEL_CRITICAL;
  if (name == "fatal") return v1::CHECK_LEVEL_FATAL;
  return fallback;
}

void Name(v1::CheckResult& result, const v1::CheckResult& like, std::string_view name) {
  if (name.empty()) return;
  result.set_item(std::string(name));
  result.set_rule(fmt::format("{}/{}", like.rule(), name));
}

class Reader {
 public:
  explicit Reader(const v1::CheckResult& like) : like_(like) {}

  void Take(const json::value& value, int depth = 0) {
    if (depth > 8 || results.size() >= kMaxStates) return;
    if (const json::array* list = value.if_array()) {
      for (const json::value& item : *list) Take(item, depth + 1);
      return;
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return;
    if (object->contains("health")) return State(*object);
    if (const json::value* checkers = object->if_contains("checkers");
        checkers != nullptr && checkers->is_array()) {
      for (const json::value& checker : checkers->get_array()) {
        if (const json::object* found = checker.if_object()) Checker(*object, *found);
      }
      return;
    }
    for (const char* nested : {"states", "health_states"}) {
      if (const json::value* states = object->if_contains(nested)) Take(*states, depth + 1);
    }
  }

  std::vector<v1::CheckResult> results;

 private:
  void State(const json::object& state) {
    v1::CheckResult result = like_;
    std::string name = TextOf(state, "component", kMaxNameBytes);
    if (const std::string own = TextOf(state, "name", kMaxNameBytes); !own.empty() && own != name) {
      name += name.empty() ? own : "/" + own;
    }
    Name(result, like_, name);
    const std::string health = TextOf(state, "health", kMaxNameBytes);
    result.set_verdict(health == "Healthy"     ? v1::CHECK_VERDICT_OK
                       : health == "Degraded"  ? v1::CHECK_VERDICT_DEGRADED
                       : health == "Unhealthy" ? v1::CHECK_VERDICT_PROBLEM
                                               : v1::CHECK_VERDICT_UNKNOWN);
    result.set_message(TextOf(state, "reason", kMaxTextBytes));
    if (result.message().empty()) result.set_message(TextOf(state, "error", kMaxTextBytes));
    if (const json::value* actions = state.if_contains("suggested_actions");
        actions != nullptr && actions->is_object()) {
      result.set_suggestion(TextOf(actions->get_object(), "description", kMaxTextBytes));
      const json::value* repairs = actions->get_object().if_contains("repair_actions");
      if (repairs != nullptr && repairs->is_array() && !repairs->get_array().empty() &&
          repairs->get_array().front().is_string()) {
        result.set_action(OneLine(repairs->get_array().front().get_string(), kMaxNameBytes));
      }
    }
    results.push_back(std::move(result));
  }

  void Checker(const json::object& item, const json::object& checker) {
    if (results.size() >= kMaxStates) return;
    v1::CheckResult result = like_;
    if (const std::string module = TextOf(item, "item", kMaxNameBytes); !module.empty())
      result.set_module(module);
    Name(result, like_, TextOf(checker, "name", kMaxNameBytes));
    const std::string status = TextOf(checker, "status", kMaxNameBytes);
    result.set_verdict(status == "normal"     ? v1::CHECK_VERDICT_OK
                       : status == "abnormal" ? v1::CHECK_VERDICT_PROBLEM
                                              : v1::CHECK_VERDICT_UNKNOWN);
    result.set_level(LevelOf(TextOf(checker, "level", kMaxNameBytes), like_.level()));
    result.set_device(TextOf(checker, "device", kMaxTextBytes));
    result.set_expected(TextOf(checker, "spec", kMaxTextBytes));
    result.set_current(TextOf(checker, "curr", kMaxTextBytes));
    result.set_suggestion(TextOf(checker, "suggestion", kMaxTextBytes));
    result.set_message(TextOf(checker, "detail", kMaxTextBytes));
    if (const std::string error = TextOf(checker, "error_name", kMaxNameBytes); !error.empty()) {
      result.set_reason(error);
      result.set_condition(error);
    }
    results.push_back(std::move(result));
  }

  const v1::CheckResult& like_;
};

void ParseAll(std::string_view text, Reader& reader) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = 16;
  if (const json::value whole = json::parse(text, error, {}, options); !error)
    return reader.Take(whole);
  std::string_view line;
  while (NextLine(text, line)) {
    line = Trim(line);
    if (!line.starts_with('{') && !line.starts_with('[')) continue;
    error.clear();
    if (const json::value value = json::parse(line, error, {}, options); !error) reader.Take(value);
  }
}

}  // namespace

// Rules say `contract: gpud` themselves; no document is gpud's own.
bool GpudClaims(const RuleDocument& /*document*/, const RuleNode* /*root*/) { return false; }

std::vector<v1::CheckResult> JudgeJson(const CheckRule& /*rule*/, const v1::ProgramOutcome& outcome,
                                       v1::CheckResult result) {
  Reader reader(result);
  ParseAll(outcome.output(), reader);
  if (!reader.results.empty()) return std::move(reader.results);
  result.set_verdict(outcome.exit_code() == 0 ? v1::CHECK_VERDICT_OK : v1::CHECK_VERDICT_PROBLEM);
  result.set_message(std::string(FirstLine(outcome.output())));
  return {result};
}

}  // namespace faultline
