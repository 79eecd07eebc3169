#!/usr/bin/env python3
"""Dashboard queries over the same samples, ours and Prometheus 2.42's, interleaved: median and worst wall time of an
answer as the client sees it, and CPU seconds of the server. Prints, asserts nothing.

  tests/bench/query_bench.py [--series 1000] [--hours 2] [--rounds 5]
"""
import argparse
import importlib.util
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "support")]
import stack

spec = importlib.util.spec_from_file_location("differential", TESTS / "e2e/promql_differential_test.py")
differential = importlib.util.module_from_spec(spec)
spec.loader.exec_module(differential)

QUERIES = [
    "up_like{host=\"h7\"}", "sum(rate(load_total[5m]))", "sum by (job) (rate(load_total[5m]))",
    "topk(10, rate(load_total[5m]))", "avg_over_time(load_total[10m])", "max by (zone) (load_total)",
    "load_total / on (host) group_left () up_like", "quantile by (job) (0.9, rate(load_total[1m]))",
    "count(load_total > 5)", "sum(increase(load_total[30m])) by (zone, job)",
]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(servers, series, begin, end):
    rng = random.Random(7)
    totals = [rng.uniform(0, 10) for _ in range(series)]
    labels = [{"__name__": "load_total", "host": f"h{i}", "job": f"j{i % 10}", "zone": f"z{i % 3}"} for i in range(series)]
    others = [{"__name__": "up_like", "host": f"h{i}"} for i in range(series)]
    for at in range(begin, end, 300):
        batch = []
        for i in range(series):
            samples = []
            for t in range(at, min(at + 300, end), 15):
                totals[i] += rng.random()
                samples.append((t * 1000, totals[i]))
            batch.append((labels[i], samples))
            batch.append((others[i], [(t, 1.0) for t, _ in samples]))
        for server in servers:
            server.write(batch)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--series", type=int, default=1000)
    arguments.add_argument("--hours", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    program = differential.peer_prometheus()
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name, stack.Stack() as ours:
        process, address = differential.start_prometheus(program, pathlib.Path(name))
        try:
            ours.start_aggregator()
            differential.wait_ready(address, process)
            servers = [differential.Server("prometheus", address), differential.Server("faultline", ours.http)]
            pids = {"prometheus": process.pid, "faultline": ours.processes["aggregator"].pid}
            end = int(time.time()) // 60 * 60
            load(servers, options.series, end - options.hours * 3600, end)
            measure(servers, pids, end, options)
        finally:
            process.terminate()
            process.wait(30)


def measure(servers, pids, end, options):
    print(f"{2 * options.series} series, {options.hours} h at 15 s, step 60 s, {options.rounds} rounds, milliseconds")
    print(f"{'query':48} {'prometheus':>22} {'faultline':>22}   p50 (cpu) each")
    for query in QUERIES:
        walls, cpus = {}, {}
        for _ in range(options.rounds):
            for server in servers:
                cpu, wall = cpu_seconds(pids[server.name]), time.monotonic()
                status, _ = server.get("/api/v1/query_range", query=query, start=end - options.hours * 3600, end=end, step=60)
                assert status == 200, (server.name, query, status)
                walls.setdefault(server.name, []).append(1000 * (time.monotonic() - wall))
                cpus.setdefault(server.name, []).append(1000 * (cpu_seconds(pids[server.name]) - cpu))
        print(f"{query[:48]:48} " + " ".join(
            f"{statistics.median(walls[s.name]):10.1f} ({statistics.median(cpus[s.name]):8.0f})" for s in servers))


if __name__ == "__main__":
    main()
