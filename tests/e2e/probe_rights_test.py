#!/usr/bin/env python3
"""CAP_BPF and CAP_PERFMON are enough: as nobody with these two, every probe loads, attaches and delivers; without them,
each says what it lacks, and nothing else fails."""
import os
import shutil
import subprocess
import sys

SOURCE = os.path.abspath(os.environ.get("FAULTLINE_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
BIN = os.environ.get("FAULTLINE_BIN", os.path.join(SOURCE, "build", "release", "bin"))
PROBES = ("block_io", "cpu_profile", "memory", "oom", "processes", "requests", "scheduler", "syscalls", "tcp", "udp")
NOBODY = "65534"


def once(probe, rights):
    caps = "-all" + "".join("," + right for right in rights)
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={caps}",
               f"--ambient-caps={caps}", f"--bounding-set={caps}", os.path.join(BIN, "faultline-agent"),
               "--once", "--print", "--only", probe, "--set", "logs.enabled=false", "--set", "faults.enabled=false"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def main():
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        print("skip: needs root and setpriv, to take rights away")
        return 77
    trial = once("tcp", ["+bpf", "+perfmon"])
    if trial.returncode != 0 and "unsupported" in trial.stderr:
        as_root = subprocess.run([os.path.join(BIN, "faultline-agent"), "--once", "--print", "--only", "tcp"],
                                 capture_output=True, text=True, timeout=120, check=False)
        if as_root.returncode != 0:
            print("skip: root may not load probes here either:", as_root.stderr.strip())
            return 77
    failures = []
    for probe in PROBES:
        ran = once(probe, ["+bpf", "+perfmon"])
        produced = "faultline_probe_produced_total" in ran.stdout
        if ran.returncode != 0 or not produced:
            failures.append(f"{probe} with both rights: exit {ran.returncode}, {ran.stderr.strip()[-300:]}")
        bare = once(probe, [])
        # A collector has this name too, and runs without any rights.
        says = "faultline_probe_produced_total" not in bare.stdout if probe == "processes" else "CAP_BPF" in bare.stderr
        if not says:
            failures.append(f"{probe} without rights: exit {bare.returncode}, {bare.stderr.strip()[-300:]}")
        print(probe, "ok" if not any(f.startswith(probe) for f in failures) else "FAILED")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


sys.exit(main())
