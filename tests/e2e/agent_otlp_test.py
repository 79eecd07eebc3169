#!/usr/bin/env python3
"""Applications export OTLP to the agent of their node: what it said is taken is in the store once, however aggregator and agent
are killed meanwhile; what it refuses it refuses as OTLP wants it. (The SDK itself is in opentelemetry_js_test.)"""
import gzip
import json
import os
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, free_port, wait_until  # noqa: E402

RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}},
                           {"key": "k8s.node.name", "value": {"stringValue": "somebody-else"}}]}
COUNT = 20


def post(address, path, body, kind="application/json", encoding=None, token=None, more=None):
    headers = {"Content-Type": kind, **(more or {})}
    if encoding:
        headers["Content-Encoding"] = encoding
    if token:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request(f"http://{address}{path}", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def metrics(n):
    point = {"timeUnixNano": str(time.time_ns()), "asDouble": n, "attributes": [{"key": "n", "value": {"stringValue": str(n)}}]}
    return {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [{"name": "orders.open", "gauge": {"dataPoints": [point]}}]}]}]}


def logs(n):
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": f"order {n}"}}
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [record]}]}]}


def trace_id(n):
    return f"{n + 1:032x}"


def traces(n):
    now = time.time_ns()
    span = {"traceId": trace_id(n), "spanId": f"{n + 1:016x}", "name": f"buy {n}", "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1000)}
    return {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"spans": [span]}]}]}


def export(address, n):
    for path, make in (("/v1/metrics", metrics), ("/v1/logs", logs), ("/v1/traces", traces)):
        body = json.dumps(make(n)).encode()
        packed = n % 2 == 0
        status, answer, _ = post(address, path, gzip.compress(body) if packed else body, encoding="gzip" if packed else None)
        assert (status, answer) == (200, b"{}"), (path, status, answer)


def all_is_stored_once(stack, begin):
    lines = stack.api("/loki/api/v1/query_range", query='{service_name="shop"}', start=f"{begin:.0f}", limit=1000)["data"]["result"]
    told = sorted(value[1] for stream in lines for value in stream["values"])
    if len(told) < COUNT:
        return False
    assert told == sorted(f"order {n}" for n in range(COUNT)), told
    for n in range(COUNT):
        found = stack.query(f'orders_open{{n="{n}"}}')
        assert len(found) == 1 and found[0]["value"][1] == str(n) and found[0]["metric"]["node"] == "n1", found
        trace = stack.api("/api/traces/" + trace_id(n))
        names = [span["name"] for batch in trace["batches"] for scope in batch["scopeSpans"] for span in scope["spans"]]
        assert names == [f"buy {n}"], names
    return True


def refusals(stack, address):
    for path in ("/v1/metrics", "/v1/logs", "/v1/traces"):
        status, body, _ = post(address, path, b"{nonsense")
        assert status == 400 and json.loads(body)["code"] == 3, (path, status, body)
        assert post(address, path, b"\x0a\xff\xff\xff\xff\xff\x00", "application/x-protobuf")[0] == 400
        assert post(address, path, b"{}", "text/plain")[0] == 415
        assert post(address, path, b"{}", encoding="br")[0] == 415
        assert post(address, path, b"", "application/x-protobuf")[:2] == (200, b"")
    bomb = gzip.compress(b" " * (64 << 20))
    assert post(address, "/v1/logs", bomb, encoding="gzip")[0] == 413
    assert post(address, "/v1/profiles", b"{}")[0] == 404
    for foreign in ({"Host": "127.evil.example"}, {"Origin": "https://evil.example"}):
        assert post(address, "/v1/logs", b"{}", more=foreign)[0] == 403, foreign
    status, body, _ = post(address, "/v1/logs", b"x" * (5 << 20))
    assert status == 413, (status, body)


def main():
    begin = time.time() - 60
    address = f"127.0.0.1:{free_port()}"
    settings = [f"otlp.listen={address}", "probes.enabled=false", "containers.enabled=false", "checks.enabled=false"]
    with Stack(agent_settings=settings) as stack:
        stack.start_aggregator()
        stack.start_agent()
        for n in range(COUNT // 2):
            export(address, n)
        stack.kill("aggregator")
        for n in range(COUNT // 2, COUNT):
            export(address, n)
        stack.kill("agent")
        stack.start_aggregator()
        stack.start_agent()
        wait_until("all is stored, once", 30, lambda: all_is_stored_once(stack, begin))
        refusals(stack, address)
        stack.kill("aggregator")
        stack.start_aggregator()
        assert all_is_stored_once(stack, begin)
    token = os.path.join(stack.folder + "-token")
    with open(token, "w") as file:
        file.write("letmein\n")
    try:
        with Stack(agent_settings=[*settings, f"otlp.token_file={token}"]) as stack:
            stack.start_agent()
            assert post(address, "/v1/logs", b"{}")[0] == 401
            assert post(address, "/v1/logs", b"{}", token="letmeinn")[0] == 401
            assert post(address, "/v1/logs", b"{}", token="letmein")[0] == 200
    finally:
        os.unlink(token)
    print(f"ok: {COUNT} exports of each signal, agent and aggregator killed meanwhile: each stored once")


main()
