#!/usr/bin/env python3
"""Our store beside Debian's VictoriaMetrics 1.79 and Prometheus 2.42: the same samples by remote write, request by
request in turn, then the same dashboard queries in turn. Prints CPU per million samples, memory per series, bytes per
sample and query times of each; asserts nothing. Needs `ninja -C build/release bench faultline-aggregator`.

  tests/bench/store_peers_bench.py load  [--capture FILE] [--nodes 20] [--hours 24] [--interval 15] [--queries 1]
  tests/bench/store_peers_bench.py ingest [--nodes 20] [--steps 200]       one scrape of one node per request
  tests/bench/store_peers_bench.py growth [--series 1000,10000,100000]     memory and CPU by number of series

A capture is made from a node_exporter: tests/bench/store_peers_bench.py capture --capture FILE [--seconds 600]
"""
import argparse
import contextlib
import http.client
import importlib.util
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "support")]
import stack

spec = importlib.util.spec_from_file_location("differential", TESTS / "e2e/promql_differential_test.py")
differential = importlib.util.module_from_spec(spec)
spec.loader.exec_module(differential)

# Twenty panels as dashboards of node_exporter have them; every one is asked over the last hour and over all hours.
QUERIES = [
    'node_load1{instance="node-1:9100"}',
    '100 - avg(rate(node_cpu_seconds_total{instance="node-1:9100",mode="idle"}[5m])) * 100',
    'sum by (mode) (rate(node_cpu_seconds_total{instance="node-1:9100"}[5m]))',
    'node_memory_MemAvailable_bytes{instance="node-1:9100"} / node_memory_MemTotal_bytes{instance="node-1:9100"}',
    'rate(node_disk_read_bytes_total{instance="node-1:9100"}[5m])',
    'rate(node_network_receive_bytes_total{instance="node-1:9100",device!="lo"}[5m]) * 8',
    'node_filesystem_avail_bytes{instance="node-1:9100"} / node_filesystem_size_bytes{instance="node-1:9100"}',
    'max_over_time(node_load5{instance="node-1:9100"}[10m])',
    'irate(node_context_switches_total{instance="node-1:9100"}[5m])',
    'node_load1',
    'avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))',
    'topk(5, sum by (instance) (rate(node_disk_io_time_seconds_total[5m])))',
    'sum(rate(node_network_transmit_bytes_total[5m])) by (instance)',
    'quantile(0.9, node_memory_MemFree_bytes)',
    'count(node_load1 > 1)',
    'sum(increase(node_vmstat_pgfault[1h]))',
    'avg_over_time(node_procs_running[5m])',
    'sum by (instance) (node_filesystem_size_bytes - node_filesystem_free_bytes)',
    'sum by (instance, __name__) (last_over_time({__name__=~"node_netstat_.+"}[5m]))',
    'count({__name__=~"node_.+"}) by (instance)',
]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024


def disk_bytes(folder):
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_size
    return total


def program(name):
    found = subprocess.run([TESTS / "support/peers", name], capture_output=True, text=True)
    if found.returncode != 0:
        stack.skip(found.stderr.strip())
    return found.stdout.strip()


class Peer:
    def __init__(self, name, pid, address, data, settle=None):
        self.name, self.pid, self.address, self.data, self.settle = name, pid, address, data, settle
        self.server = differential.Server(name, address)

    def post(self, path):
        return self.server.request("POST", path)


@contextlib.contextmanager
def peers(folder, wanted):
    with contextlib.ExitStack() as cleanup:
        found = []
        if "faultline" in wanted:
            ours = cleanup.enter_context(stack.Stack(aggregator_settings=["store.retention=15d"]))
            ours.start_aggregator()
            found.append(Peer("faultline", ours.processes["aggregator"].pid, ours.http, f"{ours.folder}/aggregator/store"))
        for name, start in (("victoria", start_victoria), ("prometheus", start_prometheus)):
            if name not in wanted:
                continue
            process, peer = start(folder)
            cleanup.callback(lambda p=process: (p.terminate(), p.wait(60)))
            differential.wait_ready(peer.address, process)
            found.append(peer)
        yield found


def start_victoria(folder):
    address = f"127.0.0.1:{stack.free_port()}"
    with open(folder / "victoria.log", "w") as log:
        process = subprocess.Popen(
            [program("victoria_metrics"), f"-storageDataPath={folder}/victoria", f"-httpListenAddr={address}",
             "-retentionPeriod=1", "-search.latencyOffset=0s", "-search.disableCache"], stdout=log, stderr=log)
    return process, Peer("victoria", process.pid, address, folder / "victoria")


