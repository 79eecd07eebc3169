#include "aggregator/experiments/target_selection.h"

#include <gtest/gtest.h>

#include "aggregator/experiments/blast_radius.h"

namespace faultline {
namespace {

namespace json = boost::json;

v1::ContainerInfo Container(const std::string& name_space, const std::string& pod,
                            const std::string& container, const std::string& app) {
  v1::ContainerInfo info;
  info.mutable_subject()->set_namespace_(name_space);
  info.mutable_subject()->set_pod(pod);
  info.mutable_subject()->set_container(container);
  info.mutable_subject()->set_cgroup("/kubepods/" + pod + "/" + container);
  if (!app.empty()) {
    auto& label = *info.add_labels();
    label.set_name("app");
    label.set_value(app);
  }
  return info;
}

NodeState Node(const std::string& name, std::vector<v1::ContainerInfo> containers) {
  NodeState node;
  node.node = name;
  node.up = true;
  node.capabilities = {"fault/cpu_stress", "fault/process_stop"};
  for (auto& container : containers) *node.inventory.add_containers() = std::move(container);
  (*node.inventory.mutable_facts())["zone"] = name == "n1" ? "a" : "b";
  return node;
}

std::vector<NodeState> Nodes() {
  v1::ContainerInfo plain;
  plain.mutable_subject()->set_container("tour-server");
  plain.mutable_subject()->set_cgroup("/tour/server");
  return {Node("n1", {Container("shop", "cart-0", "app", "cart"),
                      Container("shop", "cart-0", "sidecar", "cart"),
                      Container("shop", "pay-0", "app", "pay"), plain}),
          Node("n2", {Container("shop", "cart-1", "app", "cart"),
                      Container("kube-system", "dns", "dns", "dns")})};
}

ExperimentSpec Spec(std::string_view selector, const std::string& mode = "all",
                    const std::string& value = "") {
  const json::object body = {{"spec",
                              {{"fault", "cpu_stress"},
                               {"duration", "10s"},
                               {"mode", mode},
                               {"value", value},
                               {"selector", json::parse(selector)}}}};
  auto spec = ReadExperimentSpec(body);
  EXPECT_TRUE(spec) << spec.error().message;
  return spec.value_or(ExperimentSpec());
}

std::string Ids(const Result<std::vector<Target>>& targets) {
  if (!targets) return targets.error().message;
  std::string ids;
  for (const Target& target : *targets) ids += (ids.empty() ? "" : " ") + target.id;
  return ids;
}

std::string Find(std::string_view selector) { return Ids(FindTargets(Spec(selector), Nodes())); }

TEST(TargetSelection, EachSelectorChoosesItsOwn) {
  EXPECT_EQ(Find(R"({"namespaces": ["shop"]})"),
            "n1/shop/cart-0/app n1/shop/pay-0/app n2/shop/cart-1/app");
  EXPECT_EQ(Find(R"({"labelSelectors": {"app": "cart"}})"),
            "n1/shop/cart-0/app n2/shop/cart-1/app");
  EXPECT_EQ(
      Find(
          R"({"expressionSelectors": [{"key": "app", "operator": "NotIn", "values": ["cart", "dns"]}],
                     "namespaces": ["shop"]})"),
      "n1/shop/pay-0/app");
  EXPECT_EQ(Find(R"({"pods": {"shop": ["cart-0"]}, "containerNames": ["sidecar"]})"),
            "n1/shop/cart-0/sidecar");
  EXPECT_EQ(Find(R"({"nodes": ["n2"], "labelSelectors": {"app": "cart"}})"), "n2/shop/cart-1/app");
  EXPECT_EQ(Find(R"({"nodes": ["n*"]})"), "n1 n2");
  EXPECT_EQ(Find(R"({"nodeSelectors": {"zone": "b"}})"), "n2");
  EXPECT_EQ(Find(R"({"cgroups": ["/tour/*"]})"), "n1/tour/server");
  EXPECT_EQ(Find(R"({"nodes": ["n2"], "cgroups": ["/not/listed"]})"), "n2/not/listed");
  EXPECT_EQ(Find(R"({"containerNames": ["tour-server"]})"), "n1/tour/server");
  EXPECT_EQ(Find(R"({"nodes": ["n1"], "processes": ["4242", "nginx"]})"),
            "n1/pid:4242 n1/process:nginx");
}

TEST(TargetSelection, NothingIsNeverEverything) {
  EXPECT_EQ(Find("{}"), "the selector is empty: name whom to hit");
  EXPECT_EQ(Find(R"({"nodes": ["n9"]})"), "none of 2 node(s) matches the selector");
  EXPECT_EQ(Find(R"({"namespaces": ["none"]})"),
            "no container on 2 matching node(s) matches the selector (0 down, 0 unable)");
  std::vector<NodeState> nodes = Nodes();
  nodes[0].up = false;
  nodes[1].capabilities = {"fault/process_stop"};
  EXPECT_EQ(Ids(FindTargets(Spec(R"({"nodes": ["n*"]})"), nodes)),
            "of 2 matching node(s) 1 are down and 1 cannot inject cpu_stress");
}

TEST(TargetSelection, OneWayOfSelectingAtATime) {
  const json::object body = {
      {"spec",
       {{"fault", "cpu_stress"},
        {"duration", "1s"},
        {"selector", json::parse(R"({"cgroups":["/a"],"processes":["x"]})")}}}};
  EXPECT_FALSE(ReadExperimentSpec(body));
}

TEST(TargetSelection, ModesTakeAsManyAsTheySay) {
  std::vector<Target> ten;
  for (int i = 0; i < 10; ++i) ten.push_back({fmt::format("n{}", i), fmt::format("n{}", i), {}});
  const auto count = [&](const std::string& mode, const std::string& value, uint64_t seed) {
    return ChooseTargets(Spec(R"({"nodes":["*"]})", mode, value), ten, seed)->size();
  };
  EXPECT_EQ(count("one", "", 1), 1u);
  EXPECT_EQ(count("all", "", 1), 10u);
  EXPECT_EQ(count("fixed", "3", 1), 3u);
  EXPECT_EQ(count("fixed", "30", 1), 10u);
  EXPECT_EQ(count("fixed-percent", "45", 1), 4u);
  EXPECT_EQ(count("fixed-percent", "1", 1), 1u);
  bool several = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const size_t n = count("random-max-percent", "50", seed);
    EXPECT_GE(n, 1u);
    EXPECT_LE(n, 5u);
    several = several || n > 2;
  }
  EXPECT_TRUE(several);
}

TEST(TargetSelection, SeedDecidesAndNodesOrderDoesNot) {
  std::vector<NodeState> nodes = Nodes();
  const ExperimentSpec spec = Spec(R"({"namespaces": ["shop"]})", "one");
  std::set<std::string> hit;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const auto first = ChooseTargets(spec, *FindTargets(spec, nodes), seed);
    std::reverse(nodes.begin(), nodes.end());
    const auto again = ChooseTargets(spec, *FindTargets(spec, nodes), seed);
    EXPECT_EQ(Ids(first), Ids(again));
    hit.insert(Ids(first));
  }
  EXPECT_EQ(hit.size(), 3u) << "every target gets its turn";
}

std::string Check(std::string_view policy, std::string_view selector,
                  std::set<std::string> under_fault = {}) {
  const json::object body = {{"metadata", {{"name", "p"}}}, {"spec", json::parse(policy)}};
  const ExperimentSpec spec = Spec(selector);
  const auto checked =
      CheckBlastRadius({body}, spec, *FindTargets(spec, Nodes()), {2, std::move(under_fault)});
  return checked ? "" : checked.error().message;
}

TEST(BlastRadius, PoliciesRefuseByName) {
  EXPECT_EQ(Check(R"({"protectedNodes": ["n2"]})", R"({"nodes": ["n1"]})"), "");
  EXPECT_EQ(Check(R"({"protectedNodes": ["n2"]})", R"({"nodes": ["n*"]})"),
            "policy p: protectedNodes: n2");
  EXPECT_EQ(
      Check(R"({"protectedNamespaces": ["kube-*"]})", R"({"labelSelectors": {"app": "dns"}})"),
      "policy p: protectedNamespaces: n2/kube-system/dns/dns");
  EXPECT_EQ(
      Check(R"({"protectedProcesses": ["nginx"]})", R"({"nodes": ["n1"], "processes": ["nginx"]})"),
      "policy p: protectedProcesses: n1/process:nginx");
  EXPECT_EQ(Check(R"({"allowedFaults": ["process_stop"]})", R"({"nodes": ["n1"]})"),
            "policy p: allowedFaults: cpu_stress");
  EXPECT_EQ(Check(R"({"maxNodes": 1})", R"({"nodes": ["n*"]})"),
            "policy p: maxNodes: 2 node(s) would be under a fault, limit 1");
  EXPECT_EQ(Check(R"({"maxNodes": "50%"})", R"({"nodes": ["n1"]})"), "");
  EXPECT_EQ(Check(R"({"maxNodes": "50%"})", R"({"nodes": ["n1"]})", {"n2"}),
            "policy p: maxNodes: 2 node(s) would be under a fault, limit 1");
}

}  // namespace
}  // namespace faultline
