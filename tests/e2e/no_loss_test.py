#!/usr/bin/env python3
"""kill -9 of the agent, of the aggregator and of both, again and again under load: every line that was written is in the store
once, none twice.

FAULTLINE_KILLS=N sets the rounds of each kind (default 20), FAULTLINE_SEED the moments of the kills.
"""
import collections
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import CriWriter, Stack, wait_until  # noqa: E402

ROUNDS = int(os.environ.get("FAULTLINE_KILLS", "20"))
LINES_PER_SECOND = 2000
SEED = int(os.environ.get("FAULTLINE_SEED", time.time_ns() % 1_000_000))


def stored_sequences(stack, begin_ns):
    """How often each sequence number is stored; pages forward by time stamp (each line has its own)."""
    counts = collections.Counter()
    start = begin_ns
    while True:
        reply = stack.api("/loki/api/v1/query_range", query='{pod="writer"}', start=start, end=time.time_ns() + 10**9,
                          limit=5000, direction="forward")
        entries = [entry for stream in reply["data"]["result"] for entry in stream["values"]]
        if not entries:
            return counts
        for _, line in entries:
            counts[int(re.search(r"seq=(\d+)", line).group(1))] += 1
        start = max(int(stamp) for stamp, _ in entries) + 1


def kill_again_and_again(stack, writer, dice):
    for kind in (("agent",), ("aggregator",), ("agent", "aggregator")):
        for _ in range(ROUNDS):
            time.sleep(dice.uniform(0.1, 1.0))  # any moment of the cycle, not a wait for something
            for name in kind:
                stack.kill(name)
            if "aggregator" in kind:
                stack.start_aggregator(wait=False)
            if "agent" in kind:
                stack.start_agent(wait=False)
        print(f"killed {' and '.join(kind)} {ROUNDS} times; {writer.next} lines written", flush=True)
        stack.wait_ready("aggregator", stack.http)
        stack.wait_ready("agent", stack.agent_http)


def main():
    dice = random.Random(SEED)
    print(f"seed {SEED}, {ROUNDS} rounds of each kind, {LINES_PER_SECOND} lines/s", flush=True)
    stack = Stack(agent_settings=["logs.kmsg=false"])
    pods_root = os.path.join(stack.folder, "pods")
    stack.agent_settings += ["logs.pods_root=" + pods_root,
                             "logs.containers_root=" + os.path.join(stack.folder, "containers")]
    with stack:
        writer = CriWriter(pods_root)
        begin_ns = time.time_ns()
        stop = threading.Event()

        def load():
            while not stop.is_set():
                writer.write(LINES_PER_SECOND // 20)
                stop.wait(0.05)

        stack.start_aggregator()
        stack.start_agent()
        thread = threading.Thread(target=load)
        thread.start()
        try:
            kill_again_and_again(stack, writer, dice)
        finally:
            stop.set()
            thread.join()
        total = writer.next
        wait_until("the last line is stored", 120, lambda: stack.api(
            "/loki/api/v1/query_range", query=f'{{pod="writer"}} |= "seq={total - 1} "', start=begin_ns,
            end=time.time_ns() + 10**9, limit=10)["data"]["result"])
        counts = stored_sequences(stack, begin_ns)
        lost = [i for i in range(total) if counts[i] == 0]
        twice = [i for i in range(total) if counts[i] > 1]
        print(f"{total} lines written, {sum(counts.values())} stored, {len(lost)} lost, {len(twice)} more than once", flush=True)
        assert not lost, f"lost, first: {lost[:10]}"
        assert not twice, f"stored twice, first: {twice[:10]}"


main()
