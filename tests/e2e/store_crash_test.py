#!/usr/bin/env python3
"""The aggregator is killed with SIGKILL again and again while remote write and log push go on: what it acknowledged is
kept, once; what it did not is there at most once. Then its disk is filled: writes are refused with the reason and a status
that senders try again, queries are answered, and when there is room again everything goes on.

FAULTLINE_CRASH_ROUNDS=N sets the kills (default 10), FAULTLINE_SEED their moments.
"""
import collections
import http.client
import importlib.util
import json
import os
import pathlib
import random
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

ROUNDS = int(os.environ.get("FAULTLINE_CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("FAULTLINE_SEED", time.time_ns() % 1_000_000))
WRITERS, SERIES, LINES = 4, 250, 20
REMOTE_WRITE = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


class Client:
    """One request at a time; None where no answer came."""

    def __init__(self, address):
        self.host, self.port = address.split(":")
        self.connection = None

    def post(self, path, body, headers):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, int(self.port), timeout=30)
            self.connection.request("POST", path, body, headers)
            reply = self.connection.getresponse()
            return reply.status, reply.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection = None
            return None, ""


def samples_of(writer, step, begin_ms):
    return differential.snappy_literals(differential.write_request(
        [({"__name__": "kept", "writer": str(writer), "i": str(i)}, [(begin_ms + step, float(step))]) for i in range(SERIES)]))


def lines_of(writer, push, begin_ns):
    first = push * LINES
    values = [[str(begin_ns + first + i), f"writer={writer} seq={first + i}"] for i in range(LINES)]
    return json.dumps({"streams": [{"stream": {"app": "kept", "writer": str(writer)}, "values": values}]})


class Writer(threading.Thread):
    """Samples are sent again until they are acknowledged, as senders do; lines never, so that none may be there twice."""

    def __init__(self, number, address, begin_ms):
        super().__init__()
        self.number, self.client, self.begin_ms = number, Client(address), begin_ms
        self.stop = threading.Event()
        self.steps = self.pushes = 0
        self.acknowledged, self.refused = set(), []

    def run(self):
        while not self.stop.is_set():
            status, said = self.client.post("/api/v1/write", samples_of(self.number, self.steps, self.begin_ms), REMOTE_WRITE)
            self.note(status, said)
            self.steps += status == 204
            status, said = self.client.post("/loki/api/v1/push", lines_of(self.number, self.pushes, self.begin_ms * 10**6), JSON)
            self.note(status, said)
            if status == 204:
                self.acknowledged.add(self.pushes)
            self.pushes += 1

    def note(self, status, said):
        if status is None:
            self.stop.wait(0.02)  # nobody is there
        elif status != 204:
            self.refused.append((status, said))


def stored_lines(ours, writer, begin_ns, end_ns):
    counts, start = collections.Counter(), begin_ns
    while True:
        reply = ours.api("/loki/api/v1/query_range", query=f'{{app="kept",writer="{writer}"}}', start=start, end=end_ns,
                         limit=5000, direction="forward")
        entries = [entry for stream in reply["data"]["result"] for entry in stream["values"]]
        if not entries:
            return counts
        counts.update(int(line.rsplit("=", 1)[1]) for _, line in entries)
        start = max(int(stamp) for stamp, _ in entries) + 1


def check_samples(ours, writer, begin_ms):
    """Every series has one sample for each step, and the step for its value."""
    last = writer.steps  # this one may be stored unacknowledged
    selector = f'kept{{writer="{writer.number}"}}[1h]'
    at = (begin_ms + last + 1000) / 1000
    counts = {s["metric"]["i"]: int(s["value"][1]) for s in ours.query(f"count_over_time({selector})", time=at)}
    sums = {s["metric"]["i"]: float(s["value"][1]) for s in ours.query(f"sum_over_time({selector})", time=at)}
    assert len(counts) == SERIES, (writer.number, len(counts))
    for i, count in counts.items():
        assert count in (last, last + 1), f"series {i} of writer {writer.number}: {count} samples, {last} were acknowledged"
        assert sums[i] == count * (count - 1) / 2, (writer.number, i, count, sums[i])
    raw = ours.query(f'kept{{writer="{writer.number}",i="0"}}[1h]', time=at)[0]["values"]
    assert [(round(1000 * t), int(v)) for t, v in raw] == [(begin_ms + k, k) for k in range(len(raw))]
    return last * SERIES


def check_lines(ours, writer, begin_ms):
    counts = stored_lines(ours, writer.number, begin_ms * 10**6, begin_ms * 10**6 + (writer.pushes + 1) * LINES)
    lost = [n for push in writer.acknowledged for n in range(push * LINES, (push + 1) * LINES) if counts[n] == 0]
    twice = [n for n, count in counts.items() if count > 1]
    assert not lost, f"writer {writer.number}: {len(lost)} acknowledged lines are lost, first {lost[:5]}"
    assert not twice, f"writer {writer.number}: {len(twice)} lines are stored twice, first {twice[:5]}"
    whole = collections.Counter(n // LINES for n in counts)
    assert set(whole.values()) <= {LINES}, "a push was stored by halves"
    return len(writer.acknowledged) * LINES


def killed_under_load():
    dice = random.Random(SEED)
    print(f"seed {SEED}, {ROUNDS} kills, {WRITERS} writers", flush=True)
    with stack.Stack() as ours:
        ours.start_aggregator()
        begin_ms = int(time.time() * 1000) - 600_000
        writers = [Writer(number, ours.http, begin_ms) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        slowest = 0
        try:
            for _ in range(ROUNDS):
                time.sleep(dice.uniform(0.05, 1.0))  # any moment, not a wait for something
                ours.kill("aggregator")
                begin = time.monotonic()
                ours.start_aggregator()
                slowest = max(slowest, time.monotonic() - begin)
                steps = sum(w.steps for w in writers)
                stack.wait_until("writes are acknowledged again", 30, lambda: sum(w.steps for w in writers) > steps)
        finally:
            for writer in writers:
                writer.stop.set()
            for writer in writers:
                writer.join()
        refused = [refusal for writer in writers for refusal in writer.refused]
        assert not refused, refused[:3]
        samples = sum(check_samples(ours, writer, begin_ms) for writer in writers)
        lines = sum(check_lines(ours, writer, begin_ms) for writer in writers)
        print(f"{samples} samples and {lines} lines acknowledged and kept, none twice; slowest start {slowest:.2f} s", flush=True)


def mount_small(folder):
    os.makedirs(folder)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        stack.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")


def fill(folder):
    path = os.path.join(folder, "ballast")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return path


def disk_full():
    with stack.Stack() as ours:
        folder = os.path.join(ours.folder, "aggregator")
        mount_small(folder)
        try:
            ours.start_aggregator()
            client, begin_ms = Client(ours.http), int(time.time() * 1000) - 60_000
            assert client.post("/api/v1/write", samples_of(0, 0, begin_ms), REMOTE_WRITE)[0] == 204
            ballast = fill(folder)
            for path, body, headers in (("/api/v1/write", samples_of(0, 1, begin_ms), REMOTE_WRITE),
                                        ("/loki/api/v1/push", lines_of(0, 0, begin_ms * 10**6), JSON)):
                status, said = client.post(path, body, headers)
                assert status == 503 and "disk full" in said, (path, status, said)
            count = f'sum(count_over_time(kept[5m] @ {begin_ms / 1000 + 60}))'
            assert ours.value(count) == SERIES, "what was stored is served while the disk is full"
            os.unlink(ballast)
            stack.wait_until("writes are taken again", 30,
                             lambda: client.post("/api/v1/write", samples_of(0, 1, begin_ms), REMOTE_WRITE)[0] == 204, 0.2)
            assert ours.value(count) == 2 * SERIES
            print("full disk: refused with 503 and the reason, queries answered, recovered without a restart", flush=True)
        finally:
            ours.stop("aggregator")
            subprocess.run(["umount", folder], check=True)


killed_under_load()
disk_full()
