#!/usr/bin/env python3
"""A program that burns CPU in one function, in a cgroup of its own, is the top stack of that container's profile: made on
demand, told by `faultline profile`, and stored for later as log records; and a fault's injection makes one by itself."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, skip, wait_until  # noqa: E402

SECONDS, HZ = 5, 99
PROGRAM = """
volatile unsigned long count;
__attribute__((noinline)) void burn_in_here(void) { for (int i = 0; i < 10000000; ++i) count = count + i; }
__attribute__((noinline)) void calls_it(void) { for (;;) { burn_in_here(); __asm__ volatile(""); } }
int main(void) { calls_it(); return 0; }
"""


def burner(folder):
    source, program = os.path.join(folder, "burn.c"), os.path.join(folder, "burn")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM)
    subprocess.run(["cc", "-O0", "-fno-omit-frame-pointer", "-o", program, source], check=True)
    return program


def samples_of(folded):
    return [(line.rsplit(" ", 1)[0], int(line.rsplit(" ", 1)[1])) for line in folded.splitlines()]


def check_told(stack, name, pid):
    before = cpu_seconds(pid)
    begin = time.monotonic()
    folded = stack.faultline("profile", "--container", name, "--seconds", str(SECONDS))
    burnt, took = cpu_seconds(pid) - before, time.monotonic() - begin
    stacks = samples_of(folded)
    assert ";main;calls_it;burn_in_here" in stacks[0][0], folded
    here = sum(count for text, count in stacks if ";calls_it;burn_in_here" in text)
    everything = sum(count for _, count in stacks)
    assert here > 0.95 * everything, folded
    # The profile is a part of the time that we waited; how much of it the program got the CPU, others decide, too.
    low, high = 0.7 * HZ * burnt * SECONDS / took, 1.05 * HZ * took
    print(f"{everything} samples in {took:.1f} s, of which {burnt:.2f} s of CPU: {HZ * burnt:.0f} expected, {here} in burn_in_here")
    assert low <= everything <= high, (low, everything, high)
    return everything


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_stored(stack, name, told):
    query = 'sum(sum_over_time({job="cpu_profile",container="%s"} | regexp "(?P<n>[0-9]+)$" | unwrap n [5m]))' % name

    def stored():
        result = stack.api("/loki/api/v1/query", query=query)["data"]["result"]
        return result and float(result[0]["value"][1]) == told
    wait_until("as many samples in the store as were told", 15, stored)
    then = samples_of(stack.faultline("profile", "--container", name, "--begin", "5m"))
    assert sum(count for _, count in then) == told, then
    assert ";calls_it;burn_in_here" in then[0][0], then


def check_refusals(stack):
    for arguments in (("--seconds", "0"), ("--seconds", "61")):
        try:
            stack.faultline("profile", *arguments)
        except AssertionError as refused:
            assert "within 1 and 60" in str(refused), refused
        else:
            raise AssertionError(f"profile {arguments} was taken")


def check_incident(stack, name):
    """The agent profiles by itself when a fault is injected."""
    before = time.time()
    stack.faultline("fault", "run", "cpu_stress", "--node", stack.node, "--cgroup", "/" + name, "--duration", "3s")

    def profiled():
        lines = stack.faultline("profile", "--begin", str(before))
        return "burn_in_here" in lines and lines
    lines = wait_until("a profile of the incident", 30, profiled, 0.5)
    assert name in lines, lines


def main():
    roots = [f for f in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(f + "/cgroup.procs")]
    if os.geteuid() != 0 or not roots or shutil.which("cc") is None:
        skip("needs root, a v2 cgroup hierarchy and a C compiler")
    name = f"faultline-burn-{os.getpid()}"
    folder = f"{roots[0]}/{name}"
    os.mkdir(folder)
    settings = ["probes.cpu_profile.on_incident=true", "probes.cpu_profile.window=2s"]
    try:
        with Stack(agent_settings=settings) as stack:
            program = burner(stack.folder)
            stack.start_aggregator()
            stack.start_agent()
            leaves = wait_until("the node", 20, lambda: leaves_of(stack))
            leaf = next(leaf for leaf in leaves if leaf["name"] == "cpu_profile")
            if not leaf["running"]:
                skip(leaf["reason"])
            with subprocess.Popen([program], preexec_fn=lambda: enter(folder)) as burn:
                try:
                    check_refusals(stack)
                    told = check_told(stack, name, burn.pid)
                    check_stored(stack, name, told)
                    check_incident(stack, name)
                finally:
                    burn.kill()
    finally:
        for _ in range(100):
            try:
                os.rmdir(folder)
                break
            except OSError:
                time.sleep(0.05)


def check_diagnosis(stack):
    """And when a diagnosis of now suspects the node."""
    time.sleep(1)
    before = time.time()

    def profiled():
        report = stack.api("/api/v1/diagnose", node=stack.node, format="json")
        if not report["suspects"]:
            return False
        wait_until("a profile of the diagnosis", 15, lambda: "burn_in_here" in stack.faultline("profile", "--begin", str(before)), 0.5)
        return True
    wait_until("a suspect", 30, profiled, 1)


def leaves_of(stack):
    """Those of the node, once the aggregator knows it."""
    nodes = stack.api("/api/v1/nodes")["data"]
    return nodes and stack.api(f"/api/v1/nodes/{stack.node}")["data"]["leaves"]


def enter(folder):
    with open(folder + "/cgroup.procs", "w", encoding="ascii") as file:
        file.write("0")


main()
