#include "aggregator/objects/foreign/chaos_mesh_spec.h"

#include <algorithm>
#include <optional>

#include "common/text.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr std::string_view kLongestDuration = "1h";
constexpr std::string_view kMoment = "10s";  // of what happens once and is over

using ReadKind = void (*)(FieldReader& spec, TranslatedChaos& to);

void AddFault(TranslatedChaos& to, std::string fault, json::object parameters,
              std::string suffix = "") {
  to.faults.push_back({std::move(suffix), std::move(fault), std::move(parameters)});
}

std::string Word(FieldReader& spec, std::string_view name) {
  const json::string* text = spec.String(name, Need::kRequired);
  return text == nullptr ? "" : std::string(*text);
}

// A list as a form leaves it: with lines in which nothing is written.
void DropEmpty(FieldReader& from, std::string_view name) {
  json::value* value = from.Any(name);
  if (value == nullptr || !value->is_array()) return;
  json::array filled;
  for (const json::value& item : value->get_array())
    if (!item.is_string() || !item.get_string().empty()) filled.push_back(item);
  value->get_array() = std::move(filled);
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  const size_t end = text.find_last_not_of('=') + 1;
  if (text.size() % 4 != 0 || text.size() - end > 2) return std::nullopt;
  for (const char c : text.substr(0, end)) {
    const size_t digit = kLetters.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return bytes;
}

// ---- Kinds
// ---------------------------------------------------------------------------------------

void ReadPod(FieldReader& spec, TranslatedChaos& to) {
  const std::string action = Word(spec, "action");
  json::object parameters;
  if (action == "pod-kill") {
    MoveTexts(spec, {"gracePeriod"}, parameters);
    return AddFault(to, "pod_kill", std::move(parameters));
  }
  spec.Any("gracePeriod");  // means nothing with the other actions
  if (action == "pod-failure") return AddFault(to, "pod_failure", {});
  if (action == "container-kill") return AddFault(to, "container_kill", {});
  spec.Refuse("action", "'" + action + "' is not one of pod-kill, pod-failure, container-kill");
}

// One group of a network manifest, as `delay: {latency, …}`.
void ReadGroup(FieldReader& spec, std::string_view group, json::object& to,
               const std::string& prefix) {
  spec.Object(group, [&](FieldReader& reader) {
    if (group == "delay") {
      MoveTexts(reader, {"latency", "jitter", "correlation"}, to, prefix);
      reader.Object("reorder", [&](FieldReader& reorder) {
        MoveTexts(reorder, {"reorder", "correlation", "gap"}, to, prefix + "reorder.");
      });
    } else if (group == "bandwidth") {
      MoveTexts(reader, {"rate", "limit", "buffer"}, to, prefix);
      for (const std::string_view name : {"peakrate", "minburst"})
        MoveUnlessZero(reader, name, to, prefix);
    } else if (group == "rate") {
      MoveTexts(reader, {"rate"}, to, prefix);
    } else {
      MoveTexts(reader, {group, "correlation"}, to, prefix);
    }
  });
}

void ReadNetwork(FieldReader& spec, TranslatedChaos& to) {
  const std::string action = Word(spec, "action");
  json::object parameters;
  constexpr std::string_view kGroups[] = {"delay",   "loss",      "duplicate",
                                          "corrupt", "bandwidth", "rate"};
  const bool is_netem = action == "netem";
  bool known = is_netem || action == "partition";
  for (const std::string_view group : kGroups) {
    known = known || action == group;
    if (is_netem && group != "bandwidth") {
      ReadGroup(spec, group, parameters, std::string(group) + ".");
    } else if (action == group) {
      if (!spec.Has(group)) spec.Refuse(group, "is missing");
      ReadGroup(spec, group, parameters, "");
    } else {
      RefuseFilled(spec, group, "means nothing with action " + action);
    }
  }
  if (!known) spec.Refuse("action", "'" + action + "' is no action of NetworkChaos");
  MoveTexts(spec, {"device", "direction", "externalTargets"}, parameters);
  const json::string* behavior = spec.String("partitionBehavior");
  if (behavior != nullptr && !behavior->empty() && *behavior != "drop") {
    spec.Refuse("partitionBehavior",
                "'" + std::string(*behavior) +
                    "' cannot be honoured: packets are dropped, none is answered");
  }
  if (spec.Any("targetDevice") != nullptr)
    to.notes.push_back(
        "targetDevice plays no part: packets are met where the selected pods send and receive "
        "them");
  AddFault(to, "network_" + action, std::move(parameters));
}

void ReadStress(FieldReader& spec, TranslatedChaos& to) {
  json::object cpu, memory, io;
  bool has_cpu = false, has_memory = false;
  const auto options = [&](FieldReader& reader) {
    DropEmpty(reader, "options");
    for (const std::string& option : reader.Strings("options"))
      ReadStressOptions(reader, "options", option, cpu, memory, io, to);
  };
  spec.Object("stressors", [&](FieldReader& stressors) {
    stressors.Object("cpu", [&](FieldReader& reader) {
      has_cpu = true;
      MoveTexts(reader, {"workers", "load"}, cpu);
      options(reader);
    });
    stressors.Object("memory", [&](FieldReader& reader) {
      has_memory = true;
      MoveTexts(reader, {"workers", "size", "oomScoreAdj"}, memory);
      options(reader);
    });
    if (!has_cpu && !has_memory)
      stressors.Refuse("cpu", "is missing, and so is memory: one is needed");
  });
  const json::string* raw = spec.String("stressngStressors");
  if (raw != nullptr && !raw->empty()) {  // wins over the others, as there
    cpu.clear(), memory.clear();
    ReadStressOptions(spec, "stressngStressors", std::string(*raw), cpu, memory, io, to);
    has_cpu = !cpu.empty();
    has_memory = !memory.empty();
  } else if (!has_cpu && !has_memory) {
    spec.Refuse("stressors", "is missing");
  }
  if (has_cpu) AddFault(to, "cpu_stress", std::move(cpu), "-cpu");
  if (has_memory) AddFault(to, "memory_stress", std::move(memory), "-memory");
  if (!io.empty()) AddFault(to, "io_stress", std::move(io), "-io");
}

void ReadIo(FieldReader& spec, TranslatedChaos& to) {
  const std::string action = Word(spec, "action");
  json::object parameters;
  if (spec.String("volumePath", Need::kRequired) != nullptr)
    MoveTexts(spec, {"volumePath"}, parameters);
  MoveTexts(spec, {"path", "percent", "methods"}, parameters);
  const auto only = [&](std::string_view wanted, std::string_view field) {
    if (action != wanted) RefuseFilled(spec, field, "means nothing with action " + action);
    return action == wanted;
  };
  if (only("latency", "delay")) MoveTexts(spec, {"delay"}, parameters);
  if (only("fault", "errno")) MoveTexts(spec, {"errno"}, parameters);
  if (only("attrOverride", "attr")) MoveTexts(spec, {"attr"}, parameters);
  if (only("mistake", "mistake")) MoveTexts(spec, {"mistake"}, parameters);
  if (action == "latency") return AddFault(to, "io_latency", std::move(parameters));
  if (action == "fault") return AddFault(to, "io_fault", std::move(parameters));
  if (action == "attrOverride") return AddFault(to, "io_attr_override", std::move(parameters));
  if (action == "mistake") return AddFault(to, "io_mistake", std::move(parameters));
  spec.Refuse("action", "'" + action + "' is not one of latency, fault, attrOverride, mistake");
}

void ReadTime(FieldReader& spec, TranslatedChaos& to) {
  json::object parameters;
  spec.String("timeOffset", Need::kRequired);
  MoveTexts(spec, {"timeOffset", "clockIds"}, parameters);
  AddFault(to, "clock_offset", std::move(parameters));
}

void ReadDns(FieldReader& spec, TranslatedChaos& to) {
  const std::string action = Word(spec, "action");
  json::object parameters;
  MoveTexts(spec, {"patterns"}, parameters);
  if (action != "error" && action != "random")
    spec.Refuse("action", "'" + action + "' is not one of error, random");
  AddFault(to, "dns_" + action, std::move(parameters));
}

void ReadHttp(FieldReader& spec, TranslatedChaos& to) {
  json::object filter;
  Word(spec, "target");
  MoveTexts(spec,
            {"target", "port", "path", "method", "code", "request_headers", "response_headers"},
            filter);
  RefuseFilled(spec, "tls",
               "cannot be honoured: what is encrypted between the parties is not opened");
  const auto with_filter = [&](json::object parameters) {
    for (const auto& [name, value] : filter) parameters[name] = value;
    return parameters;
  };
  if (spec.Boolean("abort").value_or(false)) AddFault(to, "http_abort", with_filter({}), "-abort");
  json::object delay, replace, patch;
  MoveTexts(spec, {"delay"}, delay);
  if (!delay.empty()) AddFault(to, "http_delay", with_filter(std::move(delay)), "-delay");
  spec.Object("replace", [&](FieldReader& reader) {
    MoveTexts(reader, {"path", "method", "code", "body", "queries", "headers"}, replace,
              "replace.");
    // Bytes are base64 in a manifest.
    if (json::value* body = replace.if_contains("replace.body"); body != nullptr) {
      const auto text = DecodeBase64(TextOf(*body));
      if (!text) return reader.Refuse("body", "is not base64, as bytes are in a manifest");
      if (!IsValidUtf8(*text)) return reader.Refuse("body", "cannot be honoured: it is no text");
      *body = json::string(*text);
    }
  });
  if (!replace.empty()) AddFault(to, "http_replace", with_filter(std::move(replace)), "-replace");
  spec.Object("patch", [&](FieldReader& reader) {
    reader.Object("body", [&](FieldReader& body) {
      MoveTexts(body, {"type", "value"}, patch, "patch.body.");
    });
    MoveTexts(reader, {"queries", "headers"}, patch, "patch.");
  });
  if (!patch.empty()) AddFault(to, "http_patch", with_filter(std::move(patch)), "-patch");
  if (to.faults.empty())
    spec.Refuse("abort", "is missing, and so are delay, replace, patch: one is needed");
}

// What fails in there is a system call; the call that was meant gets the errno of the failure.
void ReadKernel(FieldReader& spec, TranslatedChaos& to) {
  json::object parameters;
  spec.Object(
      "failKernRequest",
      [&](FieldReader& request) {
        const auto kind = request.Integer("failtype", 0, 2).value_or(0);
        parameters["errno"] = kind == 2 ? "EIO" : "ENOMEM";
        MoveTexts(request, {"probability", "times"}, parameters);
        RefuseFilled(request, "headers", "cannot be honoured: nothing is compiled here");
        std::string system_call;
        request.Objects("callchain", [&](FieldReader& frame) {
          RefuseFilled(frame, "parameters", "cannot be honoured: arguments are not looked at");
          RefuseFilled(frame, "predicate", "cannot be honoured: arguments are not looked at");
          const std::string name = Word(frame, "funcname");
          for (const std::string_view prefix :
               {"__x64_sys_", "__arm64_sys_", "__se_sys_", "sys_", "ksys_"}) {
            if (name.starts_with(prefix) && system_call.empty())
              system_call = name.substr(prefix.size());
          }
        });
        if (system_call.empty()) {
          request.Refuse(
              "callchain",
              "cannot be honoured: faults are placed at system calls, name one as __x64_sys_mount");
        }
        parameters["syscalls"] = system_call;
      },
      Need::kRequired);
  AddFault(to, "syscall_errno", std::move(parameters));
}

// The device of a volume cannot be slowed down without a kernel module; the files on it can.
void ReadBlock(FieldReader& spec, TranslatedChaos& to) {
  const std::string action = Word(spec, "action");
  if (action != "delay") spec.Refuse("action", "'" + action + "' cannot be honoured: delay can");
  const std::string volume = Word(spec, "volumeName");
  const std::string path = "/var/lib/kubelet/pods/*/volumes/*/" + volume;
  json::object parameters = {{"volumePath", path}, {"path", path + "/**"}};
  spec.Object(
      "delay",
      [&](FieldReader& delay) {
        json::object texts;
        MoveTexts(delay, {"latency", "jitter", "correlation"}, texts);
        for (const std::string_view name : {"jitter", "correlation"}) {
          const json::value* value = texts.if_contains(name);
          if (value != nullptr && ParseDouble(TextOf(*value)).value_or(1) != 0 &&
              TextOf(*value) != "0ms")
            delay.Refuse(name, "cannot be honoured: each operation waits as long as the others");
        }
        if (const json::value* latency = texts.if_contains("latency"))
          parameters["delay"] = *latency;
      },
      Need::kRequired);
  to.notes.push_back("the files of the volume are delayed, not its device");
  AddFault(to, "io_latency", std::move(parameters));
}

// ---- Application and platform: a script for each (deploy/faults/)
// ---------------------------------

// Fields become environment variables of the script: ec2Instance -> EC2_INSTANCE.
std::string VariableName(std::string_view field) {
  std::string name;
  for (size_t i = 0; i < field.size(); ++i) {
    const char c = field[i];
    const bool upper = c >= 'A' && c <= 'Z';
    const bool after_lower = i > 0 && !(field[i - 1] >= 'A' && field[i - 1] <= 'Z') &&
                             field[i - 1] != '-' && field[i - 1] != '.';
    if (upper && after_lower) name += '_';
    name += c == '-' || c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  }
  return name;
}

void AddTemplate(TranslatedChaos& to, std::string_view script, const json::object& fields) {
  json::array environment;
  for (const auto& [name, value] : fields)
    environment.push_back(json::string(VariableName(name) + "=" + TextOf(value)));
  AddFault(to, "user_defined",
           {{"template", script}, {"environment", json::serialize(environment)}});
}

void ReadJvm(FieldReader& spec, TranslatedChaos& to) {
  json::object fields;
  Word(spec, "action");
  MoveTexts(spec,
            {"action", "class", "method", "latency", "value", "exception", "name", "port", "pid",
             "cpuCount", "memType", "ruleData", "mysqlConnectorVersion", "database", "table",
             "sqlType", "matchLabels"},
            fields);
  AddTemplate(to, "jvm", fields);
}

void ReadCloud(FieldReader& spec, TranslatedChaos& to, std::string_view script,
               std::initializer_list<std::string_view> names) {
  json::object fields;
  Word(spec, "action");
  MoveTexts(spec, names, fields);
  AddTemplate(to, script, fields);
  // Its victim is named by the fields; any node can ask for it.
  to.spec["selector"] = json::object{{"nodes", json::array{"*"}}};
  to.spec["mode"] = "one";
}

void ReadAws(FieldReader& spec, TranslatedChaos& to) {
  ReadCloud(
      spec, to, "aws",
      {"action", "secretName", "awsRegion", "ec2Instance", "volumeID", "deviceName", "endpoint"});
}

void ReadGcp(FieldReader& spec, TranslatedChaos& to) {
  ReadCloud(spec, to, "gcp",
            {"action", "secretName", "project", "zone", "instance", "deviceNames"});
}

void ReadAzure(FieldReader& spec, TranslatedChaos& to) {
  ReadCloud(
      spec, to, "azure",
      {"action", "secretName", "subscriptionID", "resourceGroupName", "vmName", "diskName", "lun"});
}

// action: network-delay, and what it takes in a field of that name.
void ReadPhysicalMachine(FieldReader& spec, TranslatedChaos& to) {
  const std::string action = Word(spec, "action");
  const size_t dash = action.find('-');
  std::string kind = action.substr(0, dash);
  std::string inner = dash == std::string::npos ? "" : action.substr(dash + 1);
  if (action == "user_defined" || action == "clock" || action == "vm" || action == "process")
    kind = action, inner = "";
  json::value* body = spec.Any(action);
  if (body == nullptr) body = spec.Any(action == "user_defined" ? "userDefined" : action);
  json::object empty;
  if (body == nullptr && (kind == "host" || kind == "vm")) {
    FieldReader reader(empty, "spec");
    empty["action"] = inner;
    (void)ReadAttack(kind, reader, to);
    return;
  }
  if (body == nullptr || !body->is_object())
    return spec.Refuse(action, "is missing: it says what the action does");
  json::object attack = body->get_object();
  if (!inner.empty() && !attack.contains("action")) attack["action"] = inner;
  FieldReader reader(attack, "spec." + action);
  const json::value selector = to.spec.contains("selector") ? to.spec["selector"] : json::value();
  if (auto read = ReadAttack(kind, reader, to); !read) {
    const std::string prefix = "spec.";
    const std::string& message = read.error().message;
    const size_t colon = message.find(": ");
    const std::string path = message.substr(0, colon);
    return spec.Refuse(path.starts_with(prefix) ? path.substr(prefix.size()) : path,
                       colon == std::string::npos ? message : message.substr(colon + 2));
  }
  // The manifest's selector says on which machines; the attack adds what it hits there.
  json::object& merged = to.spec["selector"].as_object();
  if (selector.is_object()) {
    for (const auto& [name, value] : selector.get_object()) merged[name] = value;
  }
}

struct KindRow {
  std::string_view kind;
  ReadKind read;
  bool selects_pods = true;
};

constexpr KindRow kKinds[] = {
    {"AWSChaos", ReadAws, false},
    {"AzureChaos", ReadAzure, false},
    {"BlockChaos", ReadBlock},
    {"DNSChaos", ReadDns},
    {"GCPChaos", ReadGcp, false},
    {"HTTPChaos", ReadHttp},
    {"IOChaos", ReadIo},
    {"JVMChaos", ReadJvm},
    {"KernelChaos", ReadKernel},
    {"NetworkChaos", ReadNetwork},
    {"PhysicalMachineChaos", ReadPhysicalMachine, false},
    {"PodChaos", ReadPod},
    {"StressChaos", ReadStress},
    {"TimeChaos", ReadTime},
};

// ---- What all kinds share
// ------------------------------------------------------------------------

void Move(FieldReader& from, std::string_view name, json::object& to) {
  if (const json::value* value = from.Any(name); value != nullptr) to[name] = *value;
}

// metadata.name: a pod; spec.nodeName: a node; metadata.namespace. Other fields are not known here.
void ReadFields(FieldReader& fields, json::object& to, const std::string& name_space) {
  if (const json::string* space = fields.String("metadata.namespace"))
    to["namespaces"] = json::array{*space};
  if (const json::string* node = fields.String("spec.nodeName")) to["nodes"] = json::array{*node};
  if (const json::string* name = fields.String("metadata.name")) {
    json::array spaces = to.contains("namespaces") && to["namespaces"].is_array()
                             ? to["namespaces"].get_array()
                             : json::array{json::string(name_space)};
    json::object pods;
    for (const json::value& space : spaces) pods[TextOf(space)] = json::array{*name};
    to["pods"] = std::move(pods);
  }
  for (const auto& [name, value] : fields.object()) {
    const std::string_view field = name;
    if (field != "metadata.name" && field != "metadata.namespace" && field != "spec.nodeName") {
      return fields.Refuse(field, "cannot be honoured: that field of a pod is not known here");
    }
  }
}

void ReadSelector(FieldReader& from, json::object& to, const std::string& name_space) {
  for (const std::string_view name :
       {"namespaces", "labelSelectors", "expressionSelectors", "nodes", "nodeSelectors", "pods"}) {
    Move(from, name, to);
  }
  const bool named =
      to.contains("pods") && to["pods"].is_object() && !to["pods"].get_object().empty();
  from.Object("fieldSelectors", [&](FieldReader& fields) { ReadFields(fields, to, name_space); });
  RefuseFilled(from, "annotationSelectors",
               "cannot be honoured: annotations of pods are not known here");
  // Only running containers are ever chosen, so that Running asks for nothing more.
  for (const std::string& phase : from.Strings("podPhaseSelectors")) {
    if (phase != "Running")
      from.Refuse("podPhaseSelectors", "cannot be honoured: only Running pods are chosen");
  }
  // Pods that are named are meant whatever else is said.
  if (named) to = {{"pods", to["pods"]}};
  if (!to.contains("namespaces") && !to.contains("pods"))
    to["namespaces"] = json::array{json::string(name_space)};
}

void ReadPodTargets(FieldReader& spec, const std::string& name_space, TranslatedChaos& to) {
  json::object selector;
  spec.Object(
      "selector", [&](FieldReader& reader) { ReadSelector(reader, selector, name_space); },
      Need::kRequired);
  Move(spec, "containerNames", selector);
  // One of them, as manifests of version 1 had it.
  if (const json::string* one = spec.String("containerName"); one != nullptr && !one->empty())
    selector["containerNames"] = json::array{*one};
  to.spec["selector"] = std::move(selector);
}

void ReadOtherSide(FieldReader& spec, const std::string& name_space, TranslatedChaos& to) {
  spec.Object("target", [&](FieldReader& reader) {
    json::object target, other;
    reader.Object(
        "selector", [&](FieldReader& inner) { ReadSelector(inner, other, name_space); },
        Need::kRequired);
    target["selector"] = std::move(other);
    Move(reader, "mode", target);
    Move(reader, "value", target);
    to.spec["target"] = std::move(target);
  });
}

// Machines are nodes: by the address of their chaosd, or through PhysicalMachine objects.
void ReadMachineTargets(FieldReader& spec, TranslatedChaos& to) {
  json::array nodes;
  for (std::string address : spec.Strings("address")) {
    const size_t scheme = address.find("://");
    if (scheme != std::string::npos) address = address.substr(scheme + 3);
    nodes.push_back(json::string(address.substr(0, address.find(':'))));
  }
  json::object selector;
  spec.Object("selector", [&](FieldReader& reader) {
    json::object machines;
    Move(reader, "namespaces", machines);
    Move(reader, "labelSelectors", machines);
    Move(reader, "expressionSelectors", machines);
    Move(reader, "physicalMachines", machines);
    RefuseFilled(reader, "annotationSelectors", "cannot be honoured: choose machines by labels");
    RefuseFilled(reader, "fieldSelectors", "cannot be honoured: choose machines by labels");
    // Machines that are named are meant whatever else is said.
    if (const json::value* named = machines.if_contains("physicalMachines");
        named != nullptr && named->is_object() && !named->get_object().empty()) {
      machines = {{"physicalMachines", *named}};
    }
    if (!machines.empty()) selector["machines"] = std::move(machines);
  });
  if (!nodes.empty()) selector["nodes"] = std::move(nodes);
  if (selector.empty()) spec.Refuse("selector", "is missing, and so is address: one is needed");
  to.spec["selector"] = std::move(selector);
}

}  // namespace

