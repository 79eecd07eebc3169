#!/usr/bin/env python3
"""Checks from end to end, over three real agents: a condition appears within an interval, survives a kill of either program, clears
after the cure, turns unknown in silence; a cluster check compares the fleet; rules are pushed, and a bad set is refused with its place
and changes nothing; series, webhook, commands and report say the same."""
import http.server
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, free_port, skip, wait_until  # noqa: E402

NODES = ("n1", "n2", "n3")
INTERVAL_S = 2


class Webhook(http.server.BaseHTTPRequestHandler):
    taken = []
    refuse = 1  # the first call is refused: it must come again

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if Webhook.refuse:
            Webhook.refuse -= 1
            self.send_response(503)
        else:
            Webhook.taken.append(body)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def changes_of(condition):
    """What the webhook was told, in order; at least once, so the same twice in a row counts once."""
    told = [body["status"] for body in Webhook.taken if body.get("condition") == condition]
    return [status for i, status in enumerate(told) if i == 0 or told[i - 1] != status]


def script(path, text):
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


class Fleet:
    """Three agents, each with rules and scripts of its own."""

    def __init__(self, stack):
        self.stack = stack
        for node in NODES:
            self.folder = os.path.join(stack.folder, node)
            os.makedirs(self.folder + "/bin")
            script(f"{self.folder}/bin/flag.sh", f"if [ -e {self.folder}/flag ]; then echo 'the flag <b>is</b> up'; exit 2; fi; echo fine\n")
            latency = 48.5 if node == "n3" else 0.3
            script(f"{self.folder}/bin/latency.sh", f"echo \"OK - {latency} ms | latency={latency}ms;100;200\"\n")
            with open(f"{self.folder}/rules.yaml", "w") as file:
                file.write(f"""rules:
- {{module: test, item: flag, reason: FlagUp, file: {self.folder}/bin/flag.sh, level: critical, timeout: 5s, interval: {INTERVAL_S}s,
   suggestion: take the flag down}}
- {{module: test, item: latency, reason: LatencyHigh, contract: nagios, file: {self.folder}/bin/latency.sh, level: warning, timeout: 5s, interval: {INTERVAL_S}s}}
""")
            self.stack.faultline("keys", "add", node, "--dir", stack.keys)
            self.start(node)

    def start(self, node):
        folder = os.path.join(self.stack.folder, node)
        settings = [f"node={node}", f"state_dir={folder}/state", f"http.listen=127.0.0.1:{free_port()}",
                    f"uplink.endpoint=[{self.stack.ingest}]", f"security.keys={self.stack.keys}", "probes.enabled=false",
                    "containers.enabled=false", "logs.enabled=false", f"checks.rules=[{folder}/rules.yaml]",
                    f"checks.allowed_roots=[{self.stack.folder}]"]
        self.stack.start(node, [os.path.join(self.stack.bin, "faultline-agent"), "--config", "/dev/null",
                                *[a for s in settings for a in ("--set", s)]])

    def stop_all(self):
        for node in NODES:
            self.stack.stop(node)


def conditions(stack):
    found = stack.api("/api/v1/checks/conditions")["data"]
    return {(c["node"], c["type"]): c for c in found}


def verdicts(stack, item):
    return {n["node"]: c["verdict"] for n in stack.api("/api/v1/checks")["data"] for c in n["checks"] if c["item"] == item}


def rises_and_clears(stack, fleet):
    flag = os.path.join(stack.folder, "n1", "flag")
    begin = time.monotonic()
    open(flag, "w").close()
    seen = wait_until("the condition appears", 20, lambda: conditions(stack).get(("n1", "FlagUp")))
    print(f"appeared after {time.monotonic() - begin:.2f} s (interval {INTERVAL_S} s)")
    assert seen["status"] == "True" and seen["level"] == "critical", seen
    assert set(k for k in conditions(stack) if k[1] == "FlagUp") == {("n1", "FlagUp")}
    since = seen["lastTransitionTime"]
    stack.kill("aggregator", signal.SIGKILL)
    stack.start_aggregator()
    assert conditions(stack)[("n1", "FlagUp")]["lastTransitionTime"] == since, "it survives a kill of the aggregator"
    stack.kill("n1", signal.SIGKILL)
    fleet.start("n1")
    wait_until("the agent is back", 20, lambda: stack.api("/api/v1/nodes")["data"] and verdicts(stack, "flag").get("n1"))
    wait_until("a second run after the restart", 20, lambda: conditions(stack)[("n1", "FlagUp")]["lastTransitionTime"] == since)
    gauge = wait_until("the series is there", 20, lambda: stack.value('faultline_condition{node="n1",condition="FlagUp"}'))
    assert gauge == 1
    for name in ("aegis_node_health_status", "problem_gauge"):
        assert stack.query(f'{name}{{node="n1"}} == 1'), name
    begin = time.monotonic()
    os.unlink(flag)
    wait_until("the condition clears", 20, lambda: ("n1", "FlagUp") not in conditions(stack))
    print(f"cleared after {time.monotonic() - begin:.2f} s")
    assert wait_until("the webhook was told", 20, lambda: changes_of("FlagUp") == ["True", "False"])


