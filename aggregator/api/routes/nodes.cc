// /api/v1/nodes and /api/v1/topology: who is there and what runs where.
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

json::object ContainerJson(const v1::ContainerInfo& container) {
  json::object object = SubjectJson(container.subject());
  object["runtime"] = container.runtime();
  if (!container.image().empty()) object["image"] = container.image();
  if (!container.pod_uid().empty()) object["podUid"] = container.pod_uid();
  json::object labels;
  for (const v1::Label& label : container.labels()) labels[label.name()] = label.value();
  object["labels"] = std::move(labels);
  json::array pids;
  for (const uint32_t pid : container.pids()) pids.emplace_back(pid);
  object["pids"] = std::move(pids);
  return object;
}

json::array LeavesJson(const v1::Inventory& inventory) {
  json::array leaves;
  for (const v1::LeafStatus& leaf : inventory.leaves()) {
    leaves.push_back({{"kind", leaf.kind()}, {"name", leaf.name()}, {"running", leaf.running()}, {"reason", leaf.reason()}});
  }
  return leaves;
}

Result<Fleet*> FleetOf(ApiContext& context) {
  if (context.fleet == nullptr) return Fail(ErrorCode::kUnavailable, "no fleet here");
  return context.fleet;
}

}  // namespace

Result<Reply> Nodes(const Request&, ApiContext& context) {
  FAULTLINE_ASSIGN(Fleet* const fleet, FleetOf(context));
  const int64_t now = context.clock->UnixNs();
  json::array nodes;
  for (const NodeState& node : fleet->Nodes()) nodes.push_back(NodeJson(node, now));
  return SuccessReply(std::move(nodes));
}

Result<Reply> OneNode(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Fleet* const fleet, FleetOf(context));
  FAULTLINE_ASSIGN(const NodeState node, fleet->Node(std::string(request.PathValue("node"))));
  json::object object = NodeJson(node, context.clock->UnixNs());
  json::array containers;
  for (const v1::ContainerInfo& container : node.inventory.containers()) containers.push_back(ContainerJson(container));
  object["inventory"] = std::move(containers);
  object["leaves"] = LeavesJson(node.inventory);
  return SuccessReply(std::move(object));
}

Result<Reply> Topology(const Request&, ApiContext& context) {
  FAULTLINE_ASSIGN(Fleet* const fleet, FleetOf(context));
  json::array vertices, edges;
  for (const NodeState& node : fleet->Nodes()) {
    const std::string node_id = "node/" + node.node;
    vertices.push_back({{"id", node_id}, {"kind", "node"}, {"name", node.node}, {"up", node.up}});
    for (const v1::ContainerInfo& container : node.inventory.containers()) {
      const v1::Subject& subject = container.subject();
      const std::string id = "container/" + node.node + subject.cgroup();
      json::object vertex = ContainerJson(container);
      vertex["id"] = id;
      vertex["kind"] = "container";
      vertex["name"] = subject.container().empty() ? subject.cgroup() : subject.container();
      vertices.push_back(std::move(vertex));
      edges.push_back({{"from", node_id}, {"to", id}, {"kind", "runs"}});
    }
  }
  return SuccessReply(json::object{{"vertices", std::move(vertices)}, {"edges", std::move(edges)}});
}

}  // namespace faultline::routes
