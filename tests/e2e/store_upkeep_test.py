#!/usr/bin/env python3
"""The store of a running aggregator is copied and checked: `faultline backup`, `faultline fsck`, and the routes below
them (/api/v1/admin/tsdb/snapshot, /api/v1/admin/fsck). The copy is a store that another aggregator opens; a flipped
byte is named by fsck, and everything else is still served. Limits answer with their names."""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "support")]
import stack

spec = importlib.util.spec_from_file_location("differential", TESTS / "e2e/promql_differential_test.py")
differential = importlib.util.module_from_spec(spec)
spec.loader.exec_module(differential)

SERIES, SAMPLES = 200, 400


def write(server, end_ms):
    for begin in range(0, SAMPLES, 100):
        server.write([({"__name__": "kept_total", "i": str(i)},
                       [(end_ms - (SAMPLES - k) * 1000, float(k * i)) for k in range(begin, begin + 100)])
                      for i in range(SERIES)])


def count(server, at_ms):
    status, body = server.get("/api/v1/query", query=f"sum(count_over_time(kept_total[{SAMPLES + 60}s]))", time=at_ms / 1000)
    assert status == 200, body
    return float(body["data"]["result"][0]["value"][1])


def flip_a_byte(folder):
    """In the middle of the largest table, which is where samples are."""
    path = max((p for p in pathlib.Path(folder).glob("*.sst")), key=lambda p: p.stat().st_size)
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 3)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x40]))
    return path.name


def main():
    end_ms = int(time.time()) * 1000
    with stack.Stack() as ours:
        ours.start_aggregator()
        server = differential.Server("faultline", ours.http)
        write(server, end_ms)
        assert count(server, end_ms) == SERIES * SAMPLES
        folder = ours.faultline("backup").strip()
        assert os.path.isdir(folder), folder
        assert "matches its checksums" in ours.faultline("fsck")
        events = ours.api("/api/v1/events", limit=10)
        assert events["status"] == "success" and events["data"] == [], events
        status, body = server.get("/api/v1/query", query="kept_total", time=end_ms / 1000, timeout="30s")
        assert status == 200 and len(body["data"]["result"]) == SERIES

        store = os.path.join(ours.folder, "aggregator", "store")
        assert ours.stop("aggregator") == 0
        shutil.rmtree(store)
        shutil.move(folder, store)  # restore: the copy in the place of the store
        ours.start_aggregator()
        server = differential.Server("faultline", ours.http)
        assert count(server, end_ms) == SERIES * SAMPLES

        assert ours.stop("aggregator") == 0
        name = flip_a_byte(store)
        ours.start_aggregator()
        done = subprocess.run([os.path.join(ours.bin, "faultline"), "fsck"], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, FAULTLINE_SERVER=f"http://{ours.http}"))
        assert done.returncode == 1 and name in done.stdout, (name, done)
        assert ours.query("vector(1)")
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
