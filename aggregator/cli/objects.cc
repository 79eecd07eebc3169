// get, describe, apply, delete, watch: objects, and the lists that are not objects (nodes, ground truth).
#include <fstream>
#include <iostream>
#include <sstream>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/object_paths.h"
#include "aggregator/cli/table.h"
#include "aggregator/objects/yaml.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string kind, name, name_space = "default", selector, file;
  bool all = false;
};

std::string Age(const json::value& object) {
  const auto created = ParseTime(TextAt(object, "metadata.creationTimestamp"));
  if (!created) return "";
  return HumanDuration(static_cast<double>(SystemClock().UnixNs() - *created) / 1e9);
}

std::string Status(const json::value& object, const char* condition) {
  return TextAt(ConditionOf(object, condition), "status");
}

void PrintObjects(const std::vector<json::value>& objects, bool wide) {
  std::vector<std::string> header = {"NAMESPACE", "NAME", "FAULT", "INJECTED", "RECOVERED", "VERIFIED", "AGE"};
  const bool experiments = !objects.empty() && TextAt(objects.front(), "kind") == "Experiment";
  if (!experiments) header = {"NAMESPACE", "NAME", "AGE"};
  if (wide) header.emplace_back("UID");
  Table table(header);
  for (const json::value& object : objects) {
    std::vector<std::string> row = {TextAt(object, "metadata.namespace"), TextAt(object, "metadata.name")};
    if (experiments) {
      row.insert(row.end(), {TextAt(object, "spec.fault"), Status(object, "AllInjected"), Status(object, "AllRecovered"),
                             Status(object, "Verified")});
    }
    row.push_back(Age(object));
    if (wide) row.push_back(TextAt(object, "metadata.uid"));
    table.Add(std::move(row));
  }
  std::fputs(table.Render().c_str(), stdout);
}

Result<void> GetNodes(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const json::value nodes,
                   session.Client().Data("/api/v1/nodes" + (options.name.empty() ? "" : "/" + UrlEncode(options.name))));
  if (session.structured()) return session.Print(nodes), Result<void>();
  Table table({"NODE", "UP", "SEEN", "VERSION", "CONTAINERS", "CLOCK OFFSET", "SPOOL"});
  const auto add = [&](const json::value& node) {
    table.Add({TextAt(node, "node"), TextAt(node, "up"), HumanDuration(NumberAt(node, "lastSeenSeconds")) + " ago",
               TextAt(node, "version"), TextAt(node, "containers"),
               fmt::format("{:+.3f} ms", NumberAt(node, "clockOffsetNs") / 1e6),
               HumanNumber(NumberAt(node, "spoolBytes")) + "B"});
  };
  if (nodes.is_array()) {
    for (const json::value& node : nodes.get_array()) add(node);
  } else {
    add(nodes);
  }
  std::fputs(table.Render().c_str(), stdout);
  return {};
}

Result<void> GetGroundTruth(const Session& session) {
  FAULTLINE_ASSIGN(const json::value labels, session.Client().Data("/api/v1/labels/ground-truth"));
  if (session.structured()) return session.Print(labels), Result<void>();
  Table table({"FAULT", "NODE", "TARGET", "BEGIN", "END", "VERIFIED", "EXPERIMENT", "SOURCE"});
  for (const json::value& label : labels.is_array() ? labels.get_array() : json::array()) {
    std::string target = TextAt(label, "target.cgroup");
    if (!TextAt(label, "target.pod").empty()) {
      target = TextAt(label, "target.namespace") + "/" + TextAt(label, "target.pod") + "/" + TextAt(label, "target.container");
    }
    table.Add({TextAt(label, "fault"), TextAt(label, "node"), target, TextAt(label, "begin").substr(0, 23),
               TextAt(label, "end").substr(0, 23), TextAt(label, "effect.verdict"), TextAt(label, "experiment"),
               TextAt(label, "source")});
  }
  std::fputs(table.Render().c_str(), stdout);
  return {};
}

