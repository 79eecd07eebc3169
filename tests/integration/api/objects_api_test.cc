// /apis over a real socket: what kubectl and the command do, and what a careless client gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "aggregator/api/http_server.h"
#include "aggregator/fleet.h"
#include "aggregator/labels/ground_truth.h"
#include "aggregator/objects/objects.h"
#include "common/self_metrics.h"
#include "tests/support/http_exchange.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

constexpr std::string_view kBurn =
    R"({"apiVersion":"faultline.io/v1","kind":"Experiment","metadata":{"name":"burn","labels":{"app":"web"}},)"
    R"("spec":{"fault":"cpu_stress","duration":"5s","selector":{"nodes":["n1"]}}})";
constexpr std::string_view kExperiments = "/apis/faultline.io/v1/experiments";

class ObjectsApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    context_ = {.store = &store_, .fleet = &fleet_, .objects = &objects_, .ground_truth = &truth_,
                .self_metrics = &metrics_, .clock = &clock_};
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    auto server = HttpServer::Start(options, RouteCatalogue(), &context_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  HttpAnswer Ask(std::string_view method, std::string_view target, std::string_view body = "",
                 std::string_view headers = "", std::string_view until = "") {
    return HttpExchange(server_->port(), method, target, body, headers, until);
  }
  json::value Json(const HttpAnswer& answer) { return json::parse(answer.body); }

  SystemClock clock_;
  MemoryDocuments store_;
  Fleet fleet_{&clock_, 15 * kNsPerSecond};
  Objects objects_{&store_, &clock_};
  GroundTruth truth_{&store_};
  SelfMetrics metrics_;
  ApiContext context_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ObjectsApiTest, LifeOfAnObject) {
  EXPECT_EQ(Ask("POST", kExperiments, kBurn).status, 201);
  const HttpAnswer again = Ask("POST", kExperiments, kBurn);
  EXPECT_EQ(again.status, 409);
  EXPECT_THAT(again.body, HasSubstr("\"reason\":\"Conflict\""));
  const json::value got = Json(Ask("GET", "/apis/faultline.io/v1/experiments/burn"));
  EXPECT_EQ(got.at("metadata").at("namespace"), "default");
  EXPECT_EQ(Ask("GET", "/apis/faultline.io/v1/namespaces/default/experiments/burn").status, 200);
  EXPECT_EQ(Ask("GET", "/apis/faultline.io/v1/namespaces/other/experiments/burn").status, 404);
  EXPECT_EQ(Ask("PATCH", "/apis/faultline.io/v1/experiments/burn",
                R"({"metadata":{"annotations":{"faultline.io/pause":"true"}}})",
                "Content-Type: application/merge-patch+json\r\n").status, 200);
  EXPECT_EQ(Ask("PUT", "/apis/faultline.io/v1/experiments/other", kBurn).status, 422) << "another name";
  EXPECT_EQ(Ask("DELETE", "/apis/faultline.io/v1/experiments/burn").status, 200);
  EXPECT_EQ(Ask("DELETE", "/apis/faultline.io/v1/experiments/burn").status, 404);
  // Five writes that named an object of ours were let through to a handler.
  EXPECT_GE(store_.ListDocuments("audit")->size(), 5u);
  const HttpAnswer audit = Ask("GET", "/api/v1/audit?limit=1");
  EXPECT_THAT(audit.body, HasSubstr("\"method\":\"DELETE\""));
}

TEST_F(ObjectsApiTest, RefusalsAreStatusObjects) {
  const HttpAnswer unknown_field = Ask("POST", kExperiments, R"({"apiVersion":"faultline.io/v1","kind":"Experiment",)"
      R"("metadata":{"name":"x"},"spec":{"fault":"cpu_stress","duration":"5s","selector":{},"colour":"red"}})");
  EXPECT_EQ(unknown_field.status, 422);
  EXPECT_THAT(unknown_field.body, HasSubstr("spec.colour: unknown field"));
  EXPECT_EQ(Ask("GET", "/apis/faultline.io/v1/gadgets").status, 404);
  EXPECT_EQ(Ask("GET", std::string(kExperiments) + "?labelSelector=a%20in").status, 422);
  EXPECT_EQ(Ask("GET", std::string(kExperiments) + "?limit=x").status, 422);
  EXPECT_EQ(Ask("POST", "/apis/faultline.io/v1/policies", kBurn).status, 422) << "another kind";
  EXPECT_EQ(Ask("POST", kExperiments, "").status, 422);
  EXPECT_EQ(Ask("PATCH", "/apis/faultline.io/v1/experiments/burn", "[]", "Content-Type: application/json-patch+json\r\n").status, 422);
}

