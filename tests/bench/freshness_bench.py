#!/usr/bin/env python3
"""From an event to its answer at the aggregator, at 1 s collection, beside Prometheus scraping node_exporter at 1 s.

Two metrics: one that must be polled (raw sockets in use, from /proc/net/sockstat; everything runs in a network namespace of
its own, where only the bench opens them), and a file in the textfile folder, which our agent is told of by inotify. Each changes
at a random moment, and both systems are asked again and again until they answer with the new value. Then log lines.
Usage: freshness_bench.py [N]   (default 100)
"""
import contextlib
import json
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import CriWriter, Stack, free_port, get, wait_until  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100
POLL_S = 0.004


def quantile(values, q):
    """Nearest rank: the smallest value that a share of q does not exceed."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def show(what, values):
    if values:
        print(f"{what:44} n={len(values):4}  p50 {quantile(values, .5):.3f} s  p90 {quantile(values, .9):.3f} s  "
              f"p99 {quantile(values, .99):.3f} s  max {max(values):.3f} s", flush=True)


def write_value(folder, value):
    path = os.path.join(folder, "bench.prom")
    with open(path + ".tmp", "w") as file:
        file.write(f"# TYPE bench_value gauge\nbench_value {value}\n")
    os.rename(path + ".tmp", path)


def answer(address, metric):
    reply = json.loads(get(f"http://{address}/api/v1/query?" + urllib.parse.urlencode({"query": metric})))
    result = reply["data"]["result"]
    return float(result[0]["value"][1]) if result else None


@contextlib.contextmanager
def prometheus(folder, textfiles):
    """Debian's Prometheus and node_exporter on free ports."""
    peers = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "peers")
    found = [subprocess.run([peers, name], capture_output=True, text=True) for name in ("node_exporter", "prometheus")]
    if any(done.returncode != 0 for done in found):
        print("no peer:", " ".join(done.stderr.strip() for done in found))
        yield None
        return
    exporter_program, server_program = (done.stdout.strip() for done in found)
    exporter, server = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w") as file:
        file.write(f"scrape_configs: [{{job_name: n, scrape_interval: 1s, scrape_timeout: 1s, "
                   f"static_configs: [{{targets: ['{exporter}']}}]}}]\n")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([exporter_program, "--web.listen-address", exporter,
                                   "--collector.textfile.directory", textfiles], **quiet),
                 subprocess.Popen([server_program, "--config.file", config, "--web.listen-address", server,
                                   "--storage.tsdb.path", os.path.join(folder, "prometheus")], **quiet)]
    try:
        yield server
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def watch(address, metric, expected, begin, out):
    deadline = begin + 10
    while time.monotonic() < deadline:
        if answer(address, metric) == expected:
            out.append(time.monotonic() - begin)
            return
        time.sleep(POLL_S)
    raise AssertionError(f"{address} never answered {expected}")


def main():
    dice = random.Random(1)
    with Stack(agent_settings=["logs.kmsg=false"]) as stack:
        textfiles = os.path.join(stack.folder, "textfiles")
        pods = os.path.join(stack.folder, "pods")
        os.makedirs(textfiles)
        stack.agent_settings += [f"collectors.textfile.directory={textfiles}", f"logs.pods_root={pods}"]
        writer = CriWriter(pods)
        write_value(textfiles, 0)
        with prometheus(stack.folder, textfiles) as peer:
            stack.start_aggregator()
            stack.start_agent()
            for address in filter(None, (stack.http, peer)):
                wait_until(f"first value at {address}", 40,
                           lambda a=address: try_answer(a) == 0)
            sockets, logs = [], []

            def open_socket(_):
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))

            changes = [("polled metric (1 s)", "node_sockstat_RAW_inuse", open_socket),
                       ("textfile metric (1 s)", "bench_value", lambda i: write_value(textfiles, i))]
            for what, metric, change in changes:
                ours, theirs = [], []
                for i in range(1, COUNT + 1):
                    time.sleep(dice.uniform(0.05, 1.05))  # a random phase of both collectors
                    change(i)
                    begin = time.monotonic()
                    threads = [threading.Thread(target=watch, args=(stack.http, metric, i, begin, ours))]
                    if peer:
                        threads.append(threading.Thread(target=watch, args=(peer, metric, i, begin, theirs)))
                    for thread in threads:
                        thread.start()
                    for thread in threads:
                        thread.join()
                show(f"Faultline, {what}", ours)
                show(f"Prometheus + node_exporter, {what}", theirs)
            for i in range(COUNT):
                time.sleep(dice.uniform(0.02, 0.1))
                writer.write(1)
                begin = time.monotonic()
                wait_until("the log line", 10, lambda n=writer.next - 1: stack.api(
                    "/loki/api/v1/query_range", query=f'{{pod="writer"}} |= "seq={n} "', limit=1,
                    start=time.time_ns() - 60 * 10**9, end=time.time_ns() + 10**9)["data"]["result"], POLL_S)
                logs.append(time.monotonic() - begin)
            show("Faultline, log line", logs)


def try_answer(address):
    try:
        return answer(address, "bench_value")
    except OSError:
        return None


if os.environ.get("FRESHNESS_NAMESPACE") != "own":
    os.execvpe("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv],
               dict(os.environ, FRESHNESS_NAMESPACE="own"))
subprocess.run(["ip", "link", "set", "dev", "lo", "up"], check=True)
main()
