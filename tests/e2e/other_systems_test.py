#!/usr/bin/env python3
"""Other systems that speak Prometheus' protocols, the real programs: Prometheus and vmagent write to us; Prometheus reads
from us and federates us; we write to Prometheus and VictoriaMetrics, also after they were away; promtool asks and checks;
Grafana's questions are answered in the shapes that it parses. What cannot be had here is left out, by name."""
import base64
import contextlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "e2e")]
import promql_differential_test as remote
import stack


def peer(name):
    found = subprocess.run([TESTS / "support/peers", name], capture_output=True, text=True)
    if found.returncode != 0:
        print(f"{name} is left out: {found.stderr.strip()}")
        return None
    return pathlib.Path(found.stdout.strip())


class Peers:
    """Programs that end with the test."""

    def __init__(self, folder):
        self.folder, self.running = pathlib.Path(folder), {}

    def start(self, name, command):
        log = open(self.folder / f"{name}.log", "a")
        self.running[name] = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, cwd=self.folder)

    def end(self, name):
        process = self.running.pop(name)
        process.terminate()
        process.wait(30)

    def prometheus(self, name, port, config, *flags):
        (self.folder / f"{name}.yml").write_text(config)
        self.start(name, [peer("prometheus"), f"--config.file={name}.yml", f"--storage.tsdb.path={name}-data",
                          f"--web.listen-address=127.0.0.1:{port}", *flags])
        stack.wait_until(f"{name} is ready", 60, lambda: ready(f"http://127.0.0.1:{port}/-/ready"))

    def victoria(self, port):
        self.start("victoria", [peer("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}", "-storageDataPath=vm-data", "-loggerLevel=ERROR"])
        stack.wait_until("victoria-metrics is ready", 60, lambda: ready(f"http://127.0.0.1:{port}/health"))


def ready(url):
    with contextlib.suppress(OSError, urllib.error.URLError):
        return stack.get(url, 2) is not None
    return False


def ask(port, expression, **parameters):
    query = urllib.parse.urlencode(dict(parameters, query=expression))
    return json.loads(stack.get(f"http://127.0.0.1:{port}/api/v1/query?{query}"))["data"]["result"]


def value_at(port, expression):
    with contextlib.suppress(OSError):
        result = ask(port, expression)
        return float(result[0]["value"][1]) if result else None
    return None


def check_into_us(s, peers):
    """A Prometheus that scrapes itself writes to us; so does vmagent."""
    port = stack.free_port()
    peers.prometheus("writer", port, f"""
global: {{scrape_interval: 500ms, external_labels: {{from: prometheus}}}}
scrape_configs: [{{job_name: itself, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]
remote_write: [{{url: 'http://{s.http}/api/v1/write', queue_config: {{batch_send_deadline: 200ms}}, metadata_config: {{send_interval: 1s}}}}]
""")
    stack.wait_until("Prometheus' samples", 60, lambda: s.value('up{job="itself", from="prometheus"}') == 1)
    stack.wait_until("a rate of them", 60, lambda: s.query('rate(prometheus_http_requests_total{from="prometheus"}[1m])'))
    stack.wait_until("their metadata", 60, lambda: s.api("/api/v1/metadata", metric="go_goroutines")["data"].get("go_goroutines"))
    if peer("vmagent"):
        (peers.folder / "vmagent.yml").write_text(f"""
global: {{scrape_interval: 1s, external_labels: {{from: vmagent}}}}
scrape_configs: [{{job_name: aggregator, static_configs: [{{targets: ['{s.http}']}}]}}]
""")
        vmagent = stack.free_port()
        peers.start("vmagent", [peer("vmagent"), "-promscrape.config=vmagent.yml", f"-remoteWrite.url=http://{s.http}/api/v1/write",
                                "-remoteWrite.tmpDataPath=vmagent-data", f"-httpListenAddr=127.0.0.1:{vmagent}", "-remoteWrite.flushInterval=500ms"])
        stack.wait_until("vmagent's samples", 60, lambda: s.value('up{job="aggregator", from="vmagent"}') == 1)
        assert s.query('faultline_store_series{from="vmagent"}')
        peers.end("vmagent")
    peers.end("writer")


def check_reads(s, peers):
    """A Prometheus without data of its own reads through us; another federates us."""
    now = int(time.time())
    samples = [((now - 600 + i * 15) * 1000, float(i)) for i in range(40)]
    remote.Server("faultline", s.http).write([({"__name__": "read_me", "part": p}, samples) for p in ("a", "b")])
    port = stack.free_port()
    peers.prometheus("reader", port, f"""
global: {{scrape_interval: 500ms}}
remote_read: [{{url: 'http://{s.http}/api/v1/read', read_recent: true}}]
scrape_configs:
- {{job_name: federate, honor_labels: true, metrics_path: /federate, params: {{'match[]': ['{{__name__=~"read_me|nothing"}}', 'faultline_nodes']}},
   static_configs: [{{targets: ['{s.http}']}}]}}
""")
    for expression in ("read_me", "sum(rate(read_me[5m]))", "count_over_time(read_me[10m])", 'read_me{part!~"a"}', "max by (part) (read_me offset 5m)"):
        here, there = s.query(expression, time=now - 30), ask(port, expression, time=now - 30)
        assert here and sorted(map(str, here)) == sorted(map(str, there)), (expression, here, there)
    stack.wait_until("federated samples", 60, lambda: value_at(port, 'up{job="federate"}') == 1)
    text = stack.get(f"http://{s.http}/federate?match[]=read_me").decode()
    assert text.startswith("# TYPE read_me untyped\n") and f'read_me{{part="a"}} 39 {samples[-1][0]}\n' in text, text
    promtool = peer("prometheus").with_name("promtool")
    for page in (text, stack.get(f"http://{s.http}/metrics").decode()):
        done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True)
        assert "error while linting" not in done.stderr and (done.returncode == 0 or page == text), done.stderr[:2000]
    peers.end("reader")


