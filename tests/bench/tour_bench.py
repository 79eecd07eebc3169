#!/usr/bin/env python3
"""The tour, N times: how often the injected container is the first suspect, and how far the labelled interval is from what an
independent probe saw (the server cgroup's CPU counter, read every 5 ms).  Usage: tour_bench.py [N]   (default 10; root)"""
import glob
import json
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, skip  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 10
HERE = os.path.dirname(os.path.abspath(__file__))
PERIOD_S = 0.005


class CpuProbe(threading.Thread):
    """Reads the CPU time of the tour's server cgroup until it goes away."""

    def __init__(self):
        super().__init__(daemon=True)
        self.samples = []  # (unix ns, cumulative ns)
        self.done = threading.Event()
        self.others = set(self.folders())  # left by tours that were killed

    @staticmethod
    def folders():
        return glob.glob("/sys/fs/cgroup/cpuacct/faultline-tour-*/server") or glob.glob("/sys/fs/cgroup/faultline-tour-*/server")

    @staticmethod
    def read(folder):
        path = os.path.join(folder, "cpuacct.usage")
        if os.path.exists(path):
            with open(path) as file:
                return int(file.read())
        with open(os.path.join(folder, "cpu.stat")) as file:
            return int(file.readline().split()[1]) * 1000

    def run(self):
        folder = None
        while not self.done.is_set():
            if folder is None:
                folder = next((f for f in self.folders() if f not in self.others), None)
            else:
                try:
                    self.samples.append((time.time_ns(), self.read(folder)))
                except OSError:
                    return
            self.done.wait(PERIOD_S)

    def interval(self, near_begin_ns, near_end_ns):
        """When the usage rate first and last exceeded the middle between quiet and stressed."""
        window = 4  # samples: 20 ms
        rates = [(self.samples[i][0], (self.samples[i][1] - self.samples[i - window][1]) /
                  max(1, self.samples[i][0] - self.samples[i - window][0])) for i in range(window, len(self.samples))]
        inside = [r for t, r in rates if near_begin_ns + 2e9 < t < near_end_ns - 2e9]
        before = [r for t, r in rates if t < near_begin_ns - 1e9]
        if not inside or not before:
            return None
        middle = (statistics.median(inside) + statistics.median(before)) / 2
        # Smooth over 100 ms, so that one busy request is no onset.
        span = 20
        smooth = [(rates[i][0], statistics.mean(r for _, r in rates[i:i + span])) for i in range(len(rates) - span)]
        over = [t for t, r in smooth if r > middle and near_begin_ns - 3e9 < t < near_end_ns + 3e9]
        if not over:
            return None
        half = span * PERIOD_S * 1e9 / 2
        return over[0] + half - window * PERIOD_S * 1e9 / 2, over[-1] + half - window * PERIOD_S * 1e9 / 2


def main():
    if os.geteuid() != 0:
        skip("the tour needs root (cgroups)")
    first, onset_errors, end_errors, elapsed = 0, [], [], []
    with Stack(node="tour-node") as stack:
        stack.start_aggregator()
        stack.start_agent()
        for i in range(COUNT):
            probe = CpuProbe()
            probe.start()
            done = subprocess.run([os.path.join(HERE, "..", "..", "deploy", "tour", "run"), "--bin", stack.bin, "--node",
                                   stack.node, "--json"], capture_output=True, text=True,
                                  env=dict(os.environ, FAULTLINE_SERVER=f"http://{stack.http}"))
            probe.done.set()
            probe.join()
            if not done.stdout.strip():
                print(f"run {i + 1}: {done.stderr.strip()[-300:]}", flush=True)
                continue
            result = json.loads(done.stdout.strip().splitlines()[-1])
            first += result["first_suspect_is_injected"]
            label = result["labels"][0] if result["labels"] else {}
            begin, end = int(label.get("beginUnixNs", 0)), int(label.get("endUnixNs", 0))
            seen = probe.interval(begin, end) if begin and end else None
            if seen:
                onset_errors.append((begin - seen[0]) / 1e6)
                end_errors.append((end - seen[1]) / 1e6)
            elapsed.append(result["elapsed_ns"] / 1e6)
            suspects = [(s.get("cgroup") or s.get("node"), s["cause"], round(s["score"], 2)) for s in result["suspects"]]
            print(f"run {i + 1}: first={result['first_suspect_is_injected']} verified={result['verified']} "
                  f"residual={result['residual']} label-observed onset "
                  f"{onset_errors[-1] if seen else float('nan'):+.0f} ms end {end_errors[-1] if seen else float('nan'):+.0f} ms "
                  f"suspects={suspects}", flush=True)
    print(f"\nfirst suspect is the injected container: {first}/{COUNT}")
    for what, errors in (("onset", onset_errors), ("end", end_errors)):
        if errors:
            print(f"label vs observed {what}: median {statistics.median(errors):+.0f} ms, worst "
                  f"{max(errors, key=abs):+.0f} ms, n={len(errors)}")
    if elapsed:
        print(f"diagnosis took: median {statistics.median(elapsed):.0f} ms")


main()