TEST_F(ObjectsApiTest, ListsArePagedAndSelected) {
  for (int i = 0; i < 5; ++i) {
    std::string body(kBurn);
    body.replace(body.find("burn"), 4, fmt::format("burn-{}", i));
    if (i % 2) body.replace(body.find("\"web\""), 5, "\"db\"");
    ASSERT_EQ(Ask("POST", kExperiments, body).status, 201);
  }
  const json::value first = Json(Ask("GET", std::string(kExperiments) + "?limit=2"));
  EXPECT_EQ(first.at("kind"), "ExperimentList");
  EXPECT_EQ(first.at("items").as_array().size(), 2u);
  EXPECT_EQ(first.at("metadata").at("remainingItemCount"), 3);
  const std::string token(first.at("metadata").at("continue").as_string());
  const json::value second = Json(Ask("GET", std::string(kExperiments) + "?limit=2&continue=" + token));
  EXPECT_EQ(second.at("items").at(0).at("metadata").at("name"), "burn-2");
  EXPECT_EQ(Json(Ask("GET", std::string(kExperiments) + "?labelSelector=app%3Ddb")).at("items").as_array().size(), 2u);
  EXPECT_EQ(Json(Ask("GET", std::string(kExperiments) + "?fieldSelector=metadata.name%3Dburn-1")).at("items").as_array().size(), 1u);
  const HttpAnswer yaml = Ask("GET", "/apis/faultline.io/v1/experiments/burn-0", "", "Accept: application/yaml\r\n");
  EXPECT_THAT(yaml.body, HasSubstr("apiVersion: faultline.io/v1\n"));
}

TEST_F(ObjectsApiTest, WatchSendsWhatIsThereAndWhatComes) {
  ASSERT_EQ(Ask("POST", kExperiments, kBurn).status, 201);
  HttpAnswer seen;
  std::jthread watcher([&] {
    seen = Ask("GET", std::string(kExperiments) + "?watch=true&timeoutSeconds=8", "", "", "DELETED");
  });
  // The watch is there once it is counted as answered by nobody else: poll until an update reaches it.
  for (int i = 0; i < 100 && seen.body.empty(); ++i) {
    objects_.SetStatus("Experiment", "default", "burn", {{"tick", i}});
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (i == 30) objects_.Delete("Experiment", "default", "burn");
  }
  watcher.join();
  EXPECT_THAT(seen.body, HasSubstr("\"type\":\"ADDED\""));
  EXPECT_THAT(seen.body, HasSubstr("\"type\":\"MODIFIED\""));
  EXPECT_THAT(seen.body, HasSubstr("\"type\":\"DELETED\""));
  EXPECT_EQ(Ask("GET", std::string(kExperiments) + "?watch=1&resourceVersion=bad").status, 422);
}

TEST_F(ObjectsApiTest, ForeignManifestsAreTakenUnchanged) {
  const HttpAnswer answer = Ask("POST", "/apis/chaos-mesh.org/v1alpha1/namespaces/shop/stresschaos", R"(
apiVersion: chaos-mesh.org/v1alpha1
kind: StressChaos
metadata: {name: burn-cpu}
spec: {mode: one, duration: 30s, selector: {labelSelectors: {app: web}}, stressors: {cpu: {workers: 1, load: 100}}}
)", "Content-Type: application/yaml\r\n");
  EXPECT_EQ(answer.status, 201) << answer.body;
  const auto object = objects_.Get("Experiment", "shop", "burn-cpu");
  ASSERT_TRUE(object);
  EXPECT_EQ(object->body.at("spec").at("fault"), "cpu_stress");
  EXPECT_THAT(Ask("POST", "/apis/chaos-mesh.org/v1alpha1/timechaos", "apiVersion: chaos-mesh.org/v1alpha1\n"
                  "kind: TimeChaos\nmetadata: {name: x}\nspec: {}\n").body, HasSubstr("spec.selector: is missing"));
}

