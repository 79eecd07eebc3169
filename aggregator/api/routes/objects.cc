// /apis: the objects people declare, with Kubernetes' conventions: lists with labelSelector, limit and continue, merge
// patch, server-side apply (whole bodies), manifests of other systems on POST.
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/object_watch.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/objects/objects.h"
#include "aggregator/objects/yaml.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr size_t kMaxPage = 1000;

std::string NameSpace(const Request& request) {
  const std::string_view given = request.PathValue("namespace");
  return given.empty() ? "default" : std::string(given);
}

Result<const ObjectKindRow*> KindOf(const Request& request) {
  const ObjectKindRow* row = FindObjectKind(request.PathValue("plural"));
  if (row == nullptr || row->plural != request.PathValue("plural")) {
    return Fail(ErrorCode::kNotFound, "no kind of {} is named {}", kApiVersion, request.PathValue("plural"));
  }
  return row;
}

Result<Objects*> Registry(ApiContext& context) {
  if (context.objects == nullptr) return Fail(ErrorCode::kUnavailable, "there is no object registry here");
  return context.objects;
}

Reply ObjectReply(const Request& request, json::value value, int status = 200) {
  if (request.Header("accept").find("yaml") == std::string_view::npos) return JsonReply(value, status);
  Reply reply;
  reply.status = status;
  reply.content_type = "application/yaml";
  reply.body = WriteYaml(value);
  return reply;
}

// Bodies of the request for the path's namespace; of the path's kind, unless it is null.
Result<std::vector<json::object>> Bodies(const Request& request, const Objects& objects, const ObjectKindRow* row) {
  FAULTLINE_ASSIGN(std::vector<json::object> bodies, objects.Parse(request.body));
  const std::string_view name_space = request.PathValue("namespace");
  for (json::object& body : bodies) {
    if (row != nullptr && body["kind"].as_string() != row->kind) {
      return Fail(ErrorCode::kInvalidArgument, "kind: the path takes {}, the body is {}", row->kind,
                  std::string_view(body["kind"].as_string()));
    }
    json::value& wanted = body["metadata"].as_object()["namespace"];
    if (wanted.is_null() || (wanted.is_string() && wanted.get_string().empty())) {
      wanted = json::string(NameSpace(request));
    } else if (!name_space.empty() && wanted.as_string() != name_space) {
      return Fail(ErrorCode::kInvalidArgument, "metadata.namespace: the path says {}, the body {}", name_space,
                  std::string_view(wanted.as_string()));
    }
  }
  return bodies;
}

Result<Reply> Create(const Request& request, Objects& objects, std::vector<json::object> bodies) {
  // All or nothing, as far as one can know beforehand.
  for (const json::object& body : bodies) {
    const json::object& metadata = body.at("metadata").as_object();
    const std::string_view kind = body.at("kind").as_string(), name = metadata.at("name").as_string(),
                           name_space = metadata.at("namespace").as_string();
    if (objects.Get(kind, name_space, name)) {
      return Fail(ErrorCode::kConflict, "{} {}/{} is there already", kind, name_space, name);
    }
  }
  json::array created;
  for (json::object& body : bodies) {
    FAULTLINE_ASSIGN(Object object, objects.Create(std::move(body)));
    created.push_back(std::move(object.body));
  }
  if (created.size() == 1) return ObjectReply(request, std::move(created.front()), 201);
  return ObjectReply(request, json::object{{"apiVersion", "v1"}, {"kind", "List"}, {"items", std::move(created)}}, 201);
}

// One page of `objects`, beginning after the object that `continue` names.
Result<Reply> ListReply(const Request& request, const ObjectKindRow& row, std::vector<Object> objects,
                        uint64_t version) {
  size_t limit = kMaxPage;
  if (const auto text = request.Parameter("limit"); !text.empty()) {
    const auto number = ParseUint(text);
    if (!number) return Fail(ErrorCode::kInvalidArgument, "limit: '{}' is not a number", text);
    if (*number > 0) limit = std::min<size_t>(limit, *number);
  }
  const std::string_view after = request.Parameter("continue");
  json::array items;
  std::string last;
  size_t remaining = 0;
  for (Object& object : objects) {
    std::string key = fmt::format("{}/{}", object.name_space, object.name);
    if (!after.empty() && key <= after) continue;
    if (items.size() == limit) {
      ++remaining;
      continue;
    }
    last = std::move(key);
    items.push_back(std::move(object.body));
  }
  json::object metadata = {{"resourceVersion", std::to_string(version)}};
  if (remaining > 0) metadata["continue"] = json::string(last), metadata["remainingItemCount"] = remaining;
  return ObjectReply(request, json::object{{"apiVersion", kApiVersion},
                                           {"kind", fmt::format("{}List", row.kind)},
                                           {"metadata", std::move(metadata)},
                                           {"items", std::move(items)}});
}

}  // namespace

