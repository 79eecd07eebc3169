#include "aggregator/objects/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kExperiment = R"(
apiVersion: faultline.io/v1
kind: Experiment
metadata:
  name: burn
  labels: {app: web}
spec:
  fault: cpu_stress
  parameters: {workers: 2, load: 50}
  selector: {cgroups: [/victim]}
  duration: 20s
)";

class ObjectsTest : public ::testing::Test {
 protected:
  json::object Body(std::string_view text = kExperiment) {
    auto bodies = objects_.Parse(text);
    EXPECT_TRUE(bodies) << bodies.error().message;
    return bodies ? std::move(bodies->front()) : json::object();
  }
  std::string Refusal(std::string_view text) {
    const auto bodies = objects_.Parse(text);
    return bodies ? "accepted" : bodies.error().message;
  }

  MemoryDocuments store_;
  ManualClock clock_{1'800'000'000 * kNsPerSecond};
  Objects objects_{&store_, &clock_};
};

TEST_F(ObjectsTest, CreateCompletesAndStores) {
  const auto created = objects_.Create(Body());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->name_space, "default");
  EXPECT_GT(created->resource_version, 0u);
  const json::object& metadata = created->body.at("metadata").as_object();
  EXPECT_EQ(metadata.at("generation"), 1);
  EXPECT_EQ(metadata.at("uid").as_string().size(), 36u);
  EXPECT_EQ(created->body.at("spec").at("mode"), "one") << "a default is written out";
  EXPECT_EQ(created->body.at("spec").at("parameters").at("workers"), "2");
  EXPECT_EQ(objects_.Create(Body()).error().code, ErrorCode::kConflict);

  Objects again(&store_, &clock_);
  ASSERT_TRUE(again.Load());
  EXPECT_EQ(again.Get("Experiment", "default", "burn")->body, created->body);
}

TEST_F(ObjectsTest, RefusalsNameTheFieldAndItsPlace) {
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text(kExperiment);
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_EQ(Refusal(with("  duration: 20s\n", "")), "7:1: spec.duration: is missing");
  EXPECT_EQ(Refusal(with("20s", "soon")),
            "11:3: spec.duration: expected a duration above zero such as 30s, got 'soon'");
  EXPECT_EQ(Refusal(with("duration: 20s", "duration: 20s\n  mod: all")),
            "12:3: spec.mod: unknown field; did you mean mode?");
  EXPECT_EQ(Refusal(with("[/victim]", "[victim]")),
            "10:14: spec.selector.cgroups: 'victim' does not start with a slash");
  EXPECT_EQ(Refusal(with("fault: cpu_stress", "fault: CPU")),
            "8:3: spec.fault: expected a name in snake_case such as cpu_stress");
  EXPECT_EQ(Refusal(with("fault: cpu_stress", "fault: [x]")), "8:3: spec.fault: expected a string, got a list");
  EXPECT_EQ(Refusal(with("name: burn", "name: Burn")),
            "5:3: metadata.name: expected lower-case letters, digits, - and ., at most 253 of them");
  EXPECT_THAT(Refusal(with("faultline.io/v1", "faultline.io/v2")),
              testing::MatchesRegex("2:1: apiVersion: faultline.io/v2 is not one of faultline.io/v1, .*chaos-mesh.org/v1alpha1.*"));
  EXPECT_THAT(Refusal(with("kind: Experiment", "kind: Experimental")),
              testing::MatchesRegex("3:1: kind: Experimental is not one of .*Experiment, Label.*, Policy, Schedule, Workflow"));
  EXPECT_EQ(Refusal(with("duration: 20s", "duration: 20s\n  mode: fixed")),
            "7:1: spec.value: is missing; mode fixed needs it");
  EXPECT_THAT(Refusal(with("duration: 20s", "duration: 20s\n  steadyState: [{http: x}]")),
              HasSubstr("spec.steadyState[0].http: expected an object"));
  EXPECT_EQ(Refusal("a: ["), "1:1: end of sequence flow not found");
  EXPECT_EQ(Refusal("[]"), "1:1: expected an object with apiVersion, kind, metadata and spec");
  EXPECT_EQ(Refusal(""), "the text has no object");
}

