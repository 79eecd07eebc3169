// What chaosd takes at /api/attack/<kind>: process, stress, network, disk, clock, host, jvm, kafka,
// vm, redis, file, http, user_defined. Its defaults are its own, so they are filled in here.
#include <algorithm>
#include <cctype>

#include "aggregator/objects/foreign/chaos_mesh_spec.h"
#include "common/text.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

void AddFault(TranslatedChaos& to, std::string fault, json::object parameters) {
  to.faults.push_back({"", std::move(fault), std::move(parameters)});
}

void SelectProcess(TranslatedChaos& to, const std::string& process) {
  to.spec["selector"].as_object()["processes"] = json::array{json::string(process)};
  to.spec["mode"] = "all";
}

// An integer or text, as text; empty when absent.
std::string Text(FieldReader& body, std::string_view name) {
  const json::value* value = body.Any(name);
  return value == nullptr ? "" : TextOf(*value);
}

std::string Action(FieldReader& body, std::string_view otherwise) {
  const std::string action = Text(body, "action");
  return action.empty() ? std::string(otherwise) : action;
}

void Default(json::object& parameters, std::string_view name, std::string_view value) {
  if (!parameters.contains(name) || TextOf(parameters[name]).empty())
    parameters[name] = json::string(value);
}

void Unknown(FieldReader& body, const std::string& kind, const std::string& action) {
  body.Refuse("action", "'" + action + "' is no action of " + kind);
}

void ReadProcess(FieldReader& body, TranslatedChaos& to) {
  const std::string process = Text(body, "process");
  if (process.empty()) body.Refuse("process", "is missing: a process id or a name");
  const std::string action = Action(body, "kill");
  json::object parameters;
  MoveTexts(body, {"signal", "recoverCmd"}, parameters);
  if (const std::string command = Text(body, "recover-cmd"); !command.empty())
    parameters["recoverCmd"] = command;
  SelectProcess(to, process);
  if (action == "kill") return AddFault(to, "process_kill", std::move(parameters));
  if (action == "stop") return AddFault(to, "process_stop", {});
  Unknown(body, "process", action);
}

void ReadStress(FieldReader& body, TranslatedChaos& to) {
  const std::string action = Action(body, "cpu");
  json::object parameters;
  MoveTexts(body, {"workers", "load", "size"}, parameters);
  json::object memory, io;
  if (const json::value* list = body.Any("options"); list != nullptr && list->is_array()) {
    for (const std::string& option : body.Strings("options"))
      ReadStressOptions(body, "options", option, parameters, memory, io, to);
  } else if (const std::string text = Text(body, "options"); !text.empty()) {
    ReadStressOptions(body, "options", text, parameters, memory, io, to);
  }
  if (action == "mem") parameters.insert(memory.begin(), memory.end());
  if (!io.empty() || (action == "cpu" && !memory.empty()))
    body.Refuse("options", "cannot be honoured: they ask for more than " + action);
  if (action == "cpu") {
    parameters.erase("size");
    Default(parameters, "load", "10");
    Default(parameters, "workers", "1");
    return AddFault(to, "cpu_stress", std::move(parameters));
  }
  parameters.erase("load");
  if (action == "mem") return AddFault(to, "memory_stress", std::move(parameters));
  Unknown(body, "stress", action);
}

void ReadDns(FieldReader& body, TranslatedChaos& to) {
  if (const std::string server = Text(body, "dns-server");
      !server.empty() && server != "123.123.123.123") {
    body.Refuse(
        "dns-server",
        "cannot be honoured: the resolver's configuration stays; give dns-domain-name and dns-ip");
  }
  const std::string name = Text(body, "dns-domain-name");
  const std::string address = Text(body, "dns-ip");
  if (name.empty() != address.empty()) body.Refuse("dns-ip", "and dns-domain-name go together");
  // A server where nobody answers: no name is resolved.
  if (name.empty()) return AddFault(to, "dns_error", {});
  AddFault(to, "dns_answer", {{"patterns", name}, {"addresses", address}});
}