TEST_F(ObjectsApiTest, Discovery) {
  EXPECT_THAT(Ask("GET", "/apis").body, HasSubstr("\"name\":\"faultline.io\""));
  const json::value resources = Json(Ask("GET", "/apis/faultline.io/v1"));
  EXPECT_EQ(resources.at("resources").as_array().size(), ObjectKindCatalogue().size());
}

TEST_F(ObjectsApiTest, NodesTopologyAndGroundTruth) {
  v1::Inventory inventory;
  v1::Subject& subject = *inventory.add_containers()->mutable_subject();
  subject.set_container("web");
  subject.set_cgroup("/kubepods/web");
  fleet_.OnHello("n1", v1::Hello());
  fleet_.OnInventory("n1", inventory);
  EXPECT_EQ(Json(Ask("GET", "/api/v1/nodes")).at("data").at(0).at("node"), "n1");
  EXPECT_EQ(Json(Ask("GET", "/api/v1/nodes/n1")).at("data").at("inventory").at(0).at("container"), "web");
  EXPECT_EQ(Ask("GET", "/api/v1/nodes/n2").status, 404);
  EXPECT_EQ(Json(Ask("GET", "/api/v1/topology")).at("data").at("edges").at(0).at("from"), "node/n1");
  EXPECT_EQ(Ask("POST", "/api/v1/labels/ground-truth", "fault: cpu_stress\nnode: n1\ncgroup: /kubepods/web\n"
                "begin: '2026-01-01T00:00:00Z'\nend: '2026-01-01T00:01:00Z'\n").status, 200);
  const json::value labels = Json(Ask("GET", "/api/v1/labels/ground-truth?start=2026-01-01T00:00:30Z"));
  EXPECT_EQ(labels.at("data").at(0).at("fault"), "cpu_stress");
  EXPECT_EQ(Json(Ask("GET", "/api/v1/labels/ground-truth?end=1.5")).at("data").as_array().size(), 0u);
  EXPECT_THAT(Ask("POST", "/api/v1/labels/ground-truth", "[{\"fault\":\"x\",\"begin\":\"noon\"}]").body,
              HasSubstr("labels[0].begin: expected a time"));
}

// What a client of chaosd sends and reads.
TEST_F(ObjectsApiTest, AttacksOfChaosdBecomeExperiments) {
  const HttpAnswer attack = Ask("POST", "/api/attack/stress?node=n1", R"({"action":"cpu","load":10,"workers":1})");
  ASSERT_EQ(attack.status, 200) << attack.body;
  const std::string uid(Json(attack).at("uid").as_string());
  const auto experiment = objects_.Get("Experiment", "default", "attack-" + uid);
  ASSERT_TRUE(experiment);
  EXPECT_EQ(experiment->body.at("spec").at("fault"), "cpu_stress");
  EXPECT_EQ(experiment->body.at("spec").at("selector").at("nodes").at(0), "n1");
  const json::value list = Json(Ask("GET", "/api/experiments/"));
  ASSERT_EQ(list.as_array().size(), 1u);
  EXPECT_EQ(std::string_view(list.at(0).at("uid").as_string()), uid);
  EXPECT_EQ(list.at(0).at("status"), "created");
  EXPECT_EQ(Ask("GET", "/api/experiments/" + uid + "/runs").status, 200);
  EXPECT_EQ(Ask("DELETE", "/api/attack/" + uid).status, 200);
  EXPECT_EQ(objects_.Get("Experiment", "default", "attack-" + uid)->body.at("metadata").at("annotations").at("faultline.io/abort"), "true");
  EXPECT_EQ(Ask("DELETE", "/api/attack/no-such-uid").status, 404);
  const HttpAnswer refused = Ask("POST", "/api/attack/network", R"({"action":"delay","colour":"red"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("colour: unknown field"));
  EXPECT_EQ(Ask("POST", "/api/attack/network", "not json").status, 400);
  EXPECT_EQ(Ask("GET", "/api/system/health").status, 200);
  EXPECT_THAT(Ask("GET", "/api/system/version").body, HasSubstr("version"));
}

}  // namespace
}  // namespace faultline
