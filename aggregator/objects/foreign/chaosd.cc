#include "aggregator/objects/foreign/chaosd.h"

#include <algorithm>
#include <map>

#include "aggregator/objects/foreign/chaos_mesh_spec.h"
#include "aggregator/objects/objects.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

// Until somebody recovers it, there; here a fault always ends.
constexpr std::string_view kLongestDuration = "1h";

// Short options, by attack and action.
struct ShortOption {
  std::string_view attack;  // "network", or "network delay" where the action decides
  char letter;
  std::string_view name;
};
constexpr ShortOption kShort[] = {
    {"network", 'd', "device"},
    {"network", 'i', "ip-address"},
    {"network", 'H', "hostname"},
    {"network", 'p', "ip-protocol"},
    {"network", 's', "source-port"},
    {"network", 'e', "egress-port"},
    {"network", 'l', "latency"},
    {"network", 'j', "jitter"},
    {"network", 'c', "correlation"},
    {"network", 'r', "rate"},
    {"network port", 'p', "port"},
    {"network bandwidth", 'l', "limit"},
    {"network bandwidth", 'b', "buffer"},
    {"network bandwidth", 'm', "minburst"},
    {"network dns", 'd', "dns-domain-name"},
    {"network dns", 'i', "dns-ip"},
    {"network flood", 'd', "duration"},
    {"network flood", 'n', "parallel"},
    {"network flood", 'p', "port"},
    {"process", 'p', "process"},
    {"process", 's', "signal"},
    {"process", 'r', "recover-cmd"},
    {"stress", 'w', "workers"},
    {"stress", 'l', "load"},
    {"stress", 's', "size"},
    {"stress", 'o', "options"},
    {"disk", 's', "size"},
    {"disk", 'p', "path"},
    {"disk", 'n', "process-num"},
    {"disk", 'c', "percent"},
    {"disk", 'f', "fallocate"},
    {"clock", 'p', "pid"},
    {"clock", 't', "time-offset"},
    {"clock", 'c', "clock-ids"},
    {"jvm", 'c', "class"},
    {"jvm", 'm', "method"},
    {"jvm", 'd', "database"},
    {"jvm", 't', "table"},
    {"jvm", 'v', "mysql-connector-version"},
    {"jvm rule-file", 'p', "rule-file"},
    {"redis", 'a', "addr"},
    {"redis", 'p', "password"},
    {"redis", 's', "size"},
    {"redis", 'c', "conf"},
    {"redis", 'k', "key"},
    {"kafka", 'T', "topic"},
    {"kafka", 'H', "host"},
    {"kafka", 'P', "port"},
    {"kafka", 's', "size"},
    {"kafka", 'm', "max-bytes"},
    {"kafka", 't', "threads"},
    {"kafka", 'u', "username"},
    {"kafka", 'p', "password"},
    {"kafka flood", 'r', "rps"},
    {"kafka io", 'r', "non-readable"},
    {"kafka io", 'w', "non-writable"},
    {"kafka io", 'c', "config-file"},
    {"vm", 'v', "vm-name"},
    {"file", 'f', "file-name"},
    {"file", 'd', "dir-name"},
    {"file", 'p', "privilege"},
    {"file", 's', "source-file"},
    {"file rename", 'd', "dest-file"},
    {"file append", 'd', "data"},
    {"file append", 'c', "count"},
    {"file replace", 'o', "origin-string"},
    {"file replace", 'd', "dest-string"},
    {"file replace", 'l', "line"},
    {"http", 'p', "proxy-ports"},
    {"http", 't', "target"},
    {"http", 'm', "method"},
    {"http", 'c', "code"},
    {"http delay", 'd', "delay"},
    {"http config", 'p', "file-path"},
    {"http request", 'c', "count"},
    {"user_defined", 'a', "attackCmd"},
    {"user_defined", 'r', "recoverCmd"},
};

// Long options that are called otherwise in a body.
struct LongOption {
  std::string_view attack, name, field;
};
constexpr LongOption kLong[] = {
    {"network", "ip", "ip-address"},
    {"network", "protocol", "ip-protocol"},
    {"jvm", "path", "rule-file"},
    {"kafka", "config", "config-file"},
    {"user_defined", "attack-cmd", "attackCmd"},
    {"user_defined", "recover-cmd", "recoverCmd"},
};

constexpr std::string_view kAttacks[] = {"process", "stress", "network",     "disk",  "clock",
                                         "host",    "jvm",    "kafka",       "redis", "vm",
                                         "file",    "http",   "user_defined"};

