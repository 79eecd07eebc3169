// /api/v1/diagnose: what went wrong in a window. Parameters in the query string, a form, or a JSON or YAML body:
// node, namespace, pod, container, begin, end (RFC 3339 or seconds; default the last five minutes), baseline (2m).
#include <set>

#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/diagnosis/diagnosis.h"
#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/yaml.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr int64_t kDefaultWindowNs = 300 * kNsPerSecond;
constexpr std::string_view kNames[] = {"node", "namespace", "pod", "container", "begin", "end", "baseline", "format"};

using Settings = std::map<std::string, std::string, std::less<>>;

std::string_view Setting(const Settings& settings, std::string_view name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string_view() : std::string_view(found->second);
}

// Body and parameters as one flat map; the body's {object: {kind, name}} becomes node or pod.
Result<Settings> ReadSettings(const Request& request) {
  Settings settings;
  for (const auto& [name, value] : request.parameters) settings[name] = value;
  const bool form = request.Header("content-type").starts_with("application/x-www-form-urlencoded");
  if (!request.body.empty() && !form) {
    FAULTLINE_ASSIGN(std::vector<json::value> documents, ParseYaml(request.body));
    if (documents.size() != 1 || !documents.front().is_object()) {
      return Fail(ErrorCode::kInvalidArgument, "the body must be one object");
    }
    FieldReader reader(documents.front().get_object(), "");
    for (const std::string_view name : kNames) {
      const json::value* value = reader.Any(name);
      if (value == nullptr) continue;
      settings[std::string(name)] =
          value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
    }
    reader.Object("object", [&](FieldReader& object) {
      const std::string kind = object.Word("kind", {"Node", "Pod"}, "Node");
      if (const json::string* name = object.String("name", FieldReader::Need::kRequired)) {
        settings[kind == "Node" ? "node" : "pod"] = std::string(*name);
      }
      if (const json::string* name = object.String("namespace")) settings["namespace"] = std::string(*name);
    });
    FAULTLINE_TRY(reader.Done());
  }
  for (const auto& [name, value] : settings) {
    if (std::ranges::find(kNames, std::string_view(name)) == std::end(kNames)) {
      return Fail(ErrorCode::kInvalidArgument, "{}: unknown parameter", name);
    }
  }
  return settings;
}

Result<DiagnosisRequest> ReadRequest(const Settings& settings, int64_t now_unix_ns) {
  DiagnosisRequest wanted;
  wanted.node = Setting(settings, "node");
  wanted.name_space = Setting(settings, "namespace");
  wanted.pod = Setting(settings, "pod");
  wanted.container = Setting(settings, "container");
  int64_t end = now_unix_ns;
  if (const auto text = Setting(settings, "end"); !text.empty()) {
    FAULTLINE_ASSIGN(end, ParseTimeParameter("end", text));
  }
  int64_t begin = end - kDefaultWindowNs;
  if (const auto text = Setting(settings, "begin"); !text.empty()) {
    FAULTLINE_ASSIGN(begin, ParseTimeParameter("begin", text));
  }
  if (begin >= end) return Fail(ErrorCode::kInvalidArgument, "begin: must lie before end");
  if (end - begin > 24 * 3600 * kNsPerSecond) return Fail(ErrorCode::kInvalidArgument, "begin: the window is longer than 24h");
  wanted.begin_unix_ms = begin / kNsPerMs;
  wanted.end_unix_ms = end / kNsPerMs;
  if (const auto text = Setting(settings, "baseline"); !text.empty()) {
    const auto ns = ParseDurationNs(text);
    if (!ns || *ns <= 0) return Fail(ErrorCode::kInvalidArgument, "baseline: '{}' is not a duration such as 2m", text);
    wanted.baseline_ms = *ns / kNsPerMs;
  }
  return wanted;
}

// What goes wrong now is worth a look at the CPUs of whom we suspect: their agents make a profile if
// their configuration says so (probes.cpu_profile.on_incident), for later; nobody waits for it.
void ProfileIncident(const DiagnosisReport& report, const ApiContext& context) {
  constexpr int64_t kNowMs = 60'000;
  constexpr size_t kMostNodes = 3;
  if (context.fleet == nullptr || report.request.end_unix_ms + kNowMs < context.clock->UnixNs() / kNsPerMs) return;
  std::set<std::string> nodes;
  for (const Suspect& suspect : report.suspects) {
    if (nodes.size() < kMostNodes && !suspect.node.empty()) nodes.insert(suspect.node);
  }
  for (const std::string& node : nodes) {
    v1::Command command;
    command.mutable_profile_cpu();
    context.fleet->Send(node, std::move(command), [](const auto&) {});
  }
}

}  // namespace

Result<Reply> Diagnose(const Request& request, ApiContext& context) {
  if (context.diagnoser == nullptr) return Fail(ErrorCode::kUnavailable, "no diagnosis here");
  FAULTLINE_ASSIGN(const Settings settings, ReadSettings(request));
  FAULTLINE_ASSIGN(const DiagnosisRequest wanted, ReadRequest(settings, context.clock->UnixNs()));
  std::string_view format = Setting(settings, "format");
  if (format.empty()) format = request.Header("accept").find("text/html") != std::string_view::npos ? "html" : "json";
  if (format != "json" && format != "text" && format != "html") {
    return Fail(ErrorCode::kInvalidArgument, "format: '{}' is not json, text or html", format);
  }
  FAULTLINE_ASSIGN(const DiagnosisReport report, context.diagnoser->Diagnose(wanted));
  ProfileIncident(report, context);
  Reply reply;
  if (format == "json") {
    reply.body = RenderJson(report);
  } else if (format == "text") {
    reply.content_type = "text/plain; charset=utf-8";
    reply.body = RenderText(report);
  } else {
    reply.content_type = "text/html; charset=utf-8";
    reply.body = RenderHtml(report);
  }
  return reply;
}

}  // namespace faultline::routes