void ReadNetwork(FieldReader& body, TranslatedChaos& to) {
  const std::string action = Action(body, "");
  json::object parameters;
  if (action == "dns") return ReadDns(body, to);
  if (action == "port" || action == "occupied") {
    MoveTexts(body, {"port"}, parameters);
    return AddFault(to, "network_port_occupied", std::move(parameters));
  }
  if (action == "flood") {
    MoveTexts(body, {"rate", "port", "parallel"}, parameters);
    // iperf's own way to write a rate: 10m is 10 Mbit/s.
    if (const std::string rate = Text(body, "rate");
        rate.size() > 1 && std::string_view("kKmMgG").find(rate.back()) != std::string_view::npos) {
      const char unit = static_cast<char>(std::tolower(static_cast<unsigned char>(rate.back())));
      parameters["rate"] = rate.substr(0, rate.size() - 1) + unit + "bit";
    }
    parameters["ip"] = Text(body, "ip").empty() ? Text(body, "ip-address") : Text(body, "ip");
    if (const std::string duration = Text(body, "duration"); !duration.empty())
      to.spec["duration"] =
          std::all_of(duration.begin(), duration.end(), [](char c) { return c >= '0' && c <= '9'; })
              ? duration + "s"
              : duration;
    return AddFault(to, "network_flood", std::move(parameters));
  }
  if (action == "down") {
    MoveTexts(body, {"device"}, parameters);
    if (const std::string duration = Text(body, "duration"); !duration.empty())
      to.spec["duration"] = duration;
    return AddFault(to, "network_down", std::move(parameters));
  }
  MoveTexts(body, {"device", "ip-address", "hostname", "ip-protocol", "source-port", "egress-port"},
            parameters);
  if (action == "delay") {
    MoveTexts(body, {"latency", "jitter", "correlation"}, parameters);
    MoveTexts(body, {"accept-tcp-flags"}, parameters);
  } else if (action == "loss" || action == "corrupt" || action == "duplicate") {
    MoveTexts(body, {"percent", "correlation"}, parameters);
    Default(parameters, "percent", "1");
  } else if (action == "partition") {
    MoveTexts(body, {"direction", "accept-tcp-flags"}, parameters);
    Default(parameters, "direction", "both");
  } else if (action == "bandwidth") {
    MoveTexts(body, {"rate", "limit", "buffer"}, parameters);
    for (const std::string_view name : {"peakrate", "minburst"})
      MoveUnlessZero(body, name, parameters);
  } else {
    return Unknown(body, "network", action);
  }
  AddFault(to, "network_" + action, std::move(parameters));
}

void ReadDisk(FieldReader& body, TranslatedChaos& to) {
  std::string action = Action(body, "");
  json::object parameters;
  MoveTexts(body, {"path", "size"}, parameters);
  if (action == "fill") {
    MoveTexts(body, {"percent"}, parameters);
    for (const std::string_view name : {"fill_by_fallocate", "fill-by-fallocate", "fallocate"}) {
      if (const std::string text = Text(body, name); !text.empty())
        parameters["fill-by-fallocate"] = text;
    }
    Default(parameters, "path", "/var/tmp");
    return AddFault(to, "disk_fill", std::move(parameters));
  }
  if (action == "add-payload") action = Text(body, "payload") + "-payload";
  MoveTexts(body, {"payload-process-num"}, parameters);
  for (const std::string_view name : {"payload_process_num", "process-num"}) {
    if (const std::string count = Text(body, name); !count.empty())
      parameters["payload-process-num"] = count;
  }
  if (action == "read-payload") return AddFault(to, "disk_read", std::move(parameters));
  // Without a path a file of its own is written, and taken away.
  if (action == "write-payload") Default(parameters, "path", "/var/tmp");
  if (action == "write-payload") return AddFault(to, "disk_write", std::move(parameters));
  Unknown(body, "disk", action);
}

void ReadFile(FieldReader& body, TranslatedChaos& to) {
  const std::string action = Action(body, "");
  json::object parameters;
  MoveTexts(body,
            {"file-name", "dir-name", "dest-dir", "privilege", "source-file", "dest-file", "data",
             "count", "origin-string", "dest-string", "line"},
            parameters);
  for (const std::string_view known :
       {"create", "modify", "delete", "rename", "append", "replace"}) {
    if (action == known) return AddFault(to, "file_" + action, std::move(parameters));
  }
  Unknown(body, "file", action);
}

void ReadClock(FieldReader& body, TranslatedChaos& to) {
  body.Any("action");
  const std::string pid = Text(body, "pid");
  if (pid.empty()) body.Refuse("pid", "is missing");
  json::object parameters = {{"timeOffset", Text(body, "time-offset")}};
  if (const json::value* ids = body.Any("clock-ids-slice"); ids != nullptr) {
    parameters["clockIds"] = TextOf(*ids);
  } else if (const std::string text = Text(body, "clock-ids"); !text.empty()) {
    parameters["clockIds"] = text;
  }
  if (TextOf(parameters["timeOffset"]).empty()) body.Refuse("time-offset", "is missing");
  SelectProcess(to, pid);
  AddFault(to, "clock_offset", std::move(parameters));
}

// Two steps: the dry run names the word that parameters.confirm must repeat.
void ReadHost(FieldReader& body, TranslatedChaos& to) {
  const std::string action = Action(body, "");
  if (action != "shutdown" && action != "reboot") return Unknown(body, "host", action);
  json::object parameters;
  MoveTexts(body, {"confirm"}, parameters);
  if (parameters.empty()) {
    to.spec["dryRun"] = true;
    to.notes.push_back(
        "a first step: the dry run names the word that parameters.confirm must repeat");
  }
  AddFault(to, "host_" + action, std::move(parameters));
}

