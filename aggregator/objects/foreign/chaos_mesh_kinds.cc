#include "aggregator/objects/foreign/chaos_mesh_kinds.h"

#include <algorithm>
#include <optional>

#include "common/text.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

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

constexpr ChaosKind kKinds[] = {
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

}  // namespace

std::span<const ChaosKind> ChaosKinds() { return kKinds; }

void AddFault(TranslatedChaos& to, std::string fault, json::object parameters,
              std::string suffix) {
  to.faults.push_back({std::move(suffix), std::move(fault), std::move(parameters)});
}

std::string Word(FieldReader& spec, std::string_view name) {
  const json::string* text = spec.String(name, Need::kRequired);
  return text == nullptr ? "" : std::string(*text);
}

}  // namespace faultline::dialects