Result<void> Get(const Session& session, const Options& options) {
  if (options.kind == "node" || options.kind == "nodes") return GetNodes(session, options);
  if (options.kind == "ground-truth") return GetGroundTruth(session);
  const ApiClient client = session.Client();
  FAULTLINE_ASSIGN(const KindPath kind, FindKind(client, options.kind));
  const std::string name_space = options.all ? "" : options.name_space;
  if (!options.name.empty()) {
    FAULTLINE_ASSIGN(const json::value object, client.Json("GET", ObjectPath(kind, name_space, options.name)));
    if (session.structured()) return session.Print(object), Result<void>();
    return PrintObjects({object}, session.output == "wide"), Result<void>();
  }
  std::vector<json::value> objects;
  std::string next;
  do {
    FAULTLINE_ASSIGN(const json::value list, client.Json("GET", ObjectPath(kind, name_space, ""),
                                                         {{"labelSelector", options.selector}, {"continue", next}}));
    for (const json::value& object : ArrayAt(list, "items")) objects.push_back(object);
    next = TextAt(list, "metadata.continue");
  } while (!next.empty());
  if (session.structured()) return session.Print(json::array(objects.begin(), objects.end())), Result<void>();
  if (objects.empty()) return std::fprintf(stderr, "no %s found\n", kind.plural.c_str()), Result<void>();
  return PrintObjects(objects, session.output == "wide"), Result<void>();
}

void DescribeTarget(const json::value& record) {
  std::printf("  %s: %s\n", TextAt(record, "id").c_str(), TextAt(record, "phase").c_str());
  for (const char* field : {"injectedAt", "recoveredAt"}) {
    if (const std::string time = TextAt(record, field); !time.empty()) std::printf("    %-12s %s\n", field, time.c_str());
  }
  if (const std::string verdict = TextAt(record, "effect.verdict"); !verdict.empty()) {
    std::printf("    %-12s %s %s\n", "effect", verdict.c_str(), TextAt(record, "effect.reason").c_str());
    for (const json::value& m : ArrayAt(record, "effect.measurements")) {
      std::printf("      %-24s before %-8s during %-8s asked %s\n", TextAt(m, "name").c_str(),
                  HumanNumber(NumberAt(m, "before")).c_str(), HumanNumber(NumberAt(m, "during")).c_str(),
                  HumanNumber(NumberAt(m, "asked")).c_str());
    }
  }
  for (const json::value& event : ArrayAt(record, "events")) {
    std::printf("    %s %s %s %s\n", TextAt(event, "timestamp").c_str(), TextAt(event, "operation").c_str(),
                TextAt(event, "type").c_str(), TextAt(event, "message").c_str());
  }
}

Result<void> Describe(const Session& session, const Options& options) {
  if (options.kind == "node" || options.kind == "nodes") {
    FAULTLINE_ASSIGN(const json::value node, session.Client().Data("/api/v1/nodes/" + UrlEncode(options.name)));
    if (session.output == "json") return session.Print(node), Result<void>();
    return std::fputs(WriteYaml(node).c_str(), stdout), Result<void>();
  }
  const ApiClient client = session.Client();
  FAULTLINE_ASSIGN(const KindPath kind, FindKind(client, options.kind));
  FAULTLINE_ASSIGN(const json::value object, client.Json("GET", ObjectPath(kind, options.name_space, options.name)));
  if (session.structured()) return session.Print(object), Result<void>();
  std::printf("%s %s/%s, %s old\n", kind.kind.c_str(), TextAt(object, "metadata.namespace").c_str(),
              TextAt(object, "metadata.name").c_str(), Age(object).c_str());
  std::printf("spec:\n%s", WriteYaml(At(object, "spec")).c_str());
  if (!ArrayAt(object, "status.conditions").empty()) {
    Table table({"CONDITION", "STATUS", "MESSAGE"});
    for (const json::value& condition : ArrayAt(object, "status.conditions")) {
      table.Add({TextAt(condition, "type"), TextAt(condition, "status"), TextAt(condition, "message")});
    }
    std::fputs(table.Render().c_str(), stdout);
  }
  const char* heading = "targets:\n";
  for (const char* list : {"status.records", "status.targets", "status.containerRecords"}) {
    for (const json::value& record : ArrayAt(object, list)) {
      std::fputs(heading, stdout);
      heading = "";
      DescribeTarget(record);
    }
  }
  return {};
}

Result<std::string> ReadInput(const std::string& path) {
  std::stringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream file(path);
  if (!file) return FailErrno(errno, "read {}", path);
  text << file.rdbuf();
  return text.str();
}

