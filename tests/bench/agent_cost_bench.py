#!/usr/bin/env python3
"""What the whole agent costs with everything on and the aggregator there: CPU per second and PSS, beside node_exporter scraped
once a second in the same run.  Usage: agent_cost_bench.py [SECONDS]   (default 60)"""
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, free_port, get, wait_until  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60


def cpu_ns(pid):
    """CPU time of all threads, in nanoseconds (schedstat)."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def pss_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(next(line for line in file if line.startswith("Pss:")).split()[1]) / 1024


def main():
    peers = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "peers")
    found = subprocess.run([peers, "node_exporter"], capture_output=True, text=True)
    exporter = None
    with Stack() as stack:
        stack.start_aggregator()
        stack.start_agent()
        pids = {"agent, everything on": stack.processes["agent"].pid, "aggregator": stack.processes["aggregator"].pid}
        if found.returncode == 0:
            address = f"127.0.0.1:{free_port()}"
            exporter = subprocess.Popen([found.stdout.strip(), "--web.listen-address", address],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            pids["node_exporter, scraped at 1 Hz"] = exporter.pid
            wait_until("node_exporter", 10, lambda: answers(address))
        try:
            time.sleep(10)  # start-up is not steady state
            rates = {name: [] for name in pids}
            last = {name: cpu_ns(pid) for name, pid in pids.items()}
            for _ in range(SECONDS):
                time.sleep(1)
                if exporter:
                    get(f"http://{address}/metrics")
                for name, pid in pids.items():
                    now = cpu_ns(pid)
                    rates[name].append((now - last[name]) / 1e6)
                    last[name] = now
            for name, pid in pids.items():
                print(f"{name:34} {statistics.median(rates[name]):6.2f} ms CPU/s (median of {SECONDS}; mean "
                      f"{statistics.mean(rates[name]):.2f}), PSS {pss_mb(pid):.1f} MB")
            print(f"series at the agent: {len([x for x in get(f'http://{stack.agent_http}/metrics').decode().splitlines() if x and x[0] != '#'])}")
        finally:
            if exporter:
                exporter.terminate()
                exporter.wait()


def answers(address):
    try:
        return get(f"http://{address}/metrics")
    except OSError:
        return None


main()