// -5, -10m: a value, not an option.
bool IsNegative(std::string_view word) {
  return word.size() > 1 && word[0] == '-' && word[1] >= '0' && word[1] <= '9';
}

std::string LongName(const std::string& attack, const std::string& action, char letter) {
  for (const std::string& wanted : {attack + " " + action, attack}) {
    for (const ShortOption& option : kShort) {
      if (option.attack == wanted && option.letter == letter) return std::string(option.name);
    }
  }
  return "";
}

}  // namespace

Result<std::vector<json::object>> TranslateAttack(const std::string& kind, json::object body,
                                                  const std::string& name,
                                                  const std::string& node) {
  dialects::TranslatedChaos chaos;
  FieldReader reader(body, "");
  FAULTLINE_TRY(dialects::ReadAttack(kind, reader, chaos));
  json::object& selector = chaos.spec["selector"].as_object();
  selector["nodes"] = json::array{json::string(node.empty() ? "*" : node)};
  if (!chaos.spec.contains("mode")) chaos.spec["mode"] = "one";
  if (!chaos.spec.contains("duration")) chaos.spec["duration"] = json::string(kLongestDuration);
  std::vector<json::object> objects;
  for (json::object& spec : chaos.Specs()) {
    json::object annotations = {{"faultline.io/translated-from", "chaosd " + kind}};
    if (!chaos.notes.empty()) annotations["faultline.io/translation-note"] = chaos.notes.front();
    objects.push_back(
        {{"apiVersion", kApiVersion},
         {"kind", "Experiment"},
         {"metadata",
          {{"name", name}, {"labels", {{"chaosd", kind}}}, {"annotations", annotations}}},
         {"spec", std::move(spec)}});
  }
  return objects;
}

Result<AttackCommand> ReadAttackCommand(std::span<const std::string> words) {
  if (!words.empty() && words.front().ends_with("chaosd")) words = words.subspan(1);
  if (!words.empty() && words.front() == "attack") words = words.subspan(1);
  AttackCommand command;
  std::vector<std::string> actions;
  std::map<std::string, std::string> options;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-h" || word == "--help")
      return Fail(ErrorCode::kUnsupported, "{}: asks for help and attacks nothing", word);
    if (word.starts_with("[") || word.starts_with("<"))
      return Fail(ErrorCode::kUnsupported, "{}: is the form of a command; say what goes there",
                  word);
    if (!word.starts_with("-")) {
      (command.kind.empty() ? command.kind : actions.emplace_back()) =
          word == "user-defined" ? "user_defined" : word;
      continue;
    }
    const size_t equals = word.find('=');
    std::string name = word.substr(0, equals);
    if (name.starts_with("--")) {
      name = name.substr(2);
      for (const LongOption& option : kLong)
        if (option.attack == command.kind && option.name == name) name = option.field;
    } else if (name.size() == 2) {
      const std::string long_name =
          LongName(command.kind, actions.empty() ? "" : actions.front(), name[1]);
      if (long_name.empty())
        return Fail(ErrorCode::kInvalidArgument, "{}: chaosd attack {} has no such option", word,
                    command.kind);
      name = long_name;
    } else {
      return Fail(ErrorCode::kInvalidArgument, "{}: not an option", word);
    }
    if (equals != std::string::npos) {
      options[name] = word.substr(equals + 1);
    } else if (i + 1 < words.size() &&
               (!words[i + 1].starts_with("-") || IsNegative(words[i + 1]))) {
      options[name] = words[++i];
    } else {
      options[name] = "true";
    }
  }
  if (std::find(std::begin(kAttacks), std::end(kAttacks), command.kind) == std::end(kAttacks))
    return Fail(ErrorCode::kInvalidArgument, "attack: '{}' is not one of chaosd's", command.kind);
  options.erase("log-level");  // of chaosd itself
  for (const auto& [name, value] : options) command.body[name] = value;
  if (command.kind == "disk" && actions.size() == 2 && actions[0] == "add-payload")
    actions = {actions[1] + "-payload"};
  if (actions.size() > 1)
    return Fail(ErrorCode::kInvalidArgument, "{}: is one word too many", actions[1]);
  if (actions.empty() && command.kind != "clock" && command.kind != "vm" &&
      command.kind != "user_defined")
    return Fail(ErrorCode::kInvalidArgument, "attack {}: which action?", command.kind);
  if (!actions.empty()) command.body["action"] = actions.front();
  return command;
}

}  // namespace faultline