void ReadHttp(FieldReader& body, TranslatedChaos& to) {
  const std::string action = Action(body, "");
  json::object parameters;
  MoveTexts(
      body,
      {"target", "port", "path", "method", "code", "request_headers", "response_headers", "delay"},
      parameters);
  if (action == "request") {
    return body.Refuse("action",
                       "request cannot be honoured: no fault here sends requests of its own");
  }
  MoveTexts(body, {"proxy_ports"}, parameters);
  for (const std::string_view name : {"file_path", "file-path", "url", "count", "enable-conn-pool"})
    body.Any(name);
  if (const std::string ports = Text(body, "proxy-ports"); !ports.empty())
    parameters["proxy_ports"] = ports;
  if (action == "abort" || action == "delay")
    return AddFault(to, "http_" + action, std::move(parameters));
  if (action == "config")
    return body.Refuse("action", "config cannot be honoured: give the fields of its file");
  Unknown(body, "http", action);
}

// A script for each family (deploy/faults/); its fields are the script's environment.
void ReadScript(FieldReader& body, TranslatedChaos& to, std::string_view script,
                std::initializer_list<std::string_view> names) {
  json::object fields;
  MoveTexts(body, names, fields);
  for (const std::string_view name :
       names) {  // message-size is messageSize in bodies and manifests
    std::string camel;
    for (size_t i = 0; i < name.size(); ++i) {
      const bool begins = name[i] == '-' && i + 1 < name.size();
      camel +=
          begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i]))) : name[i];
    }
    json::object one;
    if (camel != name) MoveTexts(body, {camel}, one);
    if (!one.empty()) fields[name] = one.begin()->value();
  }
  json::array environment;
  for (const auto& [name, value] : fields) {
    std::string variable(name);
    std::replace(variable.begin(), variable.end(), '-', '_');
    std::replace(variable.begin(), variable.end(), '.', '_');
    for (char& c : variable) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    environment.push_back(json::string(variable + "=" + TextOf(value)));
  }
  AddFault(to, "user_defined",
           {{"template", script}, {"environment", json::serialize(environment)}});
}

void ReadUserDefined(FieldReader& body, TranslatedChaos& to) {
  json::object parameters;
  body.Any("action");
  MoveTexts(body, {"attackCmd", "recoverCmd", "verifyCmd"}, parameters);
  for (const std::string_view name : {"attackCmd", "recoverCmd"}) {
    if (!parameters.contains(name))
      body.Refuse(name, "is missing: nobody else can say what it must be");
  }
  if (!parameters.contains("verifyCmd")) {
    parameters["verifyCmd"] = "echo nobody said how to see it; exit 2";
    to.notes.push_back("it has no verifyCmd: whether it took effect stays inconclusive");
  }
  AddFault(to, "user_defined", std::move(parameters));
}

}  // namespace

Result<void> ReadAttack(const std::string& kind, FieldReader& body, TranslatedChaos& to) {
  if (!to.spec.contains("selector")) to.spec["selector"] = json::object();
  RefuseFilled(body, "schedule", "cannot be honoured: declare a Schedule");
  if (const std::string duration = Text(body, "duration"); !duration.empty() && kind != "network")
    to.spec["duration"] = json::string(duration);
  body.Any("uid");
  if (kind == "process") {
    ReadProcess(body, to);
  } else if (kind == "stress") {
    ReadStress(body, to);
  } else if (kind == "network") {
    ReadNetwork(body, to);
    body.Any("duration");
  } else if (kind == "disk") {
    ReadDisk(body, to);
  } else if (kind == "file") {
    ReadFile(body, to);
  } else if (kind == "clock") {
    ReadClock(body, to);
  } else if (kind == "host") {
    ReadHost(body, to);
  } else if (kind == "http") {
    ReadHttp(body, to);
  } else if (kind == "jvm") {
    ReadScript(body, to, "jvm",
               {"action", "class", "method", "value", "exception", "latency", "cpu-count",
                "mem-type", "rule-data", "rule-file", "name", "port", "pid", "do",
                "mysql-connector-version", "database", "table", "sql-type"});
  } else if (kind == "kafka") {
    ReadScript(body, to, "kafka",
               {"action", "topic", "host", "port", "username", "password", "size", "message-size",
                "max-bytes", "threads", "rps", "request-per-second", "reload-cmd", "reload-command",
                "config-file", "non-readable", "non-writable", "partition"});
    body.Any("no-silent");
  } else if (kind == "redis") {
    ReadScript(body, to, "redis",
               {"action", "addr", "password", "conf", "flush-config", "redis-path", "request-num",
                "cache-size", "size", "percent", "key", "expiration", "option"});
  } else if (kind == "vm") {
    ReadScript(body, to, "vm", {"action", "vm-name"});
  } else if (kind == "user_defined" || kind == "userDefined") {
    ReadUserDefined(body, to);
  } else {
    return Fail(ErrorCode::kUnsupported, "kind: chaosd has no attack '{}'", kind);
  }
  return body.Done();
}

}  // namespace faultline::dialects
