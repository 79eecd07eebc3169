#!/usr/bin/env python3
"""A full disk costs no log line, whichever side it is on: while the agent cannot write its spool, or the aggregator its store, lines
wait in their files."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import log_load  # noqa: E402
from log_load import logs_stack, metrics  # noqa: E402
from stack import skip, wait_until  # noqa: E402

BYTES = {"agent": 48 << 20, "aggregator": 96 << 20}


def mount(folder, size):
    os.makedirs(folder)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")


def fill(folder):
    """Until nothing more goes in."""
    path = os.path.join(folder, "ballast")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError:
                    break
    return path


def errors(stack, name):
    with open(os.path.join(stack.folder, name + ".log")) as log:
        return sum("No space left" in line or "cannot be kept" in line or "refused" in line for line in log)


def full(side):
    with logs_stack() as stack:
        folder = os.path.join(stack.folder, side)
        mount(folder, BYTES[side])
        try:
            written = os.path.join(stack.folder, "written")
            stack.start_aggregator()
            stack.start_agent()
            writer = log_load.start_writer(stack.pods, written, "--lines", 120_000, "--mib-per-second", 6, "--rotate-bytes", 8 << 20,
                                           "--max-files", 20, "--containers", 2)
            time.sleep(0.5)
            ballast = fill(folder)
            wait_until(f"the full disk of the {side} is noticed", 60, lambda: errors(stack, "agent") > 0, 0.2)
            said = log_load.finish_writer(writer)
            os.unlink(ballast)
            log_load.wait_quiet(stack)
            lost = log_load.lost_bytes(metrics(stack.agent_http))
            code, verdict = log_load.verify_store(stack, written)
            print(f"the disk of the {side} was full: {said}; {verdict}", flush=True)
            assert code == 0 and not lost, (verdict, lost)
        finally:
            for name in ("agent", "aggregator"):
                stack.stop(name)
            subprocess.run(["umount", folder], check=True)


def main():
    full("agent")
    full("aggregator")


main()
