#!/usr/bin/env python3
"""The loop of a fault with the real programs: an Experiment stresses a cgroup of our own; the effect, the label and the
conditions are compared with the kernel's own count. Then the agent is killed while a fault is in force, the aggregator is
cut off until the lease runs out, and everything is halted: each time the victim goes on, and the truth about it arrives.
"""
import contextlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, skip, wait_until  # noqa: E402

ROOT = "/sys/fs/cgroup"
LEASE_S = 4


class Victim:
    """A process of 10 % of a CPU in a cgroup of its own, in every hierarchy that there is."""

    def __init__(self):
        self.path = f"/faultline-e2e-{os.getpid()}"
        v1 = [c for c in ("cpu", "cpuacct", "memory", "pids", "freezer", "blkio") if os.path.isdir(f"{ROOT}/{c}")]
        mounts = [f"{ROOT}/{c}" for c in v1]
        mounts.append(f"{ROOT}/unified" if os.path.isdir(f"{ROOT}/unified") else ROOT)
        self.folders = [mount + self.path for mount in mounts]
        self.count = f"{ROOT}/cpuacct{self.path}/cpuacct.usage" if "cpuacct" in v1 else f"{ROOT}{self.path}/cpu.stat"
        burn = "import time\nwhile True:\n e=time.time()+.001\n while time.time()<e: pass\n time.sleep(.009)"
        self.process = None
        for folder in self.folders:
            os.mkdir(folder)
        for share, value in (("cpu.shares", "262144"), ("cpu.weight", "10000")):
            for folder in self.folders:
                with contextlib.suppress(OSError):
                    with open(f"{folder}/{share}", "w") as file:
                        file.write(value)
        self.process = subprocess.Popen([sys.executable, "-c", burn])
        for folder in self.folders:
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write(str(self.process.pid))

    def cpu_ns(self):
        with open(self.count) as file:
            text = file.read()
        return int(text) if "usage_usec" not in text else int(text.split()[1]) * 1000

    def cores(self, seconds):
        begin, before = time.monotonic(), self.cpu_ns()
        time.sleep(seconds)  # the measuring window
        return (self.cpu_ns() - before) / 1e9 / (time.monotonic() - begin)

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        for folder in self.folders:
            with contextlib.suppress(AssertionError):
                wait_until("cgroup is empty", 5, lambda: not self.remove(folder))

    @staticmethod
    def remove(folder):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
        return os.path.exists(folder)


def apply(stack, victim, name, fault, duration, parameters=None):
    stack.faultline("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "faultline.io/v1", "kind": "Experiment", "metadata": {"name": name},
        "spec": {"fault": fault, "duration": duration, "parameters": parameters or {},
                 "selector": {"cgroups": [victim.path]}}}))


def status(stack, name):
    return stack.api(f"/apis/faultline.io/v1/experiments/{name}").get("status", {})


def condition(stack, name, kind):
    return next((c["status"] for c in status(stack, name).get("conditions", []) if c["type"] == kind), "")


def becomes(stack, name, kind, value, seconds=15):
    wait_until(f"{name}: {kind} is {value}", seconds, lambda: condition(stack, name, kind) == value)


def label_of(stack, name):
    labels = stack.api("/api/v1/labels/ground-truth")["data"]
    return next(label for label in labels if label["experiment"] == f"default/{name}")