void ReadStressOptions(FieldReader& from, std::string_view field, std::string text,
                       json::object& cpu, json::object& memory, json::object& io,
                       TranslatedChaos& to) {
  std::replace(text.begin(), text.end(), '=', ' ');
  std::string_view rest = text;
  for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
    const std::string value(NextWord(rest));
    if (word == "--cpu" || word == "-c") {
      cpu["workers"] = value;
    } else if (word == "--cpu-load" || word == "-l") {
      cpu["load"] = value;
    } else if (word == "--vm" || word == "-m") {
      memory["workers"] = value;
    } else if (word == "--vm-bytes") {
      memory["size"] = value;
    } else if (word == "--hdd" || word == "-d" || word == "--io" || word == "-i") {
      io["workers"] = value;
    } else if (word == "--timeout" || word == "-t") {
      to.notes.push_back("--timeout plays no part: the duration holds");
    } else if (word == "--cpu-method" || word == "--cpu-load-slice" || word == "--vm-keep" ||
               word == "--vm-method") {
      to.notes.push_back(std::string(word) + " plays no part: the workers are our own");
    } else {
      from.Refuse(field,
                  "'" + std::string(word) + "' cannot be honoured: no worker of ours does that");
    }
  }
}

std::string TextOf(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) return FormatDouble(value.get_double());
  return value.is_null() ? "" : json::serialize(value);
}

