#!/usr/bin/env python3
"""The query API of the real aggregator from outside: lines pushed as Loki's clients do and found by LogQL, promtool's
queries (when Prometheus' package can be fetched), and queries that would explode refused at once."""
import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import stack


def push(s, labels, lines):
    body = json.dumps({"streams": [{"stream": labels, "values": lines}]}).encode()
    request = urllib.request.Request(f"http://{s.http}/loki/api/v1/push", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 204, reply.status


def check_logs(s):
    now = time.time_ns()
    push(s, {"app": "shop", "node": "n1"},
         [[str(now - i * 10**9), f'level={"error" if i % 5 == 0 else "info"} msg="line {i}" took={i}ms'] for i in range(60, 0, -1)])
    data = lambda path, **parameters: s.api(path, **parameters)["data"]
    assert data("/loki/api/v1/labels") == ["app", "node"]
    assert data("/loki/api/v1/label/app/values") == ["shop"]
    assert data("/loki/api/v1/series") == [{"app": "shop", "node": "n1"}]
    found = data("/loki/api/v1/query_range", query='{app="shop"} |= "error" | logfmt | took > 50ms', limit=10)
    lines = sorted(line for stream in found["result"] for _, line in stream["values"])
    assert lines == ['level=error msg="line 55" took=55ms', 'level=error msg="line 60" took=60ms'], lines
    newest = data("/loki/api/v1/query_range", query='{app="shop"}', limit=1)["result"][0]["values"]
    oldest = data("/loki/api/v1/query_range", query='{app="shop"}', limit=1, direction="forward")["result"][0]["values"]
    assert newest == [[str(now - 10**9), 'level=info msg="line 1" took=1ms']], newest
    assert oldest[0][1].endswith("took=60ms"), oldest
    counts = data("/loki/api/v1/query", query='sum by (level) (count_over_time({app="shop"} | logfmt [2m]))')["result"]
    assert {c["metric"]["level"]: c["value"][1] for c in counts} == {"error": "12", "info": "48"}, counts
    two = data("/loki/api/v1/query", query="vector(1)+vector(1)")["result"]
    assert len(two) == 1 and two[0]["value"][1] == "2", two


def refusal(s, path, **parameters):
    begin = time.monotonic()
    try:
        s.api(path, **parameters)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), time.monotonic() - begin
    raise AssertionError(f"{parameters} was not refused")


def check_refusals(s):
    for query in ("sum_over_time(vector(1)[10y:1ms])", "count_over_time(vector(time())[1y:100ms]) + vector(1)[2y:7ms]",
                  "max_over_time(max_over_time(vector(1)[1y:1ms])[1y:1ms])"):
        status, body, took = refusal(s, "/api/v1/query", query=query)
        assert status in (400, 422) and took < 2, (status, body, took)
    status, body, _ = refusal(s, "/api/v1/query", query="sum_over_time(vector(1)[10y:1ms])")
    assert status == 422 and "max_samples=" in body["error"], body
    status, body, _ = refusal(s, "/api/v1/query", query="(" * 5000)
    assert status == 400, (status, body)
    status, body, _ = refusal(s, "/loki/api/v1/query", query='{app="shop"} | json | x >')
    assert status == 400 and body["error"].startswith("1:26: parse error"), body


def check_limits():
    """Limits are configuration, and a refusal names the one that it met."""
    with stack.Stack(aggregator_settings=["query.max_series=1", "query.max_samples=1000", "store.max_series=3"]) as s:
        s.start_aggregator()

        def send(*hosts):
            points = [{"timeUnixNano": str(time.time_ns()), "asDouble": 1, "attributes": [{"key": "host", "value": {"stringValue": h}}]}
                      for h in hosts]
            metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": points}}]}]}]}
            request = urllib.request.Request(f"http://{s.http}/v1/metrics", json.dumps(metrics).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.load(reply)

        assert "partialSuccess" not in send("a", "b")
        assert "store.max_series" in send("c", "d")["partialSuccess"]["errorMessage"]
        assert s.api("/api/v1/query", query='m{host="a"}')["data"]["result"]
        status, body, _ = refusal(s, "/api/v1/query", query="m")
        assert status == 422 and "query.max_series=1" in body["error"], body
        status, body, _ = refusal(s, "/api/v1/query", query="sum_over_time(vector(1)[1h:1s])")
        assert status == 422 and "query.max_samples=1000" in body["error"], body


def check_promtool(s):
    peer = subprocess.run([TESTS / "support/peers", "prometheus"], capture_output=True, text=True)
    promtool = pathlib.Path(peer.stdout.strip()).with_name("promtool") if peer.returncode == 0 else None
    if promtool is None or not promtool.exists():
        print("promtool is left out:", peer.stderr.strip() or "not in the package")
        return
    server = f"http://{s.http}"
    run = lambda *a: subprocess.run([promtool, "query", *a], capture_output=True, text=True, timeout=60)
    assert run("instant", server, "vector(1)+vector(1)").stdout.startswith("{} => 2 @"), "instant"
    assert run("range", server, "time()", "--start", "0", "--end", "40", "--step", "20s").stdout == "{} =>\n0 @[0]\n20 @[20]\n40 @[40]\n"
    assert run("series", server, "--match", "up").returncode == 0
    assert run("labels", server, "job").returncode == 0
    bad = run("instant", server, "sum(")
    assert bad.returncode == 1 and "1:5: parse error: unclosed left parenthesis" in bad.stderr, bad


with stack.Stack() as s:
    s.start_aggregator()
    check_logs(s)
    check_refusals(s)
    check_promtool(s)
check_limits()
print("ok")