def whole_loop(stack, victim):
    before = victim.cores(1)
    apply(stack, victim, "stress", "cpu_stress", "6s", {"load": "40"})
    becomes(stack, "stress", "AllInjected", "True")
    during_begin = time.time_ns()
    during = victim.cores(2)
    during_end = time.time_ns()
    assert abs(during - before - 0.4) < 0.06, f"{before:.2f} -> {during:.2f} cores, 0.40 more were asked"
    becomes(stack, "stress", "AllRecovered", "True")
    becomes(stack, "stress", "Verified", "True")
    becomes(stack, "stress", "Residual", "False")
    label = label_of(stack, "stress")
    begin, end = int(label["beginUnixNs"]), int(label["endUnixNs"])
    assert begin <= during_begin and end >= during_end, "the label must cover what was seen"
    assert abs((end - begin) / 1e9 - 6) < 0.2, f"the label is {(end - begin) / 1e9:.2f} s long"
    assert label["effect"]["verdict"] == "true", label["effect"]
    assert abs(victim.cores(1) - before) < 0.06, "the victim is as before"
    print(f"cpu_stress: {before:.2f} -> {during:.2f} cores, labelled {(end - begin) / 1e9:.3f} s of 6 s")


def killed_agent(stack, victim):
    apply(stack, victim, "killed", "process_stop", "10m")
    becomes(stack, "killed", "AllInjected", "True")
    assert victim.cores(0.3) < 0.01, "the victim must stand still"
    stack.kill("agent")
    begin = time.monotonic()
    used = victim.cpu_ns()
    wait_until("the guardian lets the victim go on", 2, lambda: victim.cpu_ns() > used + 2_000_000, 0.005)
    took = time.monotonic() - begin
    stack.start_agent()
    becomes(stack, "killed", "AllRecovered", "True", 30)
    assert "agent_killed" in label_of(stack, "killed")["message"], label_of(stack, "killed")
    print(f"agent killed: the victim went on {took * 1000:.0f} ms later, and the label says why")


def lost_lease(stack, victim):
    apply(stack, victim, "lost", "process_stop", "10m")
    becomes(stack, "lost", "AllInjected", "True")
    stack.kill("aggregator")
    begin = time.monotonic()
    used = victim.cpu_ns()
    wait_until("the agent lets the victim go on", LEASE_S + 1, lambda: victim.cpu_ns() > used + 2_000_000, 0.005)
    took = time.monotonic() - begin
    stack.start_aggregator()
    becomes(stack, "lost", "AllRecovered", "True", 30)
    assert "lease_lost" in label_of(stack, "lost")["message"], label_of(stack, "lost")
    print(f"aggregator gone: the victim went on after {took:.1f} s of a lease of {LEASE_S} s")


def halted(stack, victim):
    apply(stack, victim, "halted", "process_stop", "10m")
    becomes(stack, "halted", "AllInjected", "True", 30)
    begin = time.monotonic()
    used = victim.cpu_ns()
    stack.faultline("halt")
    wait_until("halt lets the victim go on", 3, lambda: victim.cpu_ns() > used + 2_000_000, 0.005)
    print(f"halt: the victim went on {(time.monotonic() - begin) * 1000:.0f} ms after the command began")
    becomes(stack, "halted", "AllRecovered", "True")
    stack.faultline("halt", "--resume")


def nothing_selected(stack):
    stack.faultline("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "faultline.io/v1", "kind": "Experiment", "metadata": {"name": "nothing"},
        "spec": {"fault": "cpu_stress", "duration": "5s", "selector": {"namespaces": ["none"]}}}))
    becomes(stack, "nothing", "Selected", "False", 20)
    becomes(stack, "nothing", "Verified", "False")


def main():
    if os.geteuid() != 0:
        skip("needs root: makes cgroups")
    if not os.access(ROOT, os.W_OK):
        skip("cgroups cannot be made here")
    victim = Victim()
    try:
        with Stack(agent_settings=[f"faults.lease={LEASE_S}s"]) as stack:
            stack.start_aggregator()
            stack.start_agent()
            wait_until("the node is up", 20, lambda: stack.api("/api/v1/nodes")["data"])
            whole_loop(stack, victim)
            killed_agent(stack, victim)
            lost_lease(stack, victim)
            halted(stack, victim)
            nothing_selected(stack)
            for name in ("stress", "killed", "lost", "halted", "nothing"):
                stack.faultline("delete", "experiment", name)
    finally:
        victim.end()


if __name__ == "__main__":
    main()