void MoveTexts(FieldReader& from, std::initializer_list<std::string_view> names, json::object& to,
               const std::string& prefix) {
  for (const std::string_view name : names) {
    const json::value* value = from.Any(name);
    if (value == nullptr) continue;
    const std::string path = prefix + std::string(name);
    if (value->is_object() && !StaysWhole(name)) {
      for (const auto& [inner, item] : value->get_object())
        to[path + "." + std::string(inner)] = json::string(TextOf(item));
    } else if (value->is_array()) {
      json::array texts;
      for (const json::value& item : value->get_array())
        texts.push_back(item.is_number() ? json::value(json::string(TextOf(item))) : item);
      to[path] = json::string(json::serialize(texts));
    } else {
      to[path] = json::string(TextOf(*value));
    }
  }
}

void MoveUnlessZero(FieldReader& from, std::string_view name, json::object& to,
                    const std::string& prefix) {
  const json::value* value = from.Any(name);
  if (value != nullptr && TextOf(*value) != "0") MoveTexts(from, {name}, to, prefix);
}

void RefuseFilled(FieldReader& from, std::string_view name, std::string_view reason) {
  const json::value* value = from.Any(name);
  if (value == nullptr) return;
  const bool empty = (value->is_array() && value->get_array().empty()) ||
                     (value->is_object() && value->get_object().empty()) ||
                     (value->is_string() && value->get_string().empty());
  if (!empty) from.Refuse(name, reason);
}

