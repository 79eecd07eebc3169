#!/usr/bin/env python3
"""systemd's journal: entries of a real journal file (written by Debian's systemd-journal-remote) are stored once, with unit, level
and time, through restarts and kill -9 of the agent."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from log_load import LOGS_ONLY, collectors_off  # noqa: E402
from stack import Stack, skip, wait_until  # noqa: E402


class Journal:
    """One journal file; each call adds entries to it."""

    def __init__(self, folder):
        here = os.path.dirname(os.path.abspath(__file__))
        found = subprocess.run([os.path.join(here, "..", "support", "peers"), "journal-remote"], capture_output=True, text=True)
        if found.returncode != 0:
            skip(found.stderr.strip())
        self.program = found.stdout.strip()
        root = self.program.split("/lib/systemd/")[0]
        self.environment = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu")
        self.path = os.path.join(folder, "remote.journal")
        self.next = 0

    def write(self, count, unit="web.service"):
        entries = []
        for _ in range(count):
            now = time.time_ns() // 1000
            entries.append(f"__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={time.monotonic_ns() // 1000 + self.next}\n"
                           f"_BOOT_ID={'0123456789abcdef' * 2}\nMESSAGE=entry {self.next} ends\nPRIORITY={3 if self.next % 2 else 6}\n"
                           f"_SYSTEMD_UNIT={unit}\n_PID=42\n\n")
            self.next += 1
        done = subprocess.run([self.program, "-o", self.path, "-"], input="".join(entries), text=True, capture_output=True,
                              env=self.environment, timeout=60)
        if done.returncode != 0:
            skip(f"systemd-journal-remote cannot write here: {done.stderr.strip()[-300:]}")


def stored(stack, selector):
    reply = stack.api("/loki/api/v1/query_range", query=selector, start=time.time_ns() - 3600 * 10**9, end=time.time_ns() + 10**9, limit=5000,
                      direction="forward")
    return [line for stream in reply["data"]["result"] for _, line in stream["values"]]


def main():
    with Stack(agent_settings=[*LOGS_ONLY, *collectors_off()]) as stack:
        folder = os.path.join(stack.folder, "journal")
        os.makedirs(folder)
        stack.agent_settings = [s for s in stack.agent_settings if s != "logs.journal=false"]
        stack.agent_settings += ["logs.journal_root=" + folder, "logs.pods_root=/nonexistent", "logs.containers_root=/nonexistent"]
        journal = Journal(folder)
        journal.write(3)  # history: before the first start
        stack.start_aggregator()
        stack.start_agent()
        first = journal.next
        journal.write(20)
        journal.write(5, "db.service")
        wait_until("the first entries are stored", 30, lambda: len(stored(stack, '{job="journal"}')) >= 25)
        for kill in (True, False):
            stack.kill("agent") if kill else stack.stop("agent")
            journal.write(30)
            stack.start_agent()
            journal.write(30)
        expected = [f"entry {i} ends" for i in range(first, journal.next)]
        wait_until("the last entry is stored", 30, lambda: expected[-1] in stored(stack, '{job="journal"}'))
        assert sorted(stored(stack, '{job="journal"}')) == sorted(expected)
        assert len(stored(stack, '{unit="db.service"}')) == 5
        print(f"{len(expected)} entries, each stored once")


main()
