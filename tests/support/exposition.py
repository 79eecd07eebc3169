"""Prometheus' text format and small servers, as the end-to-end tests and benches need them."""
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPE = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def parse(text):
    """Returns (types, samples): family -> type, and (name, sorted labels) -> value. Empty labels are no labels."""
    types, samples = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            types[name] = kind
        elif line and not line.startswith("#"):
            match = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$", line)
            if not match:
                raise ValueError("not a sample: " + line)
            name, labels, value = match.groups()
            pairs = []
            for key, raw in _LABEL.findall(labels or ""):
                pairs.append((key, re.sub(r'\\[\\n"]', lambda m: _ESCAPE[m.group()], raw)))
            samples[(name, tuple(sorted(p for p in pairs if p[1] != "")))] = float(value)
    return types, samples


def family(name, types):
    """The family a series belongs to."""
    for suffix in ("_bucket", "_sum", "_count"):
        stem = name[: -len(suffix)] if name.endswith(suffix) else ""
        if types.get(stem) in ("histogram", "summary"):
            return stem
    return name


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as reply:
        return reply.read().decode()


class Server:
    """A program that serves HTTP on a loopback port; ended by its own pid."""

    def __init__(self, arguments, url, log_path, deadline_s=20, env=None):
        self.url = url
        self.log_path = log_path
        self.log = open(log_path, "wb")
        if env is None:  # ours are settings to the programs, and these are the tests' own
            env = {key: value for key, value in os.environ.items() if not key.startswith("FAULTLINE_")}
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log, env=env)
        deadline = time.monotonic() + deadline_s
        while True:
            try:
                get(url, 5)
                return
            except (urllib.error.URLError, OSError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    with open(log_path, encoding="utf-8", errors="replace") as log:
                        raise RuntimeError(f"{arguments[0]} does not serve {url}: {error}\n{log.read()}") from error
                time.sleep(0.05)

    def scrape(self):
        return get(self.url)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def pss_bytes(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
