#!/usr/bin/env python3
"""The same samples, the same expressions, to Prometheus 2.42 and to us, by remote write and the query API: status,
labels and values must be equal, error texts too (a few known wordings apart). Skips when Prometheus cannot be fetched.

  promql_differential_test.py [--expressions 2000] [--seed 1] [--verbose] [--only SUBSTRING]
"""
import argparse
import collections
import http.client
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "support")]
import promql_corpus as corpus
import stack

SOURCE = pathlib.Path(os.environ.get("FAULTLINE_SOURCE", pathlib.Path(__file__).parents[2]))


def peer_prometheus():
    found = subprocess.run([SOURCE / "tests/support/peers", "prometheus"], capture_output=True, text=True)
    if found.returncode == 77:
        stack.skip(found.stderr.strip())
    if found.returncode != 0:
        sys.exit(found.stderr)
    return found.stdout.strip()


# ---- Remote write, by hand ----------------------------------------------------------------------------------------
def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def write_request(series):
    out = b""
    for labels, samples in series:
        body = b""
        for name, value in sorted(labels.items()):
            if value:
                body += field(1, field(1, name.encode()) + field(2, value.encode()))
        for time_ms, value in samples:
            body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time_ms))
        out += field(1, body)
    return out


def snappy_literals(raw):
    out = bytearray(varint(len(raw)))
    for at in range(0, len(raw), 65536):
        piece = raw[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


class Server:
    def __init__(self, name, address):
        self.name = name
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)

    def request(self, method, path, body=None, headers=None):
        for attempt in (0, 1):
            try:
                self.connection.request(method, path, body, headers or {})
                reply = self.connection.getresponse()
                return reply.status, reply.read()
            except (http.client.HTTPException, ConnectionError, BrokenPipeError):
                self.connection.close()
                if attempt:
                    raise

    def get(self, path, **parameters):
        status, body = self.request("POST", path, urllib.parse.urlencode(parameters),
                                    {"Content-Type": "application/x-www-form-urlencoded"})
        return status, json.loads(body)

    def write(self, series):
        status, body = self.request("POST", "/api/v1/write", snappy_literals(write_request(series)), {
            "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0"})
        if status // 100 != 2:
            sys.exit(f"{self.name} refused the samples: {status} {body[:300]}")


def wait_ready(address, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}")
        try:
            host, port = address.rsplit(":", 1)
            connection = http.client.HTTPConnection(host, int(port), timeout=5)
            connection.request("GET", "/api/v1/query?query=1")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{address} was not ready within 60 s")


def start_prometheus(program, folder):
    address = f"127.0.0.1:{stack.free_port()}"
    (folder / "prometheus.yml").write_text("global: {}\n")
    log = open(folder / "prometheus.log", "w")
    process = subprocess.Popen([program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                f"--web.listen-address={address}", "--web.enable-remote-write-receiver"],
                               stdout=log, stderr=log, cwd=folder)
    return process, address


# ---- Comparison ---------------------------------------------------------------------------------------------------
def close(a, b):
    if a == b:
        return True
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) != math.isinf(y) and min(abs(x), abs(y)) > 4e307:
        return True  # Go's exp overflows a little early
    return x == y or math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)


def key(metric):
    return tuple(sorted(metric.items()))


def points_of(entry):
    return entry.get("values", [entry.get("value")])


