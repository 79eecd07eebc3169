// chaosd's routes: attacks in, experiments out, with its statuses and field names. An attack
// becomes an Experiment called attack-<uid>; `?node=` says where (chaosd attacks the machine it
// runs on; here any one node unless told). Ended by DELETE, or after an hour.
#include <random>

#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/objects/foreign/chaosd.h"
#include "aggregator/objects/objects.h"
#include "common/text.h"
#include "common/version.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "attack-";

std::string MakeUid() {
  std::random_device random;
  const auto word = [&] { return fmt::format("{:08x}", random()); };
  const std::string hex = word() + word() + word() + word();
  return fmt::format("{}-{}-4{}-a{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
}

const json::object& ObjectAt(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// created, success, error, destroyed: chaosd's words for where an experiment is.
std::string StatusWord(const json::object& body) {
  const json::object& status = ObjectAt(body, "status");
  const std::string phase = TextAt(status, "phase");
  if (phase == "Finished") return "destroyed";
  if (phase == "Failed") return "error";
  if (const json::value* list = status.if_contains("conditions");
      list != nullptr && list->is_array()) {
    for (const json::value& condition : list->get_array()) {
      if (condition.is_object() && TextAt(condition.get_object(), "type") == "AllInjected" &&
          TextAt(condition.get_object(), "status") == "True")
        return "success";
    }
  }
  return "created";
}

json::object ExperimentJson(const Object& object) {
  const json::object& spec = ObjectAt(object.body, "spec");
  const json::object& metadata = ObjectAt(object.body, "metadata");
  return {{"uid", object.name.substr(kPrefix.size())},
          {"created_at", TextAt(metadata, "creationTimestamp")},
          {"status", StatusWord(object.body)},
          {"kind", TextAt(ObjectAt(metadata, "labels"), "chaosd")},
          {"action", TextAt(spec, "fault")},
          {"recover_command", json::serialize(ObjectAt(spec, "parameters"))},
          {"launch_mode", "svr"}};
}

}  // namespace

Result<Reply> ChaosdAttack(const Request& request, ApiContext& context) {
  if (context.objects == nullptr)
    return Fail(ErrorCode::kUnavailable, "there is no object registry here");
  boost::system::error_code error;
  json::value body = json::parse(request.body.empty() ? "{}" : request.body, error);
  if (error || !body.is_object())
    return Fail(ErrorCode::kInvalidArgument, "body: expected a JSON object");
  const std::string uid = MakeUid();
  FAULTLINE_ASSIGN(
      std::vector<json::object> objects,
      TranslateAttack(std::string(request.PathValue("kind")), std::move(body.get_object()),
                      std::string(kPrefix) + uid, std::string(request.Parameter("node"))));
  for (json::object& object : objects) {
    object["metadata"].as_object()["namespace"] = "default";
    FAULTLINE_TRY(context.objects->Create(std::move(object)));
  }
  return JsonReply(json::object{{"status", 200}, {"message", "attack successfully"}, {"uid", uid}});
}

Result<Reply> ChaosdRecover(const Request& request, ApiContext& context) {
  if (context.objects == nullptr)
    return Fail(ErrorCode::kUnavailable, "there is no object registry here");
  const std::string name = std::string(kPrefix) + std::string(request.PathValue("uid"));
  const json::value patch = {{"metadata", {{"annotations", {{"faultline.io/abort", "true"}}}}}};
  FAULTLINE_TRY(context.objects->Patch("Experiment", "default", name, patch));
  return JsonReply(json::object{{"status", 200},
                                {"message", "recover successfully"},
                                {"uid", std::string(request.PathValue("uid"))}});
}

Result<Reply> ChaosdExperiments(const Request&, ApiContext& context) {
  if (context.objects == nullptr)
    return Fail(ErrorCode::kUnavailable, "there is no object registry here");
  FAULTLINE_ASSIGN(const std::vector<Object> objects,
                   context.objects->List("Experiment", "default", "chaosd"));
  json::array list;
  for (const Object& object : objects) {
    if (object.name.starts_with(kPrefix) && list.size() < 1000)
      list.push_back(ExperimentJson(object));
  }
  return JsonReply(std::move(list));
}

Result<Reply> ChaosdRuns(const Request& request, ApiContext& context) {
  if (context.objects == nullptr)
    return Fail(ErrorCode::kUnavailable, "there is no object registry here");
  const std::string uid(request.PathValue("uid"));
  FAULTLINE_ASSIGN(const Object object,
                   context.objects->Get("Experiment", "default", std::string(kPrefix) + uid));
  json::array runs;
  const json::value* records = ObjectAt(object.body, "status").if_contains("records");
  for (const json::value& value :
       records != nullptr && records->is_array() ? records->get_array() : json::array()) {
    const json::object& record = value.as_object();
    const std::string phase = TextAt(record, "phase");
    runs.push_back({{"uid", uid},
                    {"start_at", TextAt(record, "injectedAt")},
                    {"finished_at", TextAt(record, "recoveredAt")},
                    {"status", phase == "Recovered"  ? "recovered"
                               : phase == "Failed"   ? "failed"
                               : phase == "Injected" ? "success"
                                                     : "started"},
                    {"message", TextAt(record, "message")}});
  }
  return JsonReply(std::move(runs));
}

Result<Reply> ChaosdHealth(const Request&, ApiContext&) {
  return JsonReply(json::object{{"status", 0}});
}

Result<Reply> ChaosdVersion(const Request&, ApiContext&) {
  return JsonReply(json::object{{"version", Version()}});
}

}  // namespace faultline::routes
