// /apis: which groups and kinds there are, as Kubernetes' clients ask for it.
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/objects/objects.h"
#include "common/version.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

json::object GroupJson() {
  const json::object version = {{"groupVersion", kApiVersion}, {"version", "v1"}};
  return {{"name", "faultline.io"}, {"versions", json::array{version}}, {"preferredVersion", version}};
}

}  // namespace

Result<Reply> ApiGroups(const Request&, ApiContext&) {
  return JsonReply(json::object{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", json::array{GroupJson()}}});
}

Result<Reply> ApiGroup(const Request&, ApiContext&) {
  json::object group = GroupJson();
  group["kind"] = "APIGroup";
  group["apiVersion"] = "v1";
  return JsonReply(group);
}

Result<Reply> ApiResources(const Request&, ApiContext&) {
  json::array resources;
  for (const ObjectKindRow& row : ObjectKindCatalogue()) {
    std::string singular(row.kind);
    for (char& c : singular) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    resources.push_back({{"name", row.plural},
                         {"singularName", singular},
                         {"namespaced", true},
                         {"kind", row.kind},
                         {"description", row.doc},
                         {"verbs", {"create", "delete", "get", "list", "patch", "update", "watch"}}});
  }
  return JsonReply(json::object{{"kind", "APIResourceList"},
                                {"apiVersion", "v1"},
                                {"groupVersion", kApiVersion},
                                {"resources", std::move(resources)}});
}

Result<Reply> RouteList(const Request&, ApiContext&) {
  json::array routes;
  for (const Route& route : RouteCatalogue()) {
    routes.push_back({{"methods", route.methods}, {"path", route.path}, {"doc", route.doc}});
  }
  return SuccessReply(json::object{{"version", Version()}, {"routes", std::move(routes)}});
}

}  // namespace faultline::routes
