// /api/v1/labels/ground-truth: which fault was in force on whom, and when. POST adds labels that people know of.
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/labels/ground_truth.h"
#include "aggregator/labels/label_json.h"
#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/yaml.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr size_t kMaxLabels = 10'000;

std::string Text(const json::string* text) { return text == nullptr ? std::string() : std::string(*text); }

// {fault, node, begin, end, namespace, pod, container, cgroup, parameters, source, message, uid}
Result<FaultLabel> ReadLabel(json::value& value, const std::string& path) {
  if (!value.is_object()) return Fail(ErrorCode::kInvalidArgument, "{}: expected an object", path);
  FieldReader reader(value.get_object(), path);
  FaultLabel label;
  label.fault = Text(reader.String("fault", Need::kRequired));
  label.node = Text(reader.String("node"));
  label.uid = Text(reader.String("uid"));
  label.experiment = Text(reader.String("experiment"));
  label.message = Text(reader.String("message"));
  const std::string source = reader.Word("source", {"imported", "manual"}, "manual");
  label.source = source;
  label.target.set_namespace_(Text(reader.String("namespace")));
  label.target.set_pod(Text(reader.String("pod")));
  label.target.set_container(Text(reader.String("container")));
  label.target.set_cgroup(Text(reader.String("cgroup")));
  label.begin_unix_ns = reader.Time("begin", Need::kRequired).value_or(0);
  label.end_unix_ns = reader.Time("end", Need::kRequired).value_or(0);
  label.phase = v1::FAULT_PHASE_RECOVERED;
  reader.StringMap("parameters");
  FAULTLINE_TRY(reader.Done());
  if (label.end_unix_ns < label.begin_unix_ns) {
    return Fail(ErrorCode::kInvalidArgument, "{}.end: lies before begin", path);
  }
  if (const json::value* parameters = value.get_object().if_contains("parameters")) {
    for (const auto& [name, text] : parameters->as_object()) label.parameters[name] = std::string(text.as_string());
  }
  return label;
}

Result<GroundTruth*> TruthOf(ApiContext& context) {
  if (context.ground_truth == nullptr) return Fail(ErrorCode::kUnavailable, "no ground truth here");
  return context.ground_truth;
}

Result<int64_t> TimeOr(const Request& request, std::string_view name, int64_t otherwise) {
  const std::string_view text = request.Parameter(name);
  if (text.empty()) return otherwise;
  return ParseTimeParameter(name, text);
}

}  // namespace

Result<Reply> GroundTruthLabels(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(GroundTruth* const truth, TruthOf(context));
  FAULTLINE_ASSIGN(const int64_t begin, TimeOr(request, "start", 0));
  FAULTLINE_ASSIGN(const int64_t end, TimeOr(request, "end", INT64_MAX));
  json::array labels;
  for (const FaultLabel& label : truth->Between(begin, end)) {
    const std::string_view node = request.Parameter("node");
    if (!node.empty() && label.node != node) continue;
    labels.push_back(LabelToJson(label));
  }
  // The newest matter most; a narrower window gives the rest.
  if (labels.size() > kMaxLabels) labels.erase(labels.begin(), labels.end() - kMaxLabels);
  return SuccessReply(std::move(labels));
}

Result<Reply> ImportGroundTruth(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(GroundTruth* const truth, TruthOf(context));
  FAULTLINE_ASSIGN(std::vector<json::value> documents, ParseYaml(request.body));
  std::vector<FaultLabel> labels;
  for (json::value& document : documents) {
    json::array one;
    if (!document.is_array()) one.push_back(document);
    json::array& items = document.is_array() ? document.get_array() : one;
    for (json::value& item : items) {
      FAULTLINE_ASSIGN(FaultLabel label, ReadLabel(item, fmt::format("labels[{}]", labels.size())));
      labels.push_back(std::move(label));
      if (labels.size() > kMaxLabels) return Fail(ErrorCode::kInvalidArgument, "more than {} labels", kMaxLabels);
    }
  }
  const size_t count = labels.size();
  for (FaultLabel& label : labels) FAULTLINE_TRY(truth->Add(std::move(label)));
  return SuccessReply(json::object{{"added", count}});
}

}  // namespace faultline::routes
