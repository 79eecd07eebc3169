#include "aggregator/api/routes/routes.h"

namespace faultline {
namespace routes {
namespace {

constexpr ErrorForm kPrometheus = ErrorForm::kPrometheus;
constexpr ErrorForm kKubernetes = ErrorForm::kKubernetes;
constexpr bool kAudited = true;
constexpr bool kIngest = true;

constexpr Route kRoutes[] = {
    {"GET", "/healthz", Role::kAnyone, kPrometheus, "whether this process lives", Healthz},
    {"GET", "/readyz", Role::kAnyone, kPrometheus, "whether it can take and answer", Readyz},
    {"GET", "/-/healthy", Role::kAnyone, kPrometheus, "the same, where Prometheus' tools ask", Healthz},
    {"GET", "/-/ready", Role::kAnyone, kPrometheus, "the same, where Prometheus' tools ask", Readyz},
    {"GET", "/metrics", Role::kAnyone, kPrometheus, "the aggregator's own metrics", Metrics},
    {"GET POST", "/api/v1/query", Role::kViewer, kPrometheus, "a PromQL expression at one time",
     PrometheusQuery},
    {"GET POST", "/api/v1/query_range", Role::kViewer, kPrometheus,
     "a PromQL expression over a range", PrometheusQueryRange},
    {"GET POST", "/api/v1/series", Role::kViewer, kPrometheus, "the series that selectors match",
     PrometheusSeries},
    {"GET POST", "/api/v1/labels", Role::kViewer, kPrometheus, "the names of labels",
     PrometheusLabels},
    {"GET", "/api/v1/label/{name}/values", Role::kViewer, kPrometheus, "the values of a label",
     PrometheusLabelValues},
    {"GET", "/api/v1/metadata", Role::kViewer, kPrometheus, "type and help of metrics",
     PrometheusMetadata},
    {"GET", "/api/v1/status/buildinfo", Role::kViewer, kPrometheus,
     "which Prometheus this API is equal to", PrometheusBuildInfo},
    {"POST", "/api/v1/write", Role::kOperator, kPrometheus, "remote write 1.0: snappy protobuf",
     RemoteWrite, !kAudited, kIngest},
    {"GET POST", "/loki/api/v1/query", Role::kViewer, kPrometheus, "a LogQL expression at one time",
     LokiQuery},
    {"GET POST", "/loki/api/v1/query_range", Role::kViewer, kPrometheus,
     "a LogQL expression over a range", LokiQueryRange},
    {"GET POST", "/loki/api/v1/labels", Role::kViewer, kPrometheus,
     "the names of the labels of log streams", LokiLabels},
    {"GET POST", "/loki/api/v1/label/{name}/values", Role::kViewer, kPrometheus,
     "the values of a label of log streams", LokiLabelValues},
    {"GET POST", "/loki/api/v1/series", Role::kViewer, kPrometheus,
     "the log streams that selectors match", LokiSeries},
    {"POST", "/loki/api/v1/push", Role::kOperator, kPrometheus,
     "log lines in: JSON or snappy protobuf", LokiPush, !kAudited, kIngest},

    {"GET", "/api/v1/nodes", Role::kViewer, kPrometheus, "the nodes and how they are", Nodes},
    {"GET", "/api/v1/nodes/{node}", Role::kViewer, kPrometheus, "one node with its containers and leaves", OneNode},
    {"GET", "/api/v1/topology", Role::kViewer, kPrometheus, "what runs where", Topology},
    {"GET", "/api/v1/labels/ground-truth", Role::kViewer, kPrometheus, "which fault was in force, on whom, when",
     GroundTruthLabels},
    {"POST", "/api/v1/labels/ground-truth", Role::kOperator, kPrometheus, "adds labels known by other means",
     ImportGroundTruth, kAudited},
    {"GET", "/api/v1/halt", Role::kViewer, kPrometheus, "whether faults are halted", HaltState},
    {"POST", "/api/v1/halt", Role::kOperator, kPrometheus, "ends every fault now and refuses new ones", Halt, kAudited},
    {"DELETE", "/api/v1/halt", Role::kOperator, kPrometheus, "allows faults again", Resume, kAudited},
    {"POST", "/api/attack/{kind}", Role::kOperator, kPrometheus, "an attack as chaosd takes it", ChaosdAttack, kAudited},
    {"DELETE", "/api/attack/{uid}", Role::kOperator, kPrometheus, "ends an attack", ChaosdRecover, kAudited},
    {"GET", "/api/experiments/", Role::kViewer, kPrometheus, "the attacks, as chaosd lists them", ChaosdExperiments},
    {"GET", "/api/experiments", Role::kViewer, kPrometheus, "the same, without the slash", ChaosdExperiments},
    {"GET", "/api/experiments/{uid}/runs", Role::kViewer, kPrometheus, "what became of an attack", ChaosdRuns},
    {"GET", "/api/system/health", Role::kAnyone, kPrometheus, "chaosd's question whether somebody is there", ChaosdHealth},
    {"GET", "/api/system/version", Role::kViewer, kPrometheus, "the version, where chaosd has it", ChaosdVersion},
    {"GET POST", "/api/v1/diagnose", Role::kViewer, kPrometheus, "what went wrong in a window, and who first", Diagnose},
    {"GET", "/api/v1/checks", Role::kViewer, kPrometheus, "every check of every node, or of `node`: its last verdict", CheckStates},
    {"GET", "/api/v1/checks/conditions", Role::kViewer, kPrometheus, "conditions that hold or are unknown, worst first", Conditions},
    {"GET", "/api/v1/checks/results", Role::kViewer, kPrometheus, "results by `node`, `rule` (glob), `command`, `start`, `end`; newest first",
     CheckResults},
    {"PUT", "/api/v1/checks/priorities", Role::kOperator, kPrometheus, "takes Aegis' priority.conf: which condition matters how much",
     SetCheckPriorities, kAudited},
    {"GET", "/", Role::kViewer, kPrometheus, "leads to the report of the cluster", Home},
    {"GET", "/api/v1/reports/node/{node}", Role::kViewer, kPrometheus, "how one node is", NodeReport},
    {"GET", "/api/v1/reports/cluster", Role::kViewer, kPrometheus, "how the cluster is", ClusterReport},
    {"GET POST", "/api/v1/events", Role::kViewer, kPrometheus, "what happened: events, newest first", Events},
    {"POST", "/api/v1/admin/tsdb/snapshot", Role::kAdmin, kPrometheus,
     "a consistent copy of the store, beside it", StoreSnapshot, kAudited},
    {"GET", "/api/v1/admin/fsck", Role::kAdmin, kPrometheus,
     "reads the whole store against its checksums", StoreCheck},
    {"GET", "/api/v1/audit", Role::kAdmin, kPrometheus, "who changed what", Audit},
    {"GET", "/api/v1/routes", Role::kViewer, kPrometheus, "this list", RouteList},

    {"GET", "/apis", Role::kViewer, kKubernetes, "the groups of objects", ApiGroups},
    {"GET", "/apis/faultline.io", Role::kViewer, kKubernetes, "our group", ApiGroup},
    {"GET", "/apis/faultline.io/v1", Role::kViewer, kKubernetes, "the kinds of our group", ApiResources},
    {"GET", "/apis/faultline.io/v1/{plural}", Role::kViewer, kKubernetes, "lists or watches objects", ListObjects},
    {"POST", "/apis/faultline.io/v1/{plural}", Role::kOperator, kKubernetes, "creates objects", CreateObjects, kAudited},
    {"GET", "/apis/faultline.io/v1/{plural}/{name}", Role::kViewer, kKubernetes, "one object", GetObject},
    {"PUT", "/apis/faultline.io/v1/{plural}/{name}", Role::kOperator, kKubernetes, "creates or replaces one", ReplaceObject,
     kAudited},
    {"PATCH", "/apis/faultline.io/v1/{plural}/{name}", Role::kOperator, kKubernetes, "changes one by merge patch", PatchObject,
     kAudited},
    {"DELETE", "/apis/faultline.io/v1/{plural}/{name}", Role::kOperator, kKubernetes, "deletes one", DeleteObject, kAudited},
    {"GET", "/apis/faultline.io/v1/namespaces/{namespace}/{plural}", Role::kViewer, kKubernetes, "lists or watches objects of a namespace", ListObjects},
    {"POST", "/apis/faultline.io/v1/namespaces/{namespace}/{plural}", Role::kOperator, kKubernetes, "creates objects of a namespace", CreateObjects, kAudited},
    {"GET", "/apis/faultline.io/v1/namespaces/{namespace}/{plural}/{name}", Role::kViewer, kKubernetes, "one object of a namespace", GetObject},
    {"PUT", "/apis/faultline.io/v1/namespaces/{namespace}/{plural}/{name}", Role::kOperator, kKubernetes, "creates or replaces one of a namespace", ReplaceObject,
     kAudited},
    {"PATCH", "/apis/faultline.io/v1/namespaces/{namespace}/{plural}/{name}", Role::kOperator, kKubernetes, "changes one of a namespace by merge patch", PatchObject,
     kAudited},
    {"DELETE", "/apis/faultline.io/v1/namespaces/{namespace}/{plural}/{name}", Role::kOperator, kKubernetes, "deletes one of a namespace", DeleteObject, kAudited},
    {"POST", "/apis/{group}/{version}/{plural}", Role::kOperator, kKubernetes, "takes manifests of other systems",
     CreateForeignObjects, kAudited},
    {"POST", "/apis/{group}/{version}/namespaces/{namespace}/{plural}", Role::kOperator, kKubernetes,
     "takes manifests of other systems", CreateForeignObjects, kAudited},
};

}  // namespace
}  // namespace routes

std::span<const Route> RouteCatalogue() { return routes::kRoutes; }

}  // namespace faultline
