// The handlers that catalogue.cc lists, one group per file of this folder.
#pragma once

#include "aggregator/api/routes/route.h"

namespace faultline::routes {

// probes.cc
Result<Reply> Healthz(const Request& request, ApiContext& context);
Result<Reply> Readyz(const Request& request, ApiContext& context);
Result<Reply> Metrics(const Request& request, ApiContext& context);

// prometheus.cc
Result<Reply> PrometheusQuery(const Request& request, ApiContext& context);
Result<Reply> PrometheusQueryRange(const Request& request, ApiContext& context);
Result<Reply> PrometheusSeries(const Request& request, ApiContext& context);
Result<Reply> PrometheusLabels(const Request& request, ApiContext& context);
Result<Reply> PrometheusLabelValues(const Request& request, ApiContext& context);
Result<Reply> PrometheusMetadata(const Request& request, ApiContext& context);
Result<Reply> PrometheusBuildInfo(const Request& request, ApiContext& context);

// loki.cc, loki_push.cc
Result<Reply> LokiQuery(const Request& request, ApiContext& context);
Result<Reply> LokiQueryRange(const Request& request, ApiContext& context);
Result<Reply> LokiLabels(const Request& request, ApiContext& context);
Result<Reply> LokiLabelValues(const Request& request, ApiContext& context);
Result<Reply> LokiSeries(const Request& request, ApiContext& context);
Result<Reply> LokiPush(const Request& request, ApiContext& context);

// loki_tail.cc
Result<Reply> LokiTail(const Request& request, ApiContext& context);
Result<Reply> LokiPatterns(const Request& request, ApiContext& context);
Result<Reply> LokiBuildInfo(const Request& request, ApiContext& context);
Result<Reply> LokiIndexStats(const Request& request, ApiContext& context);
Result<Reply> LokiDetectedLabels(const Request& request, ApiContext& context);

// remote_write.cc
Result<Reply> RemoteWrite(const Request& request, ApiContext& context);

// remote_read.cc, federate.cc
Result<Reply> RemoteRead(const Request& request, ApiContext& context);
Result<Reply> Federate(const Request& request, ApiContext& context);

// rules.cc
Result<Reply> Rules(const Request& request, ApiContext& context);
Result<Reply> Alerts(const Request& request, ApiContext& context);
Result<Reply> Alertmanagers(const Request& request, ApiContext& context);
Result<Reply> Targets(const Request& request, ApiContext& context);
Result<Reply> QueryExemplars(const Request& request, ApiContext& context);
Result<Reply> RuntimeInfo(const Request& request, ApiContext& context);
Result<Reply> NoFlags(const Request& request, ApiContext& context);

// otlp.cc
Result<Reply> OtlpMetrics(const Request& request, ApiContext& context);
Result<Reply> OtlpLogs(const Request& request, ApiContext& context);
Result<Reply> OtlpTraces(const Request& request, ApiContext& context);

// tempo.cc, jaeger.cc
Result<Reply> TempoTrace(const Request& request, ApiContext& context);
Result<Reply> TempoSearch(const Request& request, ApiContext& context);
Result<Reply> TempoTags(const Request& request, ApiContext& context);
Result<Reply> TempoTagValues(const Request& request, ApiContext& context);
Result<Reply> TempoEcho(const Request& request, ApiContext& context);
Result<Reply> JaegerServices(const Request& request, ApiContext& context);
Result<Reply> JaegerOperations(const Request& request, ApiContext& context);
Result<Reply> JaegerServiceOperations(const Request& request, ApiContext& context);
Result<Reply> JaegerTraces(const Request& request, ApiContext& context);
Result<Reply> JaegerDependencies(const Request& request, ApiContext& context);

// discovery.cc
Result<Reply> ApiGroups(const Request& request, ApiContext& context);
Result<Reply> ApiGroup(const Request& request, ApiContext& context);
Result<Reply> ApiResources(const Request& request, ApiContext& context);
Result<Reply> RouteList(const Request& request, ApiContext& context);

// objects.cc
Result<Reply> ListObjects(const Request& request, ApiContext& context);
Result<Reply> GetObject(const Request& request, ApiContext& context);
Result<Reply> CreateObjects(const Request& request, ApiContext& context);
Result<Reply> CreateForeignObjects(const Request& request, ApiContext& context);
Result<Reply> ReplaceObject(const Request& request, ApiContext& context);
Result<Reply> PatchObject(const Request& request, ApiContext& context);
Result<Reply> DeleteObject(const Request& request, ApiContext& context);

// nodes.cc
Result<Reply> Nodes(const Request& request, ApiContext& context);
Result<Reply> OneNode(const Request& request, ApiContext& context);
Result<Reply> Topology(const Request& request, ApiContext& context);

// profile.cc
Result<Reply> ProfileNode(const Request& request, ApiContext& context);

// ground_truth.cc
Result<Reply> GroundTruthLabels(const Request& request, ApiContext& context);
Result<Reply> ImportGroundTruth(const Request& request, ApiContext& context);

// halt.cc
Result<Reply> HaltState(const Request& request, ApiContext& context);
Result<Reply> Halt(const Request& request, ApiContext& context);
Result<Reply> Resume(const Request& request, ApiContext& context);

// chaosd.cc
Result<Reply> ChaosdAttack(const Request& request, ApiContext& context);
Result<Reply> ChaosdRecover(const Request& request, ApiContext& context);
Result<Reply> ChaosdExperiments(const Request& request, ApiContext& context);
Result<Reply> ChaosdRuns(const Request& request, ApiContext& context);
Result<Reply> ChaosdHealth(const Request& request, ApiContext& context);
Result<Reply> ChaosdVersion(const Request& request, ApiContext& context);

// diagnose.cc
Result<Reply> Diagnose(const Request& request, ApiContext& context);

// checks.cc
Result<Reply> CheckStates(const Request& request, ApiContext& context);
Result<Reply> Conditions(const Request& request, ApiContext& context);
Result<Reply> CheckResults(const Request& request, ApiContext& context);
Result<Reply> SetCheckPriorities(const Request& request, ApiContext& context);

// reports.cc
Result<Reply> NodeReport(const Request& request, ApiContext& context);
Result<Reply> ClusterReport(const Request& request, ApiContext& context);
Result<Reply> Home(const Request& request, ApiContext& context);

// audit.cc
Result<Reply> Audit(const Request& request, ApiContext& context);
Result<Reply> Events(const Request& request, ApiContext& context);
Result<Reply> StoreSnapshot(const Request& request, ApiContext& context);
Result<Reply> StoreCheck(const Request& request, ApiContext& context);

}  // namespace faultline::routes