Result<void> Apply(const Session& session, const Options& options) {
  const ApiClient client = session.Client();
  FAULTLINE_ASSIGN(const std::string text, ReadInput(options.file));
  auto documents = ParseYaml(text);
  if (!documents) return Within(options.file, documents.error());
  if (documents->empty()) return Fail(ErrorCode::kInvalidArgument, "{}: no object in it", options.file);
  json::array applied;
  for (const json::value& document : *documents) {
    const std::string api = TextAt(document, "apiVersion"), kind = TextAt(document, "kind"),
                      name = TextAt(document, "metadata.name");
    std::string name_space = TextAt(document, "metadata.namespace");
    if (name_space.empty()) name_space = options.name_space;
    if (api.empty() || kind.empty() || name.empty()) {
      return Fail(ErrorCode::kInvalidArgument, "{}: an object needs apiVersion, kind and metadata.name", options.file);
    }
    Result<json::value> reply = Fail(ErrorCode::kInternal, "");
    if (api == "faultline.io/v1") {
      FAULTLINE_ASSIGN(const KindPath path, FindKind(client, kind));
      reply = client.Json("PUT", ObjectPath(path, name_space, name), {}, json::serialize(document));
    } else {
      std::string plural = kind;
      std::transform(plural.begin(), plural.end(), plural.begin(), [](unsigned char c) { return std::tolower(c); });
      // Kubernetes' own group has no name.
      const std::string group = api.find('/') == std::string::npos ? "core/" + api : api;
      reply = client.Json("POST", "/apis/" + group + "/namespaces/" + UrlEncode(name_space) + "/" + plural, {},
                          json::serialize(document));
    }
    if (!reply) return Within(kind + "/" + name, reply.error());
    if (!session.structured()) std::printf("%s/%s applied\n", kind.c_str(), name.c_str());
    applied.push_back(*std::move(reply));
  }
  if (session.structured()) session.Print(applied.size() == 1 ? applied.front() : json::value(applied));
  return {};
}

Result<void> Delete(const Session& session, const Options& options) {
  const ApiClient client = session.Client();
  FAULTLINE_ASSIGN(const KindPath kind, FindKind(client, options.kind));
  FAULTLINE_ASSIGN(const json::value reply, client.Json("DELETE", ObjectPath(kind, options.name_space, options.name)));
  const bool held = TextAt(reply, "kind") == kind.kind;
  std::printf("%s/%s %s\n", kind.kind.c_str(), options.name.c_str(), held ? "is being deleted (it recovers first)" : "deleted");
  return {};
}

Result<void> Watch(const Session& session, const Options& options) {
  const ApiClient client = session.Client();
  FAULTLINE_ASSIGN(const KindPath kind, FindKind(client, options.kind));
  return client.Stream(ObjectPath(kind, options.all ? "" : options.name_space, ""),
                       {{"watch", "true"}, {"labelSelector", options.selector}}, [&](std::string_view line) {
    boost::system::error_code error;
    const json::value event = json::parse(line, error);
    if (error) return true;
    const json::value& object = At(event, "object");
    if (!options.name.empty() && TextAt(object, "metadata.name") != options.name) return true;
    if (session.structured()) {
      session.Print(event);
    } else {
      std::printf("%-9s %s/%s injected=%s recovered=%s verified=%s\n", TextAt(event, "type").c_str(),
                  TextAt(object, "metadata.namespace").c_str(), TextAt(object, "metadata.name").c_str(),
                  Status(object, "AllInjected").c_str(), Status(object, "AllRecovered").c_str(),
                  Status(object, "Verified").c_str());
    }
    std::fflush(stdout);
    return true;
  });
}

void AddCommon(CLI::App& app, Session& session, bool needs_name, bool lists,
               Result<void> (*body)(const Session&, const Options&)) {
  const auto options = std::make_shared<Options>();
  app.add_option("kind", options->kind, "experiments, policies, nodes, ground-truth …")->required();
  CLI::Option* name = app.add_option("name", options->name, "name of one");
  if (needs_name) name->required();
  app.add_option("-n,--namespace", options->name_space, "namespace (default: default)");
  if (lists) {
    app.add_option("-l,--selector", options->selector, "label selector: a=b,c!=d");
    app.add_flag("-A,--all-namespaces", options->all, "of all namespaces");
  }
  Run(app, [options, &session, body] { return body(session, *options); });
}

}  // namespace

void SetUpGet(CLI::App& app, Session& session) { AddCommon(app, session, false, true, Get); }
void SetUpDescribe(CLI::App& app, Session& session) { AddCommon(app, session, true, false, Describe); }
void SetUpDelete(CLI::App& app, Session& session) { AddCommon(app, session, true, false, Delete); }
void SetUpWatch(CLI::App& app, Session& session) { AddCommon(app, session, false, true, Watch); }

void SetUpApply(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("-f,--filename", options->file, "YAML or JSON file; - for standard input")->required();
  app.add_option("-n,--namespace", options->name_space, "namespace of objects that name none (default: default)");
  Run(app, [options, &session] { return Apply(session, *options); });
}

}  // namespace faultline::cli