def check_out_of_us(peers):
    """What we store goes on to both, also what came while they were away, in order and without gaps."""
    ports = {"receiver": stack.free_port(), "victoria": stack.free_port()}
    endpoints = [f"http://127.0.0.1:{ports['receiver']}/api/v1/write"]
    if peer("victoria-metrics"):
        endpoints.append(f"http://127.0.0.1:{ports['victoria']}/api/v1/write")
    settings = [f"remote_write.endpoint=[{','.join(endpoints)}]", "remote_write.batch_deadline=200ms"]
    with stack.Stack(aggregator_settings=settings) as s:
        s.start_aggregator()
        write = remote.Server("faultline", s.http)
        start = int(time.time()) - 120
        write.write([({"__name__": "passed_on", "n": str(n)}, [((start + i) * 1000, float(i)) for i in range(60)]) for n in range(100)])
        peers.prometheus("receiver", ports["receiver"], "global: {}\n", "--web.enable-remote-write-receiver")
        if len(endpoints) > 1:
            peers.victoria(ports["victoria"])
        write.write([({"__name__": "passed_on", "n": str(n)}, [((start + i) * 1000, float(i)) for i in range(60, 120)]) for n in range(100)])
        for name, port in list(ports.items())[:len(endpoints)]:
            stack.wait_until(f"{name} has all", 60, lambda p=port: value_at(p, "sum(count_over_time(passed_on[1h]))") == 12000)
            assert value_at(port, "count(passed_on)") == 100 and value_at(port, "max(max_over_time(passed_on[1h]))") == 119
        metrics = stack.get(f"http://{s.http}/metrics").decode()
        assert "faultline_remote_write_retried_requests_total" in metrics
    for name in list(ports)[:len(endpoints)]:
        peers.end(name)


def tail(s, query, write_more):
    """Loki's tail over a WebSocket, by hand: lines that are there, then one that comes."""
    host, port = s.http.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall((f"GET /loki/api/v1/tail?query={urllib.parse.quote(query)}&limit=10 HTTP/1.1\r\nHost: {s.http}\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n").encode())
        stream = connection.makefile("rb")
        assert b"101" in stream.readline()
        while stream.readline().strip():
            pass

        def message():
            first, second = stream.read(2)
            size = second & 127
            size = struct.unpack(">H", stream.read(2))[0] if size == 126 else struct.unpack(">Q", stream.read(8))[0] if size == 127 else size
            assert first == 0x81, first
            return [v[1] for e in json.loads(stream.read(size))["streams"] for v in e["values"]]

        before = message()
        write_more()
        return before, message()


def push(s, lines, labels=None):
    body = {"streams": [{"stream": labels or {"app": "tailed"}, "values": [[str(time.time_ns() + i), line] for i, line in enumerate(lines)]}]}
    request = urllib.request.Request(f"http://{s.http}/loki/api/v1/push", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def check_grafana(s):
    """What Grafana's data sources ask to say that they work, and what their pages ask first."""
    assert s.query("1+1") is not None and s.api("/api/v1/status/buildinfo")["data"]["version"].startswith("2.")
    assert s.api("/api/v1/query_exemplars", query="up", start=1, end=2)["data"] == []
    assert s.api("/api/v1/targets")["data"]["droppedTargets"] == [] and s.api("/api/v1/rules")["data"]["groups"] == []
    assert s.api("/api/v1/status/flags")["status"] == "success" and "timeSeriesCount" in s.api("/api/v1/status/runtimeinfo")["data"]
    assert s.api("/loki/api/v1/query", query="vector(1)+vector(1)")["data"]["result"][0]["value"][1] == "2"
    assert s.api("/loki/api/v1/labels")["status"] == "success" and "version" in s.api("/loki/api/v1/status/buildinfo")
    push(s, ["first", "second"])
    assert s.api("/loki/api/v1/index/stats", query='{app="tailed"}')["streams"] == 1
    assert {"label": "app", "cardinality": 1} in s.api("/loki/api/v1/detected_labels", query='{app="tailed"}')["detectedLabels"]
    push(s, [f"user {n} logged in" for n in range(9)], {"app": "patterns"})
    patterns = s.api("/loki/api/v1/patterns", query='{app="patterns"}')["data"]
    assert patterns[0]["pattern"] == "user <_> logged in" and sum(count for _, count in patterns[0]["samples"]) == 9, patterns
    before, after = tail(s, '{app="tailed"} |~ "first|third"', lambda: push(s, ["third", "fourth"]))
    assert before == ["first"] and after == ["third"], (before, after)
    assert stack.get(f"http://{s.http}/api/echo") == b"echo" and s.api("/api/services")["data"] == []


if peer("prometheus") is None:
    stack.skip("Prometheus cannot be had here")
with tempfile.TemporaryDirectory(prefix="faultline-peers-") as folder:
    peers = Peers(folder)
    try:
        with stack.Stack() as s:
            s.start_aggregator()
            check_grafana(s)
            check_into_us(s, peers)
            check_reads(s, peers)
        check_out_of_us(peers)
    finally:
        for name in list(peers.running):
            peers.end(name)
print("ok")