TEST_F(ObjectsTest, ApplyReplacesAndCountsGenerations) {
  const std::string policy =
      "apiVersion: faultline.io/v1\nkind: Policy\nmetadata: {name: p}\nspec: {maxNodes: 1}\n";
  const auto first = objects_.Apply(Body(policy));
  ASSERT_TRUE(first) << first.error().message;
  const auto same = objects_.Apply(Body(policy));
  EXPECT_EQ(same->resource_version, first->resource_version) << "nothing changed";
  const auto changed = objects_.Apply(
      Body("apiVersion: faultline.io/v1\nkind: Policy\nmetadata: {name: p}\nspec: {maxNodes: 20%}\n"));
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_GT(changed->resource_version, first->resource_version);
  EXPECT_EQ(changed->body.at("metadata").at("generation"), 2);
  EXPECT_EQ(changed->body.at("metadata").at("uid"), first->body.at("metadata").at("uid"));

  json::object stale = first->body;
  stale["spec"] = {{"maxNodes", 3}};
  EXPECT_EQ(objects_.Apply(stale).error().code, ErrorCode::kConflict);
}

TEST_F(ObjectsTest, SpecOfAnExperimentIsFixed) {
  ASSERT_TRUE(objects_.Create(Body()));
  json::object other = Body();
  other["spec"].as_object()["duration"] = "30s";
  EXPECT_THAT(objects_.Apply(other).error().message, HasSubstr("cannot change"));
  const auto paused = objects_.Patch("Experiment", "default", "burn",
                                     json::parse(R"({"metadata":{"annotations":{"faultline.io/pause":"true"}}})"));
  ASSERT_TRUE(paused) << paused.error().message;
  EXPECT_EQ(paused->body.at("metadata").at("annotations").at("faultline.io/pause"), "true");
  EXPECT_EQ(paused->body.at("metadata").at("generation"), 1);
}

TEST_F(ObjectsTest, PatchKeepsIdentityAndIsValidated) {
  ASSERT_TRUE(objects_.Create(Body()));
  const auto patch = [&](std::string_view text) {
    const auto patched = objects_.Patch("Experiment", "default", "burn", json::parse(text));
    return patched ? "accepted" : patched.error().message;
  };
  EXPECT_THAT(patch(R"({"metadata":{"name":"other"}})"), HasSubstr("cannot change"));
  EXPECT_THAT(patch(R"({"spec":null})"), HasSubstr("spec: is missing"));
  EXPECT_THAT(patch(R"({"metadata":{"resourceVersion":"1"}})"), HasSubstr("has changed"));
  EXPECT_THAT(patch(R"([])"), HasSubstr("is an object"));
  EXPECT_EQ(objects_.Patch("Experiment", "default", "none", json::parse("{}")).error().code, ErrorCode::kNotFound);
}

