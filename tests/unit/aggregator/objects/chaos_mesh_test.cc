#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "aggregator/objects/object_text.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

constexpr std::string_view kStress = R"(
apiVersion: chaos-mesh.org/v1alpha1
kind: StressChaos
metadata: {name: mixed, namespace: shop, labels: {team: a}}
spec:
  mode: fixed
  value: '2'
  duration: 30s
  containerNames: [app]
  selector:
    labelSelectors: {app: web}
    podPhaseSelectors: [Running]
  stressors:
    cpu: {workers: 2, load: 80}
    memory: {workers: 1, size: 64MB}
)";

std::string With(std::string_view from, std::string_view to) {
  std::string text(kStress);
  text.replace(text.find(from), from.size(), to);
  return text;
}

std::string Refusal(std::string_view text) {
  const auto objects = ParseObjects(text);
  return objects ? "accepted" : objects.error().message;
}

TEST(ChaosMeshTest, StressBecomesOneExperimentPerStressor) {
  const auto objects = ParseObjects(kStress);
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 2u);
  const json::object& cpu = objects->at(0);
  EXPECT_EQ(cpu.at("metadata").at("name"), "mixed-cpu");
  EXPECT_EQ(cpu.at("metadata").at("labels").at("team"), "a");
  EXPECT_EQ(cpu.at("metadata").at("annotations").at("faultline.io/translated-from"),
            "chaos-mesh.org/v1alpha1 StressChaos");
  EXPECT_EQ(cpu.at("spec"), json::parse(R"({"selector":{"namespaces":["shop"],"labelSelectors":{"app":"web"},
      "containerNames":["app"]},"mode":"fixed","value":"2","duration":"30s","fault":"cpu_stress",
      "parameters":{"workers":"2","load":"80"}})"));
  EXPECT_EQ(objects->at(1).at("spec").at("fault"), "memory_stress");
  EXPECT_EQ(objects->at(1).at("spec").at("parameters").at("size"), "64MB");
}

TEST(ChaosMeshTest, WhatCannotBeHonouredIsRefusedByName) {
  EXPECT_THAT(Refusal(With("workers: 2,", "workers: 2, options: ['--matrix 2'],")),
              HasSubstr("spec.stressors.cpu.options: '--matrix' cannot be honoured"));
  EXPECT_THAT(Refusal(With("podPhaseSelectors: [Running]", "annotationSelectors: {a: b}")),
              HasSubstr("spec.selector.annotationSelectors: cannot be honoured"));
  EXPECT_THAT(Refusal(With("kind: StressChaos", "kind: RemoteCluster")),
              HasSubstr("kind: RemoteCluster of chaos-mesh.org/v1alpha1 cannot be honoured"));
  EXPECT_THAT(Refusal(With("mode: fixed", "mode: some")), HasSubstr("spec.mode: 'some' is not one of"));
  EXPECT_THAT(Refusal(With("duration: 30s", "scheduler: {cron: x}")), HasSubstr("spec.cron: 'x' has 1 fields"));
  EXPECT_THAT(Refusal(With("duration: 30s", "durations: 30s")), HasSubstr("spec.durations: unknown field"));
}

TEST(ChaosMeshTest, AnEndIsAdded) {
  const auto objects = ParseObjects(With("  duration: 30s\n", ""));
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ(objects->front().at("spec").at("duration"), "1h");
  EXPECT_TRUE(objects->front().at("metadata").at("annotations").as_object().contains("faultline.io/translation-note"));
}

TEST(ChaosMeshTest, PodFailureStopsProcesses) {
  const std::string pod = "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: p}\nspec:\n"
                          "  action: ACTION\n  mode: all\n  duration: 10s\n  selector: {pods: {default: [a, b]}}\n";
  const auto with = [&](std::string_view action) {
    std::string text = pod;
    return text.replace(text.find("ACTION"), 6, action);
  };
  const auto objects = ParseObjects(with("pod-failure"));
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ(objects->front().at("spec").at("fault"), "pod_failure");
  EXPECT_EQ(objects->front().at("spec").at("selector"), json::parse(R"({"pods":{"default":["a","b"]}})"));
  EXPECT_EQ(ParseObjects(with("pod-kill"))->front().at("spec").at("fault"), "pod_kill");
  EXPECT_THAT(Refusal(with("pod-stop")), HasSubstr("5:3: spec.action: 'pod-stop' is not one of"));
}

