#!/usr/bin/env python3
"""Checks in the real agent: what they find is on its page, a cure clears it, a restart keeps it, new rule files come with SIGHUP, kill -9
leaves no program behind, bad files are named and do no harm."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.environ["FAULTLINE_SOURCE"], "tests", "support"))
from stack import free_port, wait_until  # noqa: E402

AGENT = os.path.join(os.environ["FAULTLINE_BIN"], "faultline-agent")


class Agent:
    def __init__(self, folder):
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.config = folder / "agent.yaml"
        self.config.write_text(f"""node: n1
state_dir: {folder}/state
http: {{listen: "{self.address}"}}
uplink: {{enabled: false}}
probes: {{enabled: false}}
faults: {{enabled: false}}
logs: {{enabled: false}}
checks:
  rules: ["{folder}/rules/*"]
  allowed_roots: ["{folder}/scripts"]
  builtin:
    reboot: {{enabled: false}}
    psi_cpu: {{interval: 1s, parameters: {{warn: "0", crit: "101"}}}}
""")
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([AGENT, "--config", str(self.config)], stderr=log)
        wait_until("the agent answers", 30, lambda: self.metrics() is not None)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(timeout=30)

    def metrics(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=5) as reply:
                return reply.read().decode()
        except OSError:
            return None

    def value(self, *parts):
        for line in (self.metrics() or "").splitlines():
            if not line.startswith("#") and all(part in line for part in parts):
                return float(line.split()[-1])
        return None

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


def script(path, body):
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)


def sleepers(mark):
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and mark in command_of(pid)]


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def main():
    with tempfile.TemporaryDirectory(prefix="faultline-checks-") as name:
        folder = pathlib.Path(name)
        (folder / "rules").mkdir()
        (folder / "scripts").mkdir()
        flag = folder / "flag"
        script(folder / "scripts/flag.sh", f'if [ -e {flag} ]; then echo "the flag is <b>up</b>"; exit 1; fi\n')
        script(folder / "scripts/hang.sh", f"sleep 321 & sleep 321; : {folder}\n")
        rule = "rules:\n- {{module: m, item: {0}, reason: {1}, file: {2}, interval: 1s, timeout: {3}}}\n"
        (folder / "rules/a.yaml").write_text(rule.format("flag", "FlagUp", folder / "scripts/flag.sh", "2s"))
        (folder / "rules/bad.yaml").write_text(rule.format("sh", "Sh", "/bin/sh", "2s"))
        agent = Agent(folder)
        agent.start()
        try:
            health = ('aegis_node_health_status{', 'item="flag"', 'condition="FlagUp"')
            wait_until("ok at first", 15, lambda: agent.value(*health) == 0)
            wait_until("a built-in check as configured", 15,
                       lambda: (agent.value('aegis_node_health_status{', 'item="psi_cpu"') or 0) == 1 or
                       "CpuPressure" not in (agent.metrics() or ""))
            assert agent.value('item="reboot"') is None, "a check that is off has no series"
            assert f"{folder}/rules/bad.yaml:2:" in agent.log() and "outside checks.allowed_roots" in agent.log(), agent.log()
            flag.touch()
            wait_until("the condition appears", 10, lambda: agent.value(*health) == 1)
            assert agent.value('problem_gauge{', 'type="FlagUp"') == 1
            assert agent.value('problem_counter{', 'reason="FlagUp"') == 1
            assert "<b>" not in agent.metrics(), "what a script prints is no label"
            agent.end()
            agent.start()
            wait_until("it is there after a restart", 15, lambda: agent.value(*health) == 1)
            flag.unlink()
            wait_until("it clears", 10, lambda: agent.value(*health) == 0)
            assert agent.value('problem_gauge{', 'type="FlagUp"') == 0

            (folder / "rules/b.yaml").write_text(rule.format("hang", "Hangs", folder / "scripts/hang.sh", "60s"))
            agent.process.send_signal(signal.SIGHUP)
            wait_until("new rules run", 15, lambda: len(sleepers(str(folder / "scripts/hang.sh"))) > 0)
            agent.end(signal.SIGKILL)
            wait_until("nothing is left of a killed agent's checks", 10,
                       lambda: not sleepers(str(folder / "scripts/hang.sh")) and not sleepers(f"faultline-checks-{agent.process.pid}"))
        finally:
            if agent.process.poll() is None:
                agent.end(signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
