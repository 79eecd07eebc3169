#!/usr/bin/env python3
"""The agent alone: its pages, a bad configuration, SIGHUP, kill -9 with a spool that is still there, SIGTERM."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

AGENT = os.path.join(os.environ["FAULTLINE_BIN"], "faultline-agent")


class Agent:
    def __init__(self, folder):
        self.config = os.path.join(folder, "agent.yaml")
        self.folder = folder
        self.process = None
        self.address = None

    def write(self, text):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        begin = log.tell()
        self.process = subprocess.Popen(
            [AGENT, "--config", self.config, "--set", f"state_dir={self.folder}/state", "--set",
             "http.listen=127.0.0.1:0", "--set", "uplink.endpoint=[tcp://127.0.0.1:1]", "--set", "probes.enabled=false",
             "--set", "faults.enabled=false"], stderr=log)
        line = self.await_log("http on ", begin)
        self.address = line.split("http on ")[1].strip()
        wait("ready", lambda: self.get("/readyz") is not None)

    def read_log(self, begin=0):
        with open(os.path.join(self.folder, "log"), "rb") as file:
            file.seek(begin)
            return file.read().decode(errors="replace")

    def log_size(self):
        return os.path.getsize(os.path.join(self.folder, "log"))

    def await_log(self, text, begin):
        return wait(text, lambda: next((line for line in self.read_log(begin).splitlines() if text in line), None))

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as reply:
                return reply.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return None

    def metric(self, name):
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return None

    def leaf(self, name):
        return next(leaf for leaf in json.loads(self.get("/debug/leaves"))["leaves"] if leaf["name"] == name)


def wait(what, ready, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = ready()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for: {what}")


def check_command_line():
    run = lambda *arguments: subprocess.run([AGENT, *arguments], capture_output=True, text=True, timeout=60)  # noqa: E731
    assert run("--version").returncode == 0
    assert "loadavg" in run("--list").stdout
    assert run("--nonsense").returncode == 2
    assert run("--set", "collect.period=-1s", "--check-config").returncode == 2
    bad = run("--set", "collectors.loadavgg.enabled=false", "--set", "state_dir=/nonexistent")
    assert bad.returncode == 2 and "loadavgg" in bad.stderr, bad.stderr
    once = run("--once", "--print", "--only", "loadavg")
    names = [json.loads(line)["name"] for line in once.stdout.splitlines()]
    assert once.returncode == 0 and "node_load1" in names, once
    assert run("--once", "--print", "--only", "nobody").returncode == 1


def check_life(agent):
    agent.write("collect: {period: 200ms}\n")
    agent.start()
    wait("spooled records", lambda: (agent.metric("faultline_agent_spool_records") or 0) > 100)
    assert agent.get("/healthz") == "ok\n"
    assert "# TYPE node_load1 gauge" in agent.get("/metrics")
    assert agent.get("/nowhere") is None
    assert agent.leaf("loadavg")["success"]

    begin = agent.log_size()
    agent.write("collect: {period: 200ms}\ncollectors: {loadavg: {enabled: 3}}\n")
    agent.process.send_signal(signal.SIGHUP)
    agent.await_log("the old configuration stays", begin)
    assert agent.leaf("loadavg")["running"]
    agent.write("collect: {period: 200ms}\ncollectors: {loadavg: {enabled: false}}\n")
    agent.process.send_signal(signal.SIGHUP)
    wait("loadavg off", lambda: not agent.leaf("loadavg")["running"])
    assert "node_load1 " not in agent.get("/metrics")

    before = wait("own metrics", lambda: agent.metric("faultline_agent_spool_batches"))
    agent.process.kill()
    agent.process.wait(10)
    agent.start()
    wait("the spool of before", lambda: (agent.metric("faultline_agent_spool_batches") or 0) >= before)
    agent.process.terminate()
    assert agent.process.wait(20) == 0


def main():
    check_command_line()
    folder = tempfile.mkdtemp(prefix="faultline_agent_")
    agent = Agent(folder)
    try:
        check_life(agent)
    except BaseException:
        sys.stderr.write(agent.read_log() if os.path.exists(os.path.join(folder, "log")) else "")
        raise
    finally:
        if agent.process is not None and agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait()
        shutil.rmtree(folder)
    print("ok")


if __name__ == "__main__":
    main()