def start_prometheus(folder):
    address = f"127.0.0.1:{stack.free_port()}"
    (folder / "prometheus.yml").write_text("global: {}\n")
    with open(folder / "prometheus.log", "w") as log:
        process = subprocess.Popen(
            [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus",
             f"--web.listen-address={address}", "--web.enable-remote-write-receiver", "--web.enable-admin-api"],
            stdout=log, stderr=log, cwd=folder)
    return process, Peer("prometheus", process.pid, address, folder / "prometheus")


def send(found, source, nodes, interval, begin_ms, steps, per_request, connections=8):
    """Returns samples and the CPU seconds that each server spent."""
    before = {peer.name: cpu_seconds(peer.pid) for peer in found}
    load = TESTS.parent / "build/release/bin/store_load_bench"
    arguments = [str(a) for a in (load, *source, nodes, interval, begin_ms, steps, per_request, connections)]
    done = subprocess.run([*arguments, *[peer.address for peer in found]], capture_output=True, text=True)
    print(done.stdout.rstrip(), done.stderr.rstrip(), sep="\n" if done.stderr else "")
    series, samples = (int(word) for word in done.stdout.split()[0:3:2])
    return series, samples, {peer.name: cpu_seconds(peer.pid) - before[peer.name] for peer in found}


def settle(found, seconds, quiet=15):
    """Lets background work begin and end: until nobody has spent CPU for `quiet` seconds, or the time is over."""
    begin = busy = time.monotonic()
    last = [cpu_seconds(peer.pid) for peer in found]
    while time.monotonic() < min(begin + seconds, busy + quiet):
        time.sleep(1)
        now = [cpu_seconds(peer.pid) for peer in found]
        if any(a - b > 0.05 for a, b in zip(now, last)):
            busy = time.monotonic()
        last = now


def print_bytes(found, samples):
    for peer in found:
        if peer.name == "victoria":
            peer.server.request("GET", "/internal/force_flush")
    print(f"{'bytes per sample':28} " + "  ".join(f"{p.name} {disk_bytes(p.data) / samples:.3f}" for p in found))
    for peer in found:
        if peer.name == "victoria":
            peer.server.request("GET", "/internal/force_merge")
            settle([peer], 60, 6)
            print(f"{'  after force_merge':28} victoria {disk_bytes(peer.data) / samples:.3f}")
        if peer.name == "prometheus":
            peer.server.request("POST", "/api/v1/admin/tsdb/snapshot")
            print(f"{'  as blocks (snapshot)':28} prometheus {disk_bytes(peer.data / 'snapshots') / samples:.3f}")


def print_parts(found, samples):
    """Ours by kind of file: tables, write-ahead log, the rest."""
    for peer in found:
        if peer.name == "faultline":
            parts = {}
            for path in pathlib.Path(peer.data).rglob("*"):
                with contextlib.suppress(OSError):
                    kind = path.suffix if path.suffix in (".sst", ".log") else "other"
                    parts[kind] = parts.get(kind, 0) + path.stat().st_size
            print(f"{'  ours by kind of file':28} " + "  ".join(f"{k} {v / samples:.3f}" for k, v in sorted(parts.items())))


def ask(peer, query, start, end, step):
    cpu, begin = cpu_seconds(peer.pid), time.monotonic()
    status, body = peer.server.get("/api/v1/query_range", query=query, start=start, end=end, step=step, nocache=1)
    wall = time.monotonic() - begin
    assert status == 200, (peer.name, query, status, body)
    return 1000 * wall, 1000 * (cpu_seconds(peer.pid) - cpu), len(body["data"]["result"])


