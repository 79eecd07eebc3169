#!/usr/bin/env python3
"""Who and what is refused at the doors: an unknown key, another protocol version, noise, oversize, a bad query, a bad
configuration: each with a clear reason, counted, and without harm to the aggregator's memory."""
import os
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, get, wait_until  # noqa: E402


def metric(stack, name, label=""):
    for line in get(f"http://{stack.http}/metrics").decode().splitlines():
        if line.startswith(name) and label in line:
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def check_unknown_key(stack):
    """An agent whose key is not on the list never gets in."""
    stranger = os.path.join(stack.folder, "stranger")
    stack.faultline("keys", "init", "--dir", stranger)
    stack.faultline("keys", "add", "n1", "--dir", stranger)
    # The stranger believes in the right aggregator, but its own key is not listed there.
    with open(os.path.join(stack.keys, "aggregator.public")) as right, \
            open(os.path.join(stranger, "aggregator.public"), "w") as wrong:
        wrong.write(right.read())
    good, stack.keys = stack.keys, stranger
    stack.start_agent(wait=False)
    wait_until("the refusal is counted", 20,
               lambda: metric(stack, "faultline_ingest_refused_connections_total") > 0)
    assert "n1" not in get(f"http://{stack.http}/api/v1/nodes").decode(), "the stranger is among the nodes"
    stack.kill("agent")
    stack.keys = good
    print("unknown key: refused and counted")


def refused(url, status, word, body=None):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"} if body else {})
    try:
        urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        assert error.code == status, f"{url}: {error.code} {text}"
        assert word in text, f"{url}: no '{word}' in {text}"
        return
    raise AssertionError(f"{url} was answered")


def check_http(stack):
    base = f"http://{stack.http}"
    refused(base + "/api/v1/query?query=sum(", 400, "parse error")
    refused(base + "/api/v1/query?query=up&time=yesterday", 400, "time")
    refused(base + "/api/v1/query_range?query=up&start=0&end=1000000000&step=1", 400, "11,000")
    refused(base + "/loki/api/v1/query_range?query=%7Bbroken", 400, "error")
    refused(base + "/apis/faultline.io/v1/experiments/absent", 404, "absent")
    refused(base + "/nothing/here", 404, "")
    refused(base + "/apis/faultline.io/v1/experiments", 422, "colour",
            b'{"apiVersion":"faultline.io/v1","kind":"Experiment","metadata":{"name":"x"},"spec":{"fault":"cpu_stress",'
            b'"duration":"5s","mode":"one","selector":{"nodes":["n1"]},"colour":"red"}}')
    print("bad queries and objects: refused with their reasons")


def check_configuration(stack):
    path = os.path.join(stack.folder, "bad.yaml")
    with open(path, "w") as file:
        file.write("collect:\n  perod: 1s\n")
    done = subprocess.run([os.path.join(stack.bin, "faultline-agent"), "--config", path, "--check-config"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 2, done
    assert f"{path}:2:" in done.stderr and "perod" in done.stderr, done.stderr
    done = subprocess.run([os.path.join(stack.bin, "faultline-aggregator"), "--config", "/dev/null", "--set",
                           "http.listen=0.0.0.0:0", "--check-config"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "security.tokens" in done.stderr, done
    print("bad configuration: file, line and key are named; an open address without tokens is refused")


def check_wire(stack):
    before = rss_kib(stack.processes["aggregator"].pid)
    done = subprocess.run([os.path.join(stack.bin, "wire_attacker"), stack.ingest, stack.keys, "n1"],
                          capture_output=True, text=True, timeout=120)
    print(done.stdout, end="")
    assert done.returncode == 0, done.stdout + done.stderr
    for reason in ("PROTOCOL_VERSION", "CORRUPT", "TOO_LARGE", "NO_HELLO", "UNKNOWN_NODE", "SEQUENCE_GAP",
                   "UNKNOWN_REFERENCE"):
        assert metric(stack, "faultline_ingest_rejected_total", f"REJECT_REASON_{reason}") > 0, reason
    grown = rss_kib(stack.processes["aggregator"].pid) - before
    print(f"aggregator grew by {grown / 1024:.1f} MiB during the attack")
    assert grown < 128 * 1024, "memory is not bounded"


def main():
    with Stack() as stack:
        stack.start_aggregator()
        check_unknown_key(stack)
        check_http(stack)
        check_configuration(stack)
        check_wire(stack)
        stack.start_agent()
        wait_until("the honest node's data", 20, lambda: stack.value("node_load1") is not None)
        print("and the honest node is served")


main()