Result<Reply> ListObjects(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(const ObjectKindRow* const row, KindOf(request));
  const std::string_view watch = request.Parameter("watch");
  if (watch == "true" || watch == "1") return WatchObjects(request, *objects, *row);
  // The version first: what changes in between is seen twice, never missed.
  const uint64_t version = objects->LastVersion();
  FAULTLINE_ASSIGN(std::vector<Object> found, objects->List(row->kind, request.PathValue("namespace"),
                                                           request.Parameter("labelSelector")));
  std::erase_if(found, [&](const Object& object) { return !FitsFieldSelector(request, object); });
  return ListReply(request, *row, std::move(found), version);
}

Result<Reply> GetObject(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(const ObjectKindRow* const row, KindOf(request));
  FAULTLINE_ASSIGN(Object object, objects->Get(row->kind, NameSpace(request), request.PathValue("name")));
  return ObjectReply(request, std::move(object.body));
}

Result<Reply> CreateObjects(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(const ObjectKindRow* const row, KindOf(request));
  FAULTLINE_ASSIGN(std::vector<json::object> bodies, Bodies(request, *objects, row));
  return Create(request, *objects, std::move(bodies));
}

Result<Reply> CreateForeignObjects(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(std::vector<json::object> bodies, Bodies(request, *objects, nullptr));
  return Create(request, *objects, std::move(bodies));
}

Result<Reply> ReplaceObject(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(const ObjectKindRow* const row, KindOf(request));
  FAULTLINE_ASSIGN(std::vector<json::object> bodies, Bodies(request, *objects, row));
  const std::string_view name = request.PathValue("name");
  if (bodies.size() != 1 || bodies.front()["metadata"].as_object()["name"].as_string() != name) {
    return Fail(ErrorCode::kInvalidArgument, "metadata.name: the body must be one object named {}", name);
  }
  const bool there = objects->Get(row->kind, NameSpace(request), name).has_value();
  FAULTLINE_ASSIGN(Object object, objects->Apply(std::move(bodies.front())));
  return ObjectReply(request, std::move(object.body), there ? 200 : 201);
}

Result<Reply> PatchObject(const Request& request, ApiContext& context) {
  const std::string_view type = request.Header("content-type");
  if (type.find("apply-patch") != std::string_view::npos) return ReplaceObject(request, context);
  if (type.find("json-patch") != std::string_view::npos || type.find("strategic") != std::string_view::npos) {
    return Fail(ErrorCode::kUnsupported, "content-type {} is not understood; send application/merge-patch+json", type);
  }
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(const ObjectKindRow* const row, KindOf(request));
  FAULTLINE_ASSIGN(const std::vector<json::value> patch, ParseYaml(request.body));
  if (patch.size() != 1) return Fail(ErrorCode::kInvalidArgument, "the body must be one merge patch");
  FAULTLINE_ASSIGN(Object object, objects->Patch(row->kind, NameSpace(request), request.PathValue("name"), patch.front()));
  return ObjectReply(request, std::move(object.body));
}

Result<Reply> DeleteObject(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Objects* const objects, Registry(context));
  FAULTLINE_ASSIGN(const ObjectKindRow* const row, KindOf(request));
  const std::string name_space = NameSpace(request);
  const std::string_view name = request.PathValue("name");
  FAULTLINE_TRY(objects->Delete(row->kind, name_space, name));
  // Still there: a finalizer holds it until what it did has been undone.
  if (auto held = objects->Get(row->kind, name_space, name)) return ObjectReply(request, std::move(held->body));
  return JsonReply(json::object{{"kind", "Status"},
                                {"apiVersion", "v1"},
                                {"metadata", json::object()},
                                {"status", "Success"},
                                {"details", {{"name", name}, {"kind", row->plural}}}});
}

}  // namespace faultline::routes