def print_queries(found, end, hours, rounds):
    for window in sorted({1, hours}):
        step = max(15, window * 3600 // 240 // 15 * 15)
        walls = {peer.name: [] for peer in found}
        print(f"queries over {window} h, step {step} s, {rounds} rounds: median ms (CPU ms)")
        for query in QUERIES:
            mine = {peer.name: [] for peer in found}
            cpu = {peer.name: [] for peer in found}
            series = {}
            for turn in range(rounds):
                for peer in found[turn % len(found):] + found[:turn % len(found)]:
                    ms, cpu_ms, series[peer.name] = ask(peer, query, end - window * 3600, end, step)
                    mine[peer.name].append(ms)
                    cpu[peer.name].append(cpu_ms)
            for name, values in mine.items():
                walls[name].append(statistics.median(values))
            print(f"  {query[:72]:72} " + " ".join(
                f"{p.name[:5]} {statistics.median(mine[p.name]):8.1f} ({statistics.mean(cpu[p.name]):6.0f}) {series[p.name]:4}" for p in found))
        for peer in found:
            ordered = sorted(walls[peer.name])
            print(f"  {peer.name:12} p50 {statistics.median(ordered):8.1f} ms   worst of 20 {ordered[-1]:8.1f} ms   sum {sum(ordered):8.1f} ms")


def load(options):
    steps = options.hours * 3600 // options.interval
    end = int(time.time()) // 60 * 60
    begin_ms = (end - steps * options.interval) * 1000
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name, peers(pathlib.Path(name), options.peers) as found:
        series, samples, cpu = send(found, ("capture", options.capture), options.nodes, options.interval, begin_ms, steps, 20)
        settle(found, 120)
        print_parts(found, samples)
        print(f"{series} series, {samples} samples in requests of 20 scrapes")
        print(f"{'CPU-s per million samples':28} " + "  ".join(f"{p.name} {1e6 * cpu[p.name] / samples:.3f}" for p in found))
        print_bytes(found, samples)
        if options.queries:
            print_queries(found, end, options.hours, options.rounds)


def ingest(options):
    begin_ms = (int(time.time()) - options.steps * options.interval) * 1000
    source = ("capture", options.capture)
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name, peers(pathlib.Path(name), options.peers) as found:
        send(found, source, options.nodes, options.interval, begin_ms, 10, 1)  # series are known after this
        series, samples, cpu = send(found, source, options.nodes, options.interval, begin_ms + 10 * options.interval * 1000,
                                    options.steps - 10, 1)
        rates = {p.name: samples / cpu[p.name] / 1e6 for p in found}
        print(f"{'M samples per CPU-second':28} " + "  ".join(f"{name} {rate:.2f}" for name, rate in rates.items()))
        for peer in found[1:]:
            print(f"faultline / {peer.name}: {rates['faultline'] / rates[peer.name]:.2f}")


def growth(options):
    """Per number of series: at least two million samples after the first of each, so that a tick of the CPU clock is no share of it."""
    begin_ms, rows = (int(time.time()) - 3600) * 1000, []
    for total in options.series:
        per_node = min(125, total // 8)  # of one request: eight are under way, whatever the number of series
        scrapes = max(options.scrapes, 2_000_000 // total)
        with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name, peers(pathlib.Path(name), options.peers) as found:
            empty = {p.name: pss_bytes(p.pid) for p in found}
            series, samples, first = send(found, ("synthetic", per_node), total // per_node, 1, begin_ms, 1, 1)
            _, more, cpu = send(found, ("synthetic", per_node), total // per_node, 1, begin_ms + 1000, scrapes, 1)
            for p in found:
                per_million = 1e6 * cpu[p.name] / more
                rows.append((p.name, series, per_million))
                print(f"{series:8} series {p.name:12} first sample of each {first[p.name]:6.2f} CPU-s, then "
                      f"{per_million:6.3f} CPU-s per million, {(pss_bytes(p.pid) - empty[p.name]) / series:6.0f} B PSS per series")
    most = max(value for _, _, value in rows)
    print("\nCPU-s per million samples")
    for name in options.peers:
        mine = [(series, value) for one, series, value in rows if one == name]
        middle = statistics.median(value for _, value in mine)
        for series, value in mine:
            print(f"{name:12} {series:8} {'#' * max(1, round(60 * value / most)):60} {value:.3f}  {100 * (value / middle - 1):+.0f} % of the median")


def capture(options):
    address = f"127.0.0.1:{stack.free_port()}"
    exporter = subprocess.Popen([program("node_exporter"), f"--web.listen-address={address}", "--web.disable-exporter-metrics"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        with open(options.capture, "w") as out:
            for second in range(options.seconds):
                connection = http.client.HTTPConnection(address, timeout=5)
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
                connection.close()
                out.write(f"T {int(time.time() * 1000)}\n")
                out.writelines(line + "\n" for line in text.splitlines() if line and not line.startswith("#"))
                time.sleep(1)
    finally:
        exporter.terminate()
        exporter.wait()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["load", "ingest", "growth", "capture"])
    arguments.add_argument("--capture", default="/tmp/faultline-node.capture")
    arguments.add_argument("--seconds", type=int, default=600)
    arguments.add_argument("--nodes", type=int, default=20)
    arguments.add_argument("--hours", type=int, default=24)
    arguments.add_argument("--interval", type=int, default=15)
    arguments.add_argument("--steps", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--queries", type=int, default=1)
    arguments.add_argument("--scrapes", type=int, default=20)
    arguments.add_argument("--series", type=lambda text: [int(n) for n in text.split(",")], default=[1000, 10000, 100000])
    arguments.add_argument("--peers", type=lambda text: text.split(","), default=["faultline", "victoria", "prometheus"])
    options = arguments.parse_args()
    {"load": load, "ingest": ingest, "growth": growth, "capture": capture}[options.what](options)


if __name__ == "__main__":
    main()
