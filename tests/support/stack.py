"""A real aggregator and real agents on loopback, in a temporary folder, on free ports; ended by pid on every way out."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request


def skip(reason):
    """Ends the test as skipped (ctest's SKIP_RETURN_CODE), saying why."""
    print(f"SKIPPED: {reason}")
    sys.exit(77)


def binaries():
    folder = os.environ.get("FAULTLINE_BIN")
    if not folder:
        here = os.path.dirname(os.path.abspath(__file__))
        folder = os.path.join(here, "..", "..", "build", "release", "bin")
    return os.path.abspath(folder)


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, seconds, condition, interval=0.05):
    """Polls `condition` until it is true and returns its value; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(interval)


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as reply:
        return reply.read()


class Stack:
    """with Stack() as stack: stack.start_aggregator(); stack.start_agent()"""

    def __init__(self, agent_settings=(), aggregator_settings=(), node="n1"):
        self.folder = tempfile.mkdtemp(prefix="faultline-test-")
        self.bin = binaries()
        self.node = node
        self.http = f"127.0.0.1:{free_port()}"
        self.ingest = f"tcp://127.0.0.1:{free_port()}"
        self.agent_http = f"127.0.0.1:{free_port()}"
        self.agent_settings = list(agent_settings)
        self.aggregator_settings = list(aggregator_settings)
        self.processes = {}
        self.keys = os.path.join(self.folder, "keys")

    def __enter__(self):
        self.faultline("keys", "init", "--dir", self.keys)
        self.faultline("keys", "add", self.node, "--dir", self.keys)
        return self

    def __exit__(self, kind, *_):
        for name in ("agent", "aggregator"):
            self.stop(name)
        self.end_guardians()
        if kind is not None:
            for name in ("aggregator", "agent"):
                path = os.path.join(self.folder, name + ".log")
                if os.path.exists(path):
                    print(f"---- {name}.log (tail)", file=sys.stderr)
                    with open(path) as log:
                        print("".join(log.readlines()[-25:]), file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_guardians(self):
        """Guardians outlive a killed agent on purpose; those of this folder are ours to end."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
                if b"faultline-guardian" in command and self.folder.encode() in command:
                    os.kill(int(pid), signal.SIGKILL)

    def faultline(self, *arguments, stdin=None, check=True):
        environment = dict(os.environ, FAULTLINE_SERVER=f"http://{self.http}")
        done = subprocess.run([os.path.join(self.bin, "faultline"), *arguments], input=stdin, text=True,
                              capture_output=True, env=environment, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"faultline {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def start(self, name, command):
        with open(os.path.join(self.folder, name + ".log"), "a") as log:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("FAULTLINE_")}
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                    env=environment)

    def start_aggregator(self, wait=True):
        settings = ["state_dir=" + os.path.join(self.folder, "aggregator"), "http.listen=" + self.http,
                    "ingest.listen=" + self.ingest, "security.keys=" + self.keys, *self.aggregator_settings]
        self.start("aggregator", [os.path.join(self.bin, "faultline-aggregator"), "--config", "/dev/null",
                                  *[a for s in settings for a in ("--set", s)]])
        if wait:
            self.wait_ready("aggregator", self.http)

    def start_agent(self, wait=True):
        settings = ["node=" + self.node, "state_dir=" + os.path.join(self.folder, "agent"),
                    "http.listen=" + self.agent_http, f"uplink.endpoint=[{self.ingest}]",
                    "security.keys=" + self.keys, *self.agent_settings]
        self.start("agent", [os.path.join(self.bin, "faultline-agent"), "--config", "/dev/null",
                             *[a for s in settings for a in ("--set", s)]])
        if wait:
            self.wait_ready("agent", self.agent_http)

    def wait_ready(self, name, address):
        def ready():
            if self.processes[name].poll() is not None:
                with open(os.path.join(self.folder, name + ".log")) as log:
                    raise AssertionError(f"{name} ended with {self.processes[name].returncode}: {log.read()[-800:]}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                return get(f"http://{address}/readyz", 2) is not None
            return False
        wait_until(f"{name} is ready", 30, ready)

    def kill(self, name, number=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(timeout=30)

    def stop(self, name):
        process = self.processes.pop(name, None)
        if process is None or process.poll() is not None:
            return None
        process.terminate()
        try:
            return process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def api(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        return json.loads(get(f"http://{self.http}{path}{query}", 60))

    def query(self, expression, **parameters):
        """Result vector of an instant query."""
        return self.api("/api/v1/query", query=expression, **parameters)["data"]["result"]

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None


class CriWriter:
    """Writes numbered CRI lines for one container, as a runtime does; every line has its own time stamp."""

    def __init__(self, pods_root, namespace="default", pod="writer", container="main"):
        self.folder = os.path.join(pods_root, f"{namespace}_{pod}_00000000-0000-0000-0000-000000000001", container)
        os.makedirs(self.folder, exist_ok=True)
        self.path = os.path.join(self.folder, "0.log")
        self.file = open(self.path, "a")
        self.next = 0
        self.last_ns = 0

    def write(self, count):
        lines = []
        for _ in range(count):
            now = max(time.time_ns(), self.last_ns + 1)
            self.last_ns = now
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"
            lines.append(f"{stamp} stdout F seq={self.next} payload={'x' * 80}\n")
            self.next += 1
        self.file.write("".join(lines))
        self.file.flush()

    def rotate(self):
        """As kubelet: rename, then the runtime opens a new file."""
        self.file.close()
        os.rename(self.path, f"{self.path}.{time.strftime('%Y%m%d-%H%M%S')}-{self.next}")
        self.file = open(self.path, "a")
