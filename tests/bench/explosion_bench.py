#!/usr/bin/env python3
"""Queries that would explode, over many series and while samples keep coming: how soon each is refused and by which limit,
and what a write takes meanwhile. Prints, asserts nothing. Needs `ninja -C build/release store_load_bench`.

  tests/bench/explosion_bench.py [--series 100000] [--rounds 5]
"""
import argparse
import importlib.util
import pathlib
import statistics
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "support")]
import stack

spec = importlib.util.spec_from_file_location("differential", TESTS / "e2e/promql_differential_test.py")
differential = importlib.util.module_from_spec(spec)
spec.loader.exec_module(differential)

DAY = 86_400
# name, query, range in seconds, step in seconds
PROMQL = [
    ("all series, 11,000 steps", '{__name__=~".+"}', 10_999 * 15, 15),
    ("rate of all, 11,000 steps", 'rate({__name__=~".+"}[5m])', 10_999 * 15, 15),
    ("sum of all, 11,000 steps", 'sum({__name__=~".+"})', 10_999 * 15, 15),
    ("a year of all", 'sum_over_time({__name__=~".+"}[1y])', 0, 1),
    ("subquery of seconds", 'max_over_time(rate({__name__=~".+"}[5m])[30d:1s])', 0, 1),
    ("subquery in subquery", 'max_over_time(max_over_time({__name__=~".+"}[1d:1s])[1d:1s])', 0, 1),
    ("subquery of a constant", 'sum_over_time(vector(1)[100y:1ms])', 0, 1),
    ("constants, 11,000 steps of a day of milliseconds", 'sum_over_time(vector(1)[1d:1ms])', 10_999 * 15, 15),
    ("all with all", '{__name__=~".+"} * ignoring(mode) group_left() {__name__=~".+"}', 10_999 * 15, 15),
    ("no match, negated", '{a!="b",__name__!=""}', 10_999 * 15, 15),
    ("many alternatives", '{__name__=~"' + "|".join(f".*{i}.*x?" for i in range(2000)) + '"}', 10_999 * 15, 15),
    ("256 KiB and more", "1" + "+1" * 140_000, 0, 1),
    ("2,000 levels", "(" * 2000 + "1" + ")" * 2000, 0, 1),
    ("2,000 levels of functions", "abs(" * 2000 + "vector(1)" + ")" * 2000, 0, 1),
    ("12,000 points", "vector(1)", 12_000, 1),
]
LOGQL = [
    ("100 years of seconds", 'sum(count_over_time({app=~".+"}[1s]))', 100 * 365 * DAY, 1),
    ("11,000 steps of a year", 'sum by (n) (rate({app=~".+"} | logfmt [1y]))', 10_999 * 15, 15),
    ("repetition in an expression", '{app=~".+"} |~ "(((a{100}){100}){100})"', DAY, 60),
    ("2,000 levels", "(" * 2000 + "vector(1)" + ")" * 2000, DAY, 60),
]


class Writing(threading.Thread):
    """One request after another; how long each took."""

    def __init__(self, address):
        super().__init__()
        self.server, self.stop, self.walls = differential.Server("faultline", address), threading.Event(), []

    def run(self):
        labels = [{"__name__": "written", "i": str(i)} for i in range(500)]
        while not self.stop.is_set():
            at = time.time_ns() // 1_000_000
            body = [(one, [(at, 1.0)]) for one in labels]
            begin = time.monotonic()
            self.server.write(body)
            self.walls.append(1000 * (time.monotonic() - begin))

    def finish(self):
        self.stop.set()
        self.join()
        ordered = sorted(self.walls)
        return f"n {len(ordered)}, p50 {statistics.median(ordered):.1f} ms, p99 {ordered[len(ordered) * 99 // 100]:.1f} ms"


def measure(server, path, rows, end, rounds):
    worst = 0
    for name, query, length, step in rows:
        walls = []
        for _ in range(rounds):
            begin = time.monotonic()
            parameters = {"query": query, "start": end - length, "end": end, "step": step} if length else {"query": query, "time": end}
            parameters["timeout"] = "5s"  # of those that are not refused
            status, body = server.get(path if length else path.replace("query_range", "query"), **parameters)
            walls.append(1000 * (time.monotonic() - begin))
        said = f"{status} {body['error'][:110]}" if status != 200 else f"200 ANSWERED, {len(body['data']['result'])} series"
        worst = max(worst, *walls)
        print(f"  {name:48} median {statistics.median(walls):7.1f} ms  worst {max(walls):7.1f} ms  {said}", flush=True)
    return worst


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--series", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    with stack.Stack() as ours:
        ours.start_aggregator()
        end = int(time.time())
        load = TESTS.parent / "build/release/bin/store_load_bench"
        subprocess.run([str(a) for a in (load, "synthetic", 1000, options.series // 1000, 15, (end - 300) * 1000, 20, 5, 8, ours.http)],
                       check=True)
        server = differential.Server("faultline", ours.http)
        quiet = Writing(ours.http)
        quiet.start()
        time.sleep(5)
        print(f"writes of 500 samples, nobody asks: {quiet.finish()}")
        writing = Writing(ours.http)
        writing.start()
        try:
            worst = max(measure(server, "/api/v1/query_range", PROMQL, end, options.rounds),
                        measure(server, "/loki/api/v1/query_range", LOGQL, end, options.rounds))
        finally:
            said = writing.finish()
        print(f"worst {worst:.1f} ms over {options.series} series, {options.rounds} rounds\nwrites meanwhile: {said}")


if __name__ == "__main__":
    main()
