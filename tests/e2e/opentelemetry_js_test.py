#!/usr/bin/env python3
"""The OpenTelemetry SDK for JavaScript (npm) sends metrics, logs and traces to the aggregator and to an agent, as protobuf and
as JSON, with and without gzip; all of it is found again through PromQL, LogQL, Tempo's and Jaeger's APIs. Skips without npm."""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import stack


def sdk():
    """The folder with node_modules, made once per machine."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            stack.skip(f"{tool} is missing: the SDK comes from npm")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "faultline/otel-js"
    cache.mkdir(parents=True, exist_ok=True)
    source = TESTS / "support/opentelemetry_js"
    wanted = (source / "package.json").read_text()
    if not (cache / "done").exists() or (cache / "done").read_text() != wanted:
        (cache / "package.json").write_text(wanted)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=cache, capture_output=True, text=True)
        if done.returncode != 0:
            stack.skip(f"npm install failed: {done.stderr.strip()[-300:]}")
        (cache / "done").write_text(wanted)
    return cache


def send(address, cache, encoding, compression, run):
    done = subprocess.run(["node", TESTS / "support/opentelemetry_js/send.js", f"http://{address}", encoding, compression, run],
                          capture_output=True, text=True, timeout=60, env=dict(os.environ, NODE_PATH=str(cache / "node_modules")))
    assert done.returncode == 0 and not done.stderr, (encoding, compression, done.stdout, done.stderr)
    return done.stdout.strip()


def check_metrics(s, run, node="node-7"):
    labels = f'run="{run}"'
    orders = s.query(f'orders_placed_total{{{labels}}}')
    assert len(orders) == 1 and orders[0]["value"][1] == "5", orders
    metric = orders[0]["metric"]
    assert metric["payment_method"] == "card" and metric["job"] == "shop/checkout", metric
    assert metric["instance"] == f"checkout-{run}" and metric["node"] == node and metric["pod"] == "checkout-pod", metric
    assert s.value(f'queue_depth{{{labels}}}') == 42 and s.value(f'sessions{{{labels}}}') == -3
    buckets = {e["metric"]["le"]: e["value"][1] for e in s.query(f'http_server_request_duration_seconds_bucket{{{labels}}}')}
    assert buckets == {"0.1": "1", "0.5": "3", "1": "3", "+Inf": "4"}, buckets
    assert abs(s.value(f'http_server_request_duration_seconds_sum{{{labels}}}') - 2.55) < 1e-9
    size = s.query(f'histogram_quantile(0.9, payload_size_bytes_bucket{{{labels}}})')
    assert 500 < float(size[0]["value"][1]) < 1100, size
    assert s.value(f'payload_size_bytes_count{{{labels}}}') == 5
    info = s.query(f'target_info{{instance="checkout-{run}"}}')
    assert info[0]["metric"]["deployment_environment"] == "test", info
    meta = s.api("/api/v1/metadata", metric="orders_placed_total")["data"]["orders_placed_total"][0]
    assert meta["type"] == "counter" and meta["help"] == "Orders.", meta


def check_logs(s, run, trace_id):
    now = time.time()
    lines = s.api("/loki/api/v1/query_range", query=f'{{service_name="checkout"}} | run="{run}"', start=f"{now - 600:.0f}", limit=10)["data"]["result"]
    texts = {value[1]: stream["stream"] for stream in lines for value in stream["values"]}
    failed = texts[f"order failed run={run}"]
    assert failed["trace_id"] == trace_id and failed["order_id"] == "7" and failed["detected_level"] == "error", failed
    structured = [json.loads(t) for t in texts if t.startswith("{")]
    assert structured == [{"message": "structured", "run": run, "parts": [1, "two"]}], structured


def check_tempo(s, run, trace_id):
    trace = s.api(f"/api/traces/{trace_id}")
    spans = {span["name"]: (span, batch) for batch in trace["batches"] for scope in batch["scopeSpans"] for span in scope["spans"]}
    assert set(spans) == {"GET /buy", "POST /orders", "place order"}, list(spans)
    root, child = spans["GET /buy"][0], spans["place order"][0]
    assert root["traceId"] == trace_id and child["parentSpanId"] == spans["POST /orders"][0]["spanId"], child
    attributes = {a["key"]: a["value"] for a in root["attributes"]}
    assert attributes["http.response.status_code"] == {"intValue": "500"} and attributes["cached"] == {"boolValue": False}, attributes
    assert attributes["retries"]["arrayValue"]["values"] == [{"intValue": "1"}, {"intValue": "2"}], attributes
    assert child["status"] == {"code": "STATUS_CODE_ERROR", "message": "out of stock"}, child["status"]
    assert [e["name"] for e in child["events"]] == ["stock checked", "exception"] and child["links"][0]["spanId"] == root["spanId"], child
    for query in (f'{{ .run = "{run}" && .http.response.status_code >= 500 }}', f'{{ .run = "{run}" }} >> {{ status = error }}',
                  f'{{ resource.service.instance.id = "checkout-{run}" && status = error }} | count() = 1',
                  f'{{ rootName = "GET /buy" && resource.service.instance.id =~ "front.*-{run}" && duration >= 0 }}'):
        found = s.api("/api/search", q=query)["traces"]
        assert [t["traceID"] for t in found] == [trace_id] and found[0]["rootTraceName"] == "GET /buy", (query, found)
    found = s.api("/api/search", tags=f'service.name=checkout service.instance.id="checkout-{run}"', minDuration="0ms")["traces"]
    assert [t["traceID"] for t in found] == [trace_id], found
    assert s.api("/api/search", q=f'{{ .run = "{run}" && status = ok }}')["traces"] == []
    assert "http.response.status_code" in s.api("/api/search/tags")["tagNames"]
    values = s.api("/api/v2/search/tag/span.http.response.status_code/values")["tagValues"]
    assert {"type": "int", "value": "500"} in values, values
    scopes = {scope["name"]: scope["tags"] for scope in s.api("/api/v2/search/tags")["scopes"]}
    assert "retries" in scopes["span"] and "service.name" in scopes["resource"] and "duration" in scopes["intrinsic"], scopes
    assert len(s.api("/api/v2/traces/" + trace_id)["trace"]["resourceSpans"]) == 2
    assert stack.get(f"http://{s.http}/api/echo") == b"echo"
    request = urllib.request.Request(f"http://{s.http}/api/traces/{trace_id}", headers={"Accept": "application/protobuf"})
    with urllib.request.urlopen(request) as reply:
        assert reply.headers["Content-Type"] == "application/protobuf" and bytes.fromhex(trace_id) in reply.read()
    printed = s.faultline("traces", f'{{ .run = "{run}" }}')
    assert trace_id in printed and "GET /buy" in printed, printed
    tree = s.faultline("traces", trace_id)
    assert "place order" in tree and "out of stock" in tree, tree


def check_jaeger(s, run, trace_id):
    assert {"checkout", "frontend"} <= set(s.api("/api/services")["data"])
    assert s.api("/api/services/checkout/operations")["data"] == ["place order"]
    assert {"name": "GET /buy", "spanKind": "server"} in s.api("/api/operations", service="frontend")["data"]
    found = s.api("/api/traces", service="frontend", operation="GET /buy", tags=json.dumps({"run": run}))["data"]
    assert len(found) == 1 and found[0]["traceID"] == trace_id and len(found[0]["spans"]) == 3, found
    child = next(span for span in found[0]["spans"] if span["operationName"] == "place order")
    assert found[0]["processes"][child["processID"]]["serviceName"] == "checkout"
    assert child["references"][0]["refType"] == "CHILD_OF" and {"key": "error", "type": "bool", "value": True} in child["tags"], child
    assert s.api(f"/api/traces/{trace_id}")["data"][0]["traceID"] == trace_id
    assert any(d["parent"] == "frontend" and d["child"] == "checkout" and d["callCount"] >= 1 for d in s.api("/api/dependencies")["data"])


def post(s, path, body, kind="application/json", encoding=None):
    headers = {"Content-Type": kind}
    if encoding:
        headers["Content-Encoding"] = encoding
    request = urllib.request.Request(f"http://{s.http}{path}", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def check_refusals(s):
    point = {"timeUnixNano": str(time.time_ns()), "asDouble": 1}
    mixed = {"resourceMetrics": [{"resource": {"attributes": []}, "scopeMetrics": [{"metrics": [
        {"name": "delta.one", "sum": {"dataPoints": [point, point], "aggregationTemporality": 1, "isMonotonic": True}},
        {"name": "fine.one", "gauge": {"dataPoints": [point]}}, {"name": "!!", "gauge": {"dataPoints": [point]}}]}]}]}
    status, body = post(s, "/v1/metrics", gzip.compress(json.dumps(mixed).encode()), encoding="gzip")
    partial = json.loads(body)["partialSuccess"]
    assert status == 200 and partial["rejectedDataPoints"] == "3" and "cumulative" in partial["errorMessage"], body
    assert s.value("fine_one") == 1
    status, body = post(s, "/v1/traces", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "0011", "spanId": "0102030405060708", "name": "x", "startTimeUnixNano": "1"}]}]}]}).encode())
    assert status == 200 and json.loads(body)["partialSuccess"]["rejectedSpans"] == "1", body
    for path in ("/v1/metrics", "/v1/logs", "/v1/traces"):
        status, body = post(s, path, b"{nonsense")
        assert status == 400 and json.loads(body)["code"] == 3, (path, status, body)
        assert post(s, path, b"\x0a\xff\xff\xff\xff\xff\x00", "application/x-protobuf")[0] == 400
        assert post(s, path, b"{}", "text/plain")[0] == 415
        assert post(s, path, b"{}") == (200, b"{}")
        assert post(s, path, b"", "application/x-protobuf") == (200, b"")


cache = sdk()
agent = f"127.0.0.1:{stack.free_port()}"
with stack.Stack(agent_settings=[f"otlp.listen={agent}", "probes.enabled=false", "containers.enabled=false", "checks.enabled=false"]) as s:
    s.start_aggregator()
    s.start_agent()
    sent = []
    for encoding, compression in (("proto", "gzip"), ("json", "none"), ("json", "gzip"), ("proto", "none")):
        run = f"{encoding}-{compression}"
        sent.append((run, send(s.http, cache, encoding, compression, run)))
    for run, trace_id in sent:
        check_metrics(s, run)
        check_logs(s, run, trace_id)
        check_tempo(s, run, trace_id)
        check_jaeger(s, run, trace_id)
    check_refusals(s)
    for encoding, compression in (("proto", "gzip"), ("json", "none")):
        run = f"agent-{encoding}"
        trace_id = send(agent, cache, encoding, compression, run)
        stack.wait_until("the agent has sent it", 20, lambda: s.query(f'queue_depth{{run="{run}"}}') and s.api("/api/search", q=f'{{ .run = "{run}" }}')["traces"])
        check_metrics(s, run, node=s.node)
        check_logs(s, run, trace_id)
    s.kill("aggregator")
    s.start_aggregator()
    for run, trace_id in sent:
        check_tempo(s, run, trace_id)
print(f"ok: {len(sent)} runs of the SDK, all three signals each")