TEST(ChaosMeshTest, SelectorsByFieldsAndByName) {
  const auto selector = [](std::string_view text) {
    std::string pod =
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: p, namespace: "
        "home}\nspec:\n"
        "  action: pod-failure\n  mode: all\n  duration: 10s\n  selector: ";
    const auto objects = ParseObjects(pod.append(text) + "\n");
    return objects ? objects->front().at("spec").at("selector")
                   : json::value(json::string(objects.error().message));
  };
  EXPECT_EQ(selector("{fieldSelectors: {metadata.name: web-0}}"),
            json::parse(R"({"pods":{"home":["web-0"]}})"));
  EXPECT_EQ(selector("{namespaces: [a, b], fieldSelectors: {metadata.name: w}}"),
            json::parse(R"({"namespaces":["a","b"],"pods":{"a":["w"],"b":["w"]}})"));
  EXPECT_EQ(selector("{fieldSelectors: {spec.nodeName: n7, metadata.namespace: s}}"),
            json::parse(R"({"namespaces":["s"],"nodes":["n7"]})"));
  EXPECT_THAT(std::string(selector("{fieldSelectors: {status.podIP: 10.0.0.1}}").as_string()),
              HasSubstr("spec.selector.fieldSelectors.status.podIP: cannot be honoured"));
  EXPECT_EQ(selector("{pods: {s: [p]}, labelSelectors: {a: b}, namespaces: [t]}"),
            json::parse(R"({"pods":{"s":["p"]}})"))
      << "named pods are meant whatever else is said";
}

TEST(ChaosMeshTest, BytesAreBase64AndFormsLeaveEmptyFields) {
  const std::string http =
      "apiVersion: chaos-mesh.org/v1alpha1\nkind: HTTPChaos\nmetadata: {name: h}\nspec:\n  mode: "
      "all\n"
      "  selector: {labelSelectors: {a: b}}\n  target: Response\n  port: 80\n  tls: null\n  other: "
      "null\n"
      "  replace: {body: BODY}\n";
  const auto with = [&](std::string_view body) {
    std::string text = http;
    return ParseObjects(text.replace(text.find("BODY"), 4, body));
  };
  const auto objects = with("c29ycnk=");
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ(objects->front().at("spec").at("parameters").at("replace.body"), "sorry");
  EXPECT_THAT(with("no-base").error().message, HasSubstr("spec.replace.body: is not base64"));
  EXPECT_TRUE(ParseObjects(With("workers: 2,", "workers: 2, options: [''],")));
}

TEST(ChaosMeshTest, AWorkflowMayHaveEmptyFieldsOfAForm) {
  const auto objects = ParseObjects(
      "apiVersion: chaos-mesh.org/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  entry: a\n"
      "  templates:\n  - {name: a, templateType: Serial, deadline: '', children: [b], "
      "conditionalBranches: [], task: null}\n"
      "  - {name: b, templateType: Suspend, deadline: 1s, children: []}\n");
  ASSERT_TRUE(objects) << objects.error().message;
}

TEST(ChaosMeshTest, APartitionDrops) {
  const std::string text =
      "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: n}\nspec:\n"
      "  action: partition\n  mode: all\n  selector: {labelSelectors: {a: b}}\n  externalTargets: "
      "[10.1.1.1]\n"
      "  partitionBehavior: ";
  EXPECT_TRUE(ParseObjects(text + "drop\n"));
  EXPECT_THAT(Refusal(text + "reject\n"),
              HasSubstr("spec.partitionBehavior: 'reject' cannot be honoured"));
}

constexpr std::string_view kNetwork = R"(
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: slow, namespace: shop}
spec:
  action: delay
  mode: one
  selector: {labelSelectors: {app: web}}
  delay: {latency: 90ms, correlation: '25', jitter: 90ms, reorder: {reorder: '0.5', gap: 2}}
  direction: both
  externalTargets: [8.8.8.8, 'example.com:443']
  target: {selector: {labelSelectors: {app: db}}, mode: all}
  duration: 10s
)";