def difference(expression, theirs, ours):
    """None if equal, otherwise what is not."""
    if theirs.get("status") != ours.get("status"):
        return f"status {theirs.get('status')} ({theirs.get('error')}) but ours is {ours.get('status')} ({ours.get('error')})"
    if theirs["status"] == "error":
        return None if theirs["errorType"] == ours["errorType"] else f"errorType {theirs['errorType']}, ours {ours['errorType']}"
    a, b = theirs["data"], ours["data"]
    if a["resultType"] != b["resultType"]:
        return f"resultType {a['resultType']}, ours {b['resultType']}"
    if a["resultType"] == "string":
        return None if a["result"] == b["result"] else f"{a['result']}, ours {b['result']}"
    if a["resultType"] == "scalar":
        return None if close(a["result"][1], b["result"][1]) else f"{a['result']}, ours {b['result']}"
    left = {key(e["metric"]): points_of(e) for e in a["result"]}
    right = {key(e["metric"]): points_of(e) for e in b["result"]}
    if left.keys() != right.keys():
        return f"only theirs {sorted(left.keys() - right.keys())[:2]}, only ours {sorted(right.keys() - left.keys())[:2]}"
    for metric, points in left.items():
        mine = right[metric]
        if [p[0] for p in points] != [p[0] for p in mine]:
            return f"times of {metric}: {[p[0] for p in points][:5]} ({len(points)}), ours {[p[0] for p in mine][:5]} ({len(mine)})"
        for p, q in zip(points, mine):
            if not close(p[1], q[1]):
                return f"{metric} at {p[0]}: {p[1]}, ours {q[1]}"
    if expression.startswith(("sort", "topk", "bottomk")) and a["resultType"] == "vector":
        values = [e["value"][1] for e in a["result"]], [e["value"][1] for e in b["result"]]
        if not all(map(close, *values)):
            return f"order {values[0][:6]}, ours {values[1][:6]}"
    return None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--expressions", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--verbose", action="store_true")
    arguments.add_argument("--only", default="")
    options = arguments.parse_args()
    program = peer_prometheus()
    with tempfile.TemporaryDirectory(prefix="faultline-promql-") as name, stack.Stack() as ours:
        process, address = start_prometheus(program, pathlib.Path(name))
        try:
            ours.start_aggregator()
            wait_ready(address, process)
            return run(options, Server("prometheus", address), Server("faultline", ours.http))
        finally:
            process.terminate()
            process.wait(30)


def run(options, theirs, ours):
    base = int(time.time()) // 3600 * 3600 - 3 * 3600
    series = corpus.make_series(base)
    end = base + 7200
    for begin_ms in range(base * 1000, end * 1000, 600_000):
        chunk = [(labels, [s for s in samples if begin_ms - 1000 <= s[0] < begin_ms + 599_000]) for labels, samples in series]
        chunk = [(labels, samples) for labels, samples in chunk if samples]
        for server in (theirs, ours):
            server.write(chunk)
    expressions = corpus.hand_picked()
    picked = len(expressions)
    generator = corpus.Generator(options.seed)
    while len(expressions) < max(options.expressions, picked):
        expressions.append(generator.expression())
    expressions += corpus.broken()
    if options.only:
        expressions = [e for e in expressions if options.only in e]
    rng = random.Random(options.seed)
    differences, texts, errors, nonempty, comparisons = [], [], 0, 0, 0
    for expression in expressions:
        at = base + rng.choice([600, 1800, 3600, 3607.5, 4500, 6000, 7185, 7300])
        start = base + rng.randrange(0, 5400)
        requests = [("/api/v1/query", {"query": expression, "time": at}),
                    ("/api/v1/query_range", {"query": expression, "start": start, "end": start + rng.choice([300, 1700, 3600]),
                                             "step": rng.choice([7, 15, 60, "2m", 431])})]
        for path, parameters in requests:
            _, a = theirs.get(path, **parameters)
            _, b = ours.get(path, **parameters)
            comparisons += 1
            errors += a["status"] == "error"
            nonempty += a["status"] == "success" and len(a["data"]["result"]) > 0
            found = difference(expression, a, b)
            if found:
                differences.append((path, parameters, found))
            elif a["status"] == "error" and a["error"] != b["error"]:
                texts.append((expression, a["error"], b["error"]))
    print(f"{len(expressions)} expressions ({picked} hand-picked), {comparisons} comparisons, {nonempty} non-empty answers, "
          f"{errors} errors: {len(differences)} differences, {len(texts)} other error texts")
    for path, parameters, found in differences[:2000 if options.verbose else 40]:
        print("DIFFERENT", path, parameters, "\n   ", found)
    if options.verbose:
        for expression, a, b in texts:
            print("TEXT", repr(expression), "\n    theirs:", a, "\n    ours:  ", b)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
