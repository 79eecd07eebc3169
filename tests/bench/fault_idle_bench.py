#!/usr/bin/env python3
"""What faults cost while there is none: two agents side by side, one with faults and one with faults.enabled=false, and the
CPU time of each with all its children over the same seconds. Prints both, and what the first has resident besides.
fault_idle_bench.py [PAIRS] [SECONDS]
"""
import contextlib
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def read(path):
    with contextlib.suppress(OSError):
        with open(path) as file:
            return file.read()
    return ""


def family(pid):
    """The process and all that descend from it."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        stat = read(f"/proc/{name}/stat")
        if stat:
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        left += parents.get(one, [])
    return found


def cpu_ms(pid):
    """By the scheduler's own account, of all threads: ticks are too coarse."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{one}/task"):
                total += int((read(f"/proc/{one}/task/{thread}/schedstat") or "0").split()[0])
    return total / 1e6


def programs(pid):
    """BPF programs that a process holds."""
    with contextlib.suppress(OSError):
        return sum("prog_type" in read(f"/proc/{pid}/fdinfo/{fd}") for fd in os.listdir(f"/proc/{pid}/fdinfo"))
    return 0


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    with Stack(agent_settings=["faults.enabled=true"]) as on, Stack(agent_settings=["faults.enabled=false"]) as off:
        for stack in (on, off):
            stack.start_agent()
        time.sleep(10)  # both have looked around
        pids = [stack.processes["agent"].pid for stack in (on, off)]
        differences = []
        for pair in range(pairs):
            before = [cpu_ms(pid) for pid in pids]
            time.sleep(seconds)  # the measuring window
            used = [(cpu_ms(pid) - first) / seconds for pid, first in zip(pids, before)]
            differences.append(used[0] - used[1])
            print(f"{pair + 1}: with faults {used[0]:.2f} ms/s, without {used[1]:.2f} ms/s, {differences[-1]:+.3f} ms/s")
        print(f"difference: median {statistics.median(differences):+.3f} ms/s, from {min(differences):+.3f} to "
              f"{max(differences):+.3f} (n={pairs}, {seconds:g} s each)")
        for name, pid in zip(("with", "without"), pids):
            for child in family(pid)[1:]:
                command = read(f"/proc/{child}/cmdline").split("\0")
                rss_kib = next((int(line.split()[1]) for line in read(f"/proc/{child}/status").splitlines()
                                if line.startswith("RssAnon")), 0)
                print(f"{name} faults, resident: {os.path.basename(command[0])} {command[1] if len(command) > 1 else ''} "
                      f"pid {child}, {rss_kib} KiB of its own, {programs(child)} BPF programs, "
                      f"{read(f'/proc/{child}/schedstat').split()[0]} ns of CPU since it began")


if __name__ == "__main__":
    main()