std::vector<json::object> TranslatedChaos::Specs() const {
  std::vector<json::object> specs;
  for (const TranslatedFault& fault : faults) {
    json::object one = spec;
    one["fault"] = json::string(fault.fault);
    one["parameters"] = fault.parameters;
    specs.push_back(std::move(one));
  }
  return specs;
}

bool IsChaosKind(std::string_view kind) {
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](const KindRow& row) { return row.kind == kind; });
}

std::string FieldOfKind(std::string_view kind) {
  if (kind == "PhysicalMachineChaos") return "physicalmachineChaos";
  if (kind == "Workflow") return "workflow";
  // The leading capitals of the name, but for the one that begins Chaos: NetworkChaos, HTTPChaos.
  const std::string name(kind.substr(0, kind.size() - std::string_view("Chaos").size()));
  std::string field;
  const bool all_upper =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  for (size_t i = 0; i < name.size(); ++i) {
    const bool lower = (all_upper || i == 0) && name[i] >= 'A' && name[i] <= 'Z';
    field += lower ? static_cast<char>(name[i] + 32) : name[i];
  }
  return field + "Chaos";
}

Result<TranslatedChaos> ReadChaos(std::string_view kind, FieldReader& spec,
                                  const std::string& name_space,
                                  std::string_view otherwise_duration) {
  const auto row = std::find_if(std::begin(kKinds), std::end(kKinds),
                                [&](const KindRow& r) { return r.kind == kind; });
  if (row == std::end(kKinds))
    return Fail(ErrorCode::kUnsupported, "kind: {} is no fault of Chaos Mesh", kind);
  TranslatedChaos chaos;
  Move(spec, "mode", chaos.spec);
  // Of JVMChaos it is the value that a method returns.
  if (kind != "JVMChaos") Move(spec, "value", chaos.spec);
  Move(spec, "duration", chaos.spec);
  if (row->selects_pods) ReadPodTargets(spec, name_space, chaos);
  if (kind == "NetworkChaos") ReadOtherSide(spec, name_space, chaos);
  if (kind == "PhysicalMachineChaos") {
    RefuseFilled(spec, "uid", "cannot be honoured: the name of an experiment is its identity here");
    ReadMachineTargets(spec, chaos);
  }
  RefuseFilled(spec, "remoteCluster", "cannot be honoured: other clusters are out of reach");
  spec.Object("scheduler", [&](FieldReader& scheduler) { chaos.cron = Word(scheduler, "cron"); });
  row->read(spec, chaos);
  FAULTLINE_TRY(spec.Done());
  if (chaos.faults.size() == 1) chaos.faults.front().suffix.clear();
  if (!chaos.spec.contains("duration")) {
    const std::string& fault = chaos.faults.front().fault;
    const bool moment = fault == "pod_kill" || fault == "container_kill" ||
                        fault == "process_kill" || fault.starts_with("host_");
    if (!otherwise_duration.empty()) {
      chaos.spec["duration"] = json::string(otherwise_duration);
    } else if (moment) {
      chaos.spec["duration"] = json::string(kMoment);
    } else {
      chaos.spec["duration"] = json::string(kLongestDuration);
      chaos.notes.push_back("it has no duration; here a fault always ends, this one after 1h");
    }
  }
  return chaos;
}

}  // namespace faultline::dialects