def falls_silent(stack, fleet):
    stack.stop("n2")
    wait_until("the node is not ready", 60, lambda: conditions(stack).get(("n2", "NodeNotReady")))
    wait_until("its checks are unknown", 30, lambda: conditions(stack).get(("n2", "FlagUp"), {}).get("status") == "Unknown")
    fleet.start("n2")
    wait_until("its checks are known again", 30, lambda: ("n2", "FlagUp") not in conditions(stack))
    wait_until("the node is ready again", 60, lambda: ("n2", "NodeNotReady") not in conditions(stack))


def compares_the_fleet(stack):
    text = stack.faultline("check", "run", "*/test/*", "--all")
    print(text)
    assert "3 of 3 nodes answered" in text, text
    assert "outlier:" in text and "n3" in text.split("outlier:", 1)[1].splitlines()[0], text
    open(os.path.join(stack.folder, "n1", "flag"), "w").close()
    manifest = "{apiVersion: faultline.io/v1, kind: ClusterCheck, metadata: {name: often}, spec: {schedule: '*/1 * * * * *', rules: {items: [flag]}, historyLimit: 3}}"
    stack.faultline("apply", "-f", "-", stdin=manifest)
    path = "/apis/faultline.io/v1/namespaces/default/clusterchecks/often"
    wait_until("it finds the flag", 20, lambda: [p["node"] for p in stack.api(path).get("status", {}).get("problems", [])] == ["n1"])
    os.unlink(os.path.join(stack.folder, "n1", "flag"))
    wait_until("the difference is told", 20, lambda: [p["node"] for p in stack.api(path)["status"].get("difference", {}).get("cleared", [])] == ["n1"])
    status = wait_until("the history is kept and bounded", 20, lambda: (s := stack.api(path)["status"]) and len(s["history"]) == 3 and s)
    assert (status["desired"], status["succeeded"], status["failed"]) == (3, 3, 0), status
    stack.faultline("delete", "clusterchecks", "often")


def pushes_rules(stack):
    def rules(extra):
        return ("{apiVersion: faultline.io/v1, kind: CheckRules, metadata: {name: pushed}, spec: {rules: [{module: pushed, item: one, reason: Pushed, "
                f"file: {stack.folder}/n1/bin/flag.sh, interval: 2s}}{extra}]}}}}")
    path = "/apis/faultline.io/v1/namespaces/default/checkrules/pushed"
    stack.faultline("apply", "-f", "-", stdin=rules(""))
    wait_until("the rules are in force", 30, lambda: stack.api(path).get("status", {}).get("phase") == "InForce")
    wait_until("every node runs them", 30, lambda: set(verdicts(stack, "one")) == set(NODES))
    stack.faultline("apply", "-f", "-", stdin=rules(", {module: pushed, item: two, file: /bin/sh}"))
    status = wait_until("a bad set is refused", 30, lambda: (s := stack.api(path).get("status", {})).get("phase") == "Refused" and s)
    print("refused:", status["message"])
    assert "default.pushed.yaml" in status["message"] and "file" in status["message"], status
    before = stack.api("/api/v1/checks/results", node="n2", rule="*/pushed/one")["data"]
    wait_until("the old rules go on", 20, lambda: len(stack.api("/api/v1/checks/results", node="n2", rule="*/pushed/one")["data"]) > len(before))
    stack.faultline("delete", "checkrules", "pushed")
    wait_until("rules that are gone leave nothing behind", 60, lambda: not verdicts(stack, "one"))


def reports(stack):
    text = stack.faultline("report", "node", "n1")
    assert "FlagUp" in text and "Checks" in text, text
    page = stack.faultline("report", "node", "n1", "--format", "html")
    assert "<script" not in page and "<b>is</b>" not in page and "the flag &lt;b&gt;is&lt;/b&gt; up" in page
    report = json.loads(stack.faultline("report", "cluster", "-o", "json"))
    assert report["summary"]["Nodes up"] == "3 of 3", report["summary"]
    history = stack.faultline("check", "history", "n1", "*/test/flag")
    assert "problem" in history and " ok " in history, history


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = [f"checks.webhook.url=http://127.0.0.1:{server.server_port}/changes", "ingest.node_timeout=4s"]
    with Stack(aggregator_settings=settings) as stack:
        stack.start_aggregator()
        fleet = Fleet(stack)
        try:
            try:
                wait_until("every node has checked", 30, lambda: set(verdicts(stack, "flag")) == set(NODES))
            except AssertionError:
                if "checks" not in open(os.path.join(stack.folder, "n1.log")).read():
                    skip("this agent runs no checks")
                raise
            rises_and_clears(stack, fleet)
            falls_silent(stack, fleet)
            compares_the_fleet(stack)
            pushes_rules(stack)
            reports(stack)
        finally:
            fleet.stop_all()
    server.shutdown()
    print("ok")


main()
