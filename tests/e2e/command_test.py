#!/usr/bin/env python3
"""The faultline command and the routes behind it, on a real aggregator and agent."""
import json
import os
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, get, wait_until  # noqa: E402


def check_probes(stack):
    for path in ("/healthz", "/readyz", "/-/healthy", "/-/ready", "/metrics"):
        assert get(f"http://{stack.http}{path}"), path
    assert stack.api("/api/v1/status/buildinfo")["data"]["version"]
    assert "node_load1" in stack.api("/api/v1/metadata")["data"]
    routes = [route["path"] for route in stack.api("/api/v1/routes")["data"]["routes"]]
    assert "/api/v1/query" in routes and "/api/v1/halt" in routes, routes


def check_documents(stack):
    for path in ("/api/v1/reports/node/n1", "/api/v1/reports/cluster"):
        assert json.loads(get(f"http://{stack.http}{path}?format=json"))
        html = get(f"http://{stack.http}{path}?format=html").decode()
        assert html.lower().startswith("<!doctype html>") and "n1" in html and "<script src" not in html
        assert "n1" in get(f"http://{stack.http}{path}?format=markdown").decode()
    assert "n1" in stack.faultline("report", "node", "n1")
    report = json.loads(stack.faultline("diagnose", "node", "n1", "--begin", "3s", "-o", "json"))
    assert report["series_examined"] > 0 and "suspects" in report, report
    request = urllib.request.Request(f"http://{stack.http}/api/v1/diagnose?format=html", method="POST",
                                     data=json.dumps({"node": "n1"}).encode(),
                                     headers={"Content-Type": "application/json"})
    assert b"Diagnosis" in urllib.request.urlopen(request, timeout=30).read()


def check_lists(stack):
    assert "n1" in stack.faultline("get", "nodes") and "n1" in stack.faultline("top", "nodes")
    assert "cpu_stress" in stack.faultline("fault", "list")
    assert stack.faultline("query", "1+1").strip() == "2"
    assert "node_load1" in stack.faultline("query", "node_load1", "--start", "10s")
    assert "complete -F _faultline" in stack.faultline("completion")
    bundle = os.path.join(stack.folder, "bundle.json")
    stack.faultline("bundle", "--file", bundle)
    with open(bundle) as file:
        assert "/api/v1/nodes" in json.load(file)
    stack.faultline("label", "add", "disk_fill", "--node", "n1", "--begin", "5m", "--end", "4m")
    assert "disk_fill" in stack.faultline("get", "ground-truth")


def check_halt(stack):
    stack.faultline("halt")
    stack.faultline("fault", "run", "cpu_stress", "--name", "while-halted", "--duration", "5s", "--node", "n1", "--cgroup", "/nowhere")
    wait_until("the refusal", 20, lambda: "halt" in stack.faultline("describe", "experiment", "while-halted"))
    stack.faultline("delete", "experiment", "while-halted")
    stack.faultline("halt", "--resume")


def check_exit_codes(stack):
    def code(*arguments):
        return subprocess.run([os.path.join(stack.bin, "faultline"), *arguments], capture_output=True, timeout=60,
                              env=dict(os.environ, FAULTLINE_SERVER=f"http://{stack.http}")).returncode
    assert code("get", "experiment", "absent") == 3
    assert code("no-such-command") == 2
    assert code("query", "sum(") == 1
    assert code("--server", "http://127.0.0.1:1", "get", "nodes") == 1
    assert code("--version") == 0


def main():
    with Stack() as stack:
        stack.start_aggregator()
        stack.start_agent()
        wait_until("data", 30, lambda: stack.value("count_over_time(node_load1[1m]) > 3") is not None)
        for check in (check_probes, check_documents, check_lists, check_halt, check_exit_codes):
            check(stack)
            print(check.__name__, "ok", flush=True)


main()
