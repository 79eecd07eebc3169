#!/usr/bin/env python3
"""What is seen of a pod that a real containerd runs: metrics, logs, syscalls and processes carry its namespace, pod and
container; a fault aimed at the pod's name reaches it and nothing else; what ended is gone from the answers.
"""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from containerd import Containerd, enter  # noqa: E402
from stack import Stack, get, wait_until  # noqa: E402

OWN = f"e2e-{os.getpid()}"
UID = f"0e2e0000-0000-4000-8000-{os.getpid():012d}"
WHO = f'namespace="{OWN}",pod="web"'
LOOP = "n=0; while :; do echo tick $n; n=$((n+1)); cat /none 2>/dev/null; sleep 0.1; done"


def main():
    enter()
    with tempfile.TemporaryDirectory() as folder, Containerd(folder) as runtime, Stack() as stack:
        stack.start_aggregator()
        stack.start_agent()
        pod = runtime.run_pod(OWN, "web", UID)
        server = runtime.run_container(pod, "server", ["/bin/sh", "-c", LOOP])
        runtime.run_container(pod, "sidecar", ["/bin/sleep", "100000"])

        def names(expression):
            return sorted({row["metric"].get("container", "") for row in stack.query(expression)})

        for metric in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"):
            wait_until(f"{metric} of both containers", 30,
                       lambda m=metric: {"server", "sidecar"} <= set(names(f"{m}{{{WHO}}}")))
        ids = {row["metric"]["id"] for row in stack.query(f'container_cpu_usage_seconds_total{{{WHO},container="server"}}')}
        assert all(server in path for path in ids), (server, ids)
        print("metrics:", names(f"container_cpu_usage_seconds_total{{{WHO}}}"))

        def lines():
            result = stack.api("/loki/api/v1/query_range", query=f'{{namespace="{OWN}",pod="web",container="server"}}',
                               limit=1000, direction="forward")["data"]["result"]
            return [line for stream in result for _, line in stream["values"]]
        wait_until("20 lines of the log", 30, lambda: len(lines()) >= 20)
        got = lines()
        assert got == [f"tick {n}" for n in range(len(got))], got
        print("log:", len(got), "lines, in order, none missing")

        leaves = {leaf["name"]: leaf for leaf in json.loads(get(f"http://{stack.agent_http}/debug/leaves"))["leaves"]}
        if leaves["syscalls"]["running"]:
            wait_until("failed openat calls of the container", 30, lambda: stack.query(
                f'container_syscall_errors_total{{{WHO},container="server",errno="ENOENT"}} > 5'))
            print("syscalls: errors of the container are counted")
        else:
            print("syscalls: not checked:", leaves["syscalls"]["reason"])

        stack.faultline("apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "faultline.io/v1", "kind": "Experiment", "metadata": {"name": OWN},
            "spec": {"fault": "process_stop", "duration": "3s", "mode": "all",
                     "selector": {"namespaces": [OWN], "pods": {OWN: ["web"]}, "containerNames": ["server"]}}}))

        def experiment():
            return json.loads(stack.faultline("get", "experiment", OWN, "-o", "json"))
        wait_until("the experiment ended", 40, lambda: condition(experiment(), "AllRecovered") == "True")
        done = experiment()
        assert condition(done, "Verified") == "True", done["status"]
        targets = [record["id"] for record in done["status"]["records"]]
        assert len(targets) == 1 and "server" in targets[0], targets
        before = len(lines())
        wait_until("the victim goes on", 20, lambda: len(lines()) > before + 5)
        print("fault: process_stop verified on", targets[0])

        runtime.stop_container(server)
        wait_until("the stopped container's series end", 30,
                   lambda: names(f"container_memory_working_set_bytes{{{WHO}}}") and
                   "server" not in names(f"container_memory_working_set_bytes{{{WHO}}}"))
        runtime.run_container(pod, "server", ["/bin/sh", "-c", LOOP], attempt=1)
        wait_until("the restarted container's log", 30, lambda: lines().count("tick 0") == 2)
        print("restart: the new container's log goes on in the same stream")


def condition(thing, name):
    return next((c["status"] for c in thing.get("status", {}).get("conditions", []) if c["type"] == name), None)


main()