TEST(ChaosMeshTest, NetworkKeepsNamesAndTheOtherSide) {
  const auto objects = ParseObjects(kNetwork);
  ASSERT_TRUE(objects) << objects.error().message;
  const json::object& spec = objects->front().at("spec").as_object();
  EXPECT_EQ(spec.at("fault"), "network_delay");
  EXPECT_EQ(spec.at("parameters"), json::parse(R"({"latency":"90ms","correlation":"25","jitter":"90ms","reorder.reorder":"0.5",
      "reorder.gap":"2","direction":"both","externalTargets":"[\"8.8.8.8\",\"example.com:443\"]"})"));
  EXPECT_EQ(spec.at("target").at("selector").at("labelSelectors").at("app"), "db");
}

// What is one thing to the fault stays one thing.
TEST(ChaosMeshTest, AttributesStayJson) {
  const auto objects = ParseObjects(R"({"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "IOChaos", "metadata": {"name": "i"},
      "spec": {"action": "attrOverride", "mode": "one", "selector": {"namespaces": ["a"]}, "volumePath": "/data",
      "attr": {"perm": 72}, "duration": "5s"}})");
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ(objects->front().at("spec").at("parameters").at("attr"), "{\"perm\":72}");
}

// Both buckets of a bandwidth arrive; 0 is what leaves the second one out.
TEST(ChaosMeshTest, BandwidthKeepsItsBuckets) {
  const auto parameters = [](const std::string& second) {
    const auto objects = ParseObjects(
        R"({"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos", "metadata": {"name": "n"},
      "spec": {"action": "bandwidth", "mode": "one", "selector": {"namespaces": ["a"]}, "duration": "5s",
      "bandwidth": {"rate": "1mbps", "limit": 9, "buffer": 8)" +
        second + "}}}");
    EXPECT_TRUE(objects) << objects.error().message;
    return objects ? objects->front().at("spec").at("parameters").as_object() : json::object();
  };
  const json::object both = parameters(R"(, "peakrate": 2000000, "minburst": 3000)");
  EXPECT_EQ(both.at("peakrate"), "2000000");
  EXPECT_EQ(both.at("minburst"), "3000");
  const json::object none = parameters(R"(, "peakrate": 0, "minburst": 0)");
  EXPECT_FALSE(none.contains("peakrate") || none.contains("minburst"));
}

// What one manifest asks for at once becomes experiments side by side, wherever it stands.
TEST(ChaosMeshTest, ScheduleKeepsItsForm) {
  const auto objects = ParseObjects(R"(
apiVersion: chaos-mesh.org/v1alpha1
kind: Schedule
metadata: {name: s}
spec:
  schedule: '5 * * * *'
  historyLimit: 2
  concurrencyPolicy: Allow
  type: StressChaos
  stressChaos:
    mode: all
    selector: {namespaces: [a]}
    duration: 12s
    stressors: {cpu: {workers: 1}, memory: {size: 1MB}}
)");
  ASSERT_TRUE(objects) << objects.error().message;
  const json::object& spec = objects->front().at("spec").as_object();
  EXPECT_EQ(spec.at("cron"), "5 * * * *");
  EXPECT_EQ(spec.at("workflow").at("templates").as_array().size(), 3u);
}

TEST(ChaosMeshTest, PlacesInSchedulesAreNamed) {
  EXPECT_THAT(Refusal(R"({"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Schedule", "metadata": {"name": "s"},
      "spec": {"schedule": "@every 10s", "type": "PodChaos", "podChaos": {"action": "pod-kill", "mode": "one", "extra": 1,
      "selector": {"namespaces": ["a"]}}}})"), HasSubstr("spec.podChaos.extra: unknown field"));
}

// Published manifests: each is translated, or refused with field and reason.
TEST(ChaosMeshTest, PublishedManifests) {
  const char* folder = std::getenv("FAULTLINE_CORPUS");
  const std::filesystem::path root =
      std::filesystem::path(folder != nullptr ? folder : SourceDir() + "/../shared/data/corpus") / "chaos-mesh";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is absent (set FAULTLINE_CORPUS)";
  int translated = 0, refused = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const auto objects = ParseObjects(text.str());
    (objects ? translated : refused)++;
    if (objects) continue;
    std::printf("%s: %s\n", entry.path().filename().c_str(), objects.error().message.c_str());
    EXPECT_NE(objects.error().message.find(": "), std::string::npos) << objects.error().message;
  }
  std::printf("translated %d, refused %d\n", translated, refused);
  EXPECT_EQ(refused, 0);
}

}  // namespace
}  // namespace faultline