TEST_F(ObjectsTest, FinalizersHoldDeletionBack) {
  json::object body = Body();
  body["metadata"].as_object()["finalizers"] = {"faultline.io/recover"};
  ASSERT_TRUE(objects_.Create(body));
  ASSERT_TRUE(objects_.Delete("Experiment", "default", "burn"));
  ASSERT_TRUE(objects_.Delete("Experiment", "default", "burn")) << "again is harmless";
  EXPECT_TRUE(objects_.Get("Experiment", "default", "burn")->body.at("metadata").as_object().contains(
      "deletionTimestamp"));
  ASSERT_TRUE(objects_.RemoveFinalizer("Experiment", "default", "burn", "faultline.io/recover"));
  EXPECT_EQ(objects_.Get("Experiment", "default", "burn").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(store_.ListDocuments("object/Experiment")->empty());
}

TEST_F(ObjectsTest, ListsBySelectorAndNamespace) {
  ASSERT_TRUE(objects_.Create(Body()));
  json::object other = Body();
  other["metadata"] = {{"name", "other"}, {"namespace", "shop"}, {"labels", {{"app", "db"}}}};
  ASSERT_TRUE(objects_.Create(other));
  EXPECT_EQ(objects_.List("Experiment", "", "")->size(), 2u);
  EXPECT_EQ(objects_.List("Experiment", "shop", "")->size(), 1u);
  EXPECT_EQ(objects_.List("Experiment", "", "app in (db)")->front().name, "other");
  EXPECT_FALSE(objects_.List("Experiment", "", "app in"));
}

TEST_F(ObjectsTest, WatchersSeeEveryChangeInOrder) {
  std::vector<std::string> seen;
  const uint64_t token = objects_.Watch("Experiment", [&](const ObjectEvent& event) {
    static constexpr const char* kNames[] = {"added", "modified", "deleted"};
    seen.push_back(std::string(kNames[static_cast<int>(event.type)]) + " " + event.object.name);
    // A controller may write from within.
    if (event.type == ObjectEvent::Type::kAdded) {
      EXPECT_TRUE(objects_.SetStatus("Experiment", "default", event.object.name, {{"phase", "Running"}}));
    }
  });
  ASSERT_TRUE(objects_.Create(Body()));
  ASSERT_TRUE(objects_.Delete("Experiment", "default", "burn"));
  objects_.Unwatch(token);
  ASSERT_TRUE(objects_.Create(Body()));
  EXPECT_THAT(seen, ElementsAre("added burn", "modified burn", "deleted burn"));
}

TEST_F(ObjectsTest, AWatchGoesOnWhereAListEnded) {
  const auto created = objects_.Create(Body());
  ASSERT_TRUE(objects_.SetStatus("Experiment", "default", "burn", {{"phase", "x"}}));
  ASSERT_TRUE(objects_.Delete("Experiment", "default", "burn"));
  std::vector<int> types;
  const auto count = [&](const ObjectEvent& event) { types.push_back(static_cast<int>(event.type)); };
  ASSERT_TRUE(objects_.WatchFrom("Experiment", created->resource_version, count));
  EXPECT_THAT(types, ElementsAre(1, 2));
  types.clear();
  ASSERT_TRUE(objects_.WatchFrom("Experiment", objects_.LastVersion(), count));
  ASSERT_TRUE(objects_.WatchFrom("Experiment", std::nullopt, count));
  EXPECT_TRUE(types.empty());
  Objects later(&store_, &clock_);
  ASSERT_TRUE(objects_.Create(Body()));
  ASSERT_TRUE(later.Load());
  EXPECT_EQ(later.WatchFrom("Experiment", created->resource_version, count).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(later.WatchFrom("Experiment", std::nullopt, count));
  EXPECT_EQ(types.back(), 0);
}

TEST_F(ObjectsTest, AFailedWriteChangesNothing) {
  ASSERT_TRUE(objects_.Create(Body()));
  store_.write_error = Error{ErrorCode::kResourceExhausted, "disk full"};
  EXPECT_FALSE(objects_.SetStatus("Experiment", "default", "burn", {{"phase", "x"}}));
  EXPECT_FALSE(objects_.Delete("Experiment", "default", "burn"));
  store_.write_error.reset();
  EXPECT_FALSE(objects_.Get("Experiment", "default", "burn")->body.contains("status"));
}

TEST_F(ObjectsTest, SeveralDocumentsAndLists) {
  const auto two = objects_.Parse(std::string(kExperiment) + "---" + std::string(kExperiment));
  EXPECT_EQ(two->size(), 2u);
  const json::object list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", json::array{Body(), Body()}}};
  EXPECT_EQ(objects_.Parse(json::serialize(list))->size(), 2u);
}

}  // namespace
}  // namespace faultline
