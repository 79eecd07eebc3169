#!/usr/bin/env python3
"""Log monitors of node-problem-detector, as published, run unchanged in a real agent over lines made from their own patterns: what it counts
per reason and which conditions it sets is what Python finds, which reads the same file by node-problem-detector's rules (the message
is the last group; a pattern matches to the end of the last bufferSize lines; a condition counts once). Files lie below another host root, the
kernel's log is a FIFO there, the journal is a real one. Prints a table; seeds are fixed."""
import fcntl
import json
import os
import pathlib
import random
import re
import re._parser as parser
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from log_load import collectors_off  # noqa: E402
from stack import Stack, get, skip, wait_until  # noqa: E402

CORPUS = pathlib.Path(os.environ.get("FAULTLINE_CORPUS", "/work/shared/data/corpus"))
EXAMPLES = 4
# Monitors of our own beside the published ones: several groups, skipList, no bufferSize.
OWN = {
    "own-stamped": {"plugin": "filelog", "logPath": "/var/log/own.log", "source": "own", "bufferSize": 0, "skipList": ["audit("],
                    "pluginConfig": {"timestamp": "^(\\S+) ", "message": "(unit|task)=\\d+ says (.*)", "timestampFormat": "2006-01-02T15:04:05Z07:00"},
                    "conditions": [{"type": "Stuck", "reason": "NotStuck", "message": "fine"}],
                    "rules": [{"type": "permanent", "condition": "Stuck", "reason": "IsStuck", "pattern": "no answer for \\d+ s"},
                              {"type": "temporary", "reason": "Retried", "pattern": "retr(y|ied) [0-9a-f]{4,8}( soon| now)?"}]},
    "own-kmsg": {"plugin": "kmsg", "source": "own-kernel", "conditions": [], "rules": [
        {"type": "temporary", "reason": "Lost", "pattern": "link [^:]+: lost \\d{1,3} frames"}]},
}


def compiled(pattern):
    """Go's flags may stand anywhere; Python wants them at the beginning."""
    return re.compile(pattern.replace("(?i)", ""), re.I if "(?i)" in pattern else 0)


class Writer:
    """Texts that a pattern matches."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, pattern, group_text=None):
        return self.of(parser.parse(compiled(pattern).pattern), group_text)

    def of(self, parsed, group_text):
        return "".join(self.one(op, value, group_text) for op, value in parsed)

    def char(self, items):
        negated = bool(items) and items[0][0] is parser.NEGATE
        letters = [chr(c) for c in range(32, 127) if self.within(chr(c), items) != negated]
        plain = [c for c in letters if c.isalnum()]
        return self.random.choice(plain or letters)

    @staticmethod
    def within(char, items):
        for op, value in items:
            if op is parser.LITERAL and ord(char) == value or op is parser.RANGE and value[0] <= ord(char) <= value[1]:
                return True
            if op is parser.CATEGORY:
                name = str(value)
                kind = char.isdigit() if "DIGIT" in name else char.isspace() if "SPACE" in name else char.isalnum() or char == "_"
                if kind != ("NOT" in name):
                    return True
        return False

    def one(self, op, value, group_text):
        if op is parser.LITERAL:
            return chr(value)
        if op is parser.NOT_LITERAL:
            return self.char([(parser.NEGATE, None), (parser.LITERAL, value)])
        if op is parser.ANY:
            return self.random.choice("abcxyz0123 ")
        if op is parser.IN:
            return self.char(value)
        if op in (parser.MAX_REPEAT, parser.MIN_REPEAT):
            low, high, inner = value
            return "".join(self.of(inner, None) for _ in range(self.random.randint(low, min(int(high), low + 3))))
        if op is parser.SUBPATTERN:
            return group_text if group_text is not None and value[0] is not None and value[0] == self.last else self.of(value[3], group_text)
        if op is parser.BRANCH:
            return self.of(self.random.choice(value[1]), group_text)
        assert op is parser.AT, op
        return ""

    last = 0


def messages(monitor, seed):
    """Examples of each rule, and texts that are nearly such."""
    writer, texts = Writer(seed), []
    for rule in monitor["rules"]:
        for _ in range(EXAMPLES):
            text = writer.text(rule["pattern"]).strip() or "x"
            at = writer.random.randrange(len(text))
            texts += [text, text + " and more", text[:at] + "#" + text[at + 1:], text[1:], "before " + text]
    texts += ["nothing of interest", "audit( " + texts[0]]
    writer.random.shuffle(texts)
    return texts


def line_of(monitor, message, seed):
    config = monitor.get("pluginConfig", {})
    if monitor["plugin"] != "filelog":
        return message
    layout = config["timestampFormat"]
    stamp = time.strftime("%b %e %H:%M:%S") if layout.startswith("Jan") else time.strftime("%Y-%m-%dT%H:%M:%S") + time.strftime("%z")[:3] + ":00"
    pattern = config["message"]
    writer = Writer(seed)
    writer.last = compiled(pattern).groups
    body = writer.text(pattern, message) if writer.last else message
    before = f'time="{stamp}" level=info ' if config["timestamp"].startswith("^time=") else stamp + " host "
    return before + body


def expected(monitor, lines):
    """What node-problem-detector makes of these lines: counts by reason, conditions that are set."""
    config, counts, conditions = monitor.get("pluginConfig", {}), {}, {}
    buffer = []
    for line in lines:
        if monitor["plugin"] == "filelog":
            found = compiled(config["message"]).search(line)
            if found is None or compiled(config["timestamp"]).search(line) is None:
                continue
            line = found.group(compiled(config["message"]).groups)
        buffer = (buffer + [line])[-(monitor.get("bufferSize") or 10):]
        if any(part in line for part in monitor.get("skipList", [])):
            continue
        for rule in monitor["rules"]:
            if re.search("(?:" + compiled(rule["pattern"]).pattern + r")\Z", "\n".join(buffer), compiled(rule["pattern"]).flags & re.I) is None:
                continue
            if rule["type"] == "permanent":
                if conditions.get(rule["condition"]) != rule["reason"]:
                    counts[rule["reason"]] = counts.get(rule["reason"], 0) + 1
                conditions[rule["condition"]] = rule["reason"]
            else:
                counts[rule["reason"]] = counts.get(rule["reason"], 0) + 1
    return counts, conditions


class Fifo:
    """The kernel's log as the agent sees it: one record a read."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        self.fd, self.sequence = os.open(path, os.O_RDWR), 100

    def write(self, lines):
        for line in lines:
            os.write(self.fd, f"6,{self.sequence},{time.monotonic_ns() // 1000},-;{line}\n".encode())
            self.sequence += 1
            wait_until("the record is read", 30, lambda: struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, b"\0" * 4))[0] == 0, 0.002)


class File:
    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.path = path

    def write(self, lines):
        with open(self.path, "a") as file:
            file.write("".join(line + "\n" for line in lines))


class Journal:
    def __init__(self, path, identifier):
        path.mkdir(parents=True, exist_ok=True)
        here = os.path.dirname(os.path.abspath(__file__))
        found = subprocess.run([os.path.join(here, "..", "support", "peers"), "journal-remote"], capture_output=True, text=True)
        self.missing = found.stderr.strip() if found.returncode else ""
        self.program, self.path, self.identifier = found.stdout.strip(), path / "remote.journal", identifier
        if not self.missing:
            self.write(["first"])  # the file is there when the agent begins

    def write(self, lines):
        root = self.program.split("/lib/systemd/")[0]
        environment = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu")
        entries = "".join(f"__REALTIME_TIMESTAMP={time.time_ns() // 1000 + i}\n__MONOTONIC_TIMESTAMP={time.monotonic_ns() // 1000 + i}\n"
                          f"_BOOT_ID={'0123456789abcdef' * 2}\nMESSAGE={line}\nPRIORITY=6\nSYSLOG_IDENTIFIER={self.identifier}\n"
                          f"_SYSTEMD_UNIT=other.service\n\n" for i, line in enumerate(lines))
        done = subprocess.run([self.program, "-o", str(self.path), "-"], input=entries, text=True, capture_output=True, env=environment, timeout=60)
        if done.returncode:
            self.missing = done.stderr.strip()[-200:]


def series(address):
    counts, gauges = {}, {}
    for line in get(f"http://{address}/metrics").decode().splitlines():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if line.startswith("problem_counter{"):
            counts[labels["reason"]] = int(float(line.split()[-1]))
        elif line.startswith("problem_gauge{"):
            gauges[labels["type"], labels["reason"]] = float(line.split()[-1])
    return counts, gauges


def run(stack, name, monitor, seed):
    root = pathlib.Path(stack.folder) / name / "root"
    root.mkdir(parents=True)
    (root.parent / "rules.json").write_text(json.dumps(monitor) if isinstance(monitor, dict) else monitor.read_text())
    monitor = json.loads((root.parent / "rules.json").read_text(), strict=False)
    settings = list(stack.agent_settings)
    if monitor["plugin"] == "kmsg":
        log = Fifo(root / "dev/kmsg")
    elif monitor["plugin"] == "filelog":
        log = File(root / monitor["logPath"].lstrip("/"))
    else:
        log = Journal(root / "journal", monitor["pluginConfig"]["source"])
        if log.missing:
            return f"left out: {log.missing}"
    journal = "false" if monitor["plugin"] != "journald" else "true"
    stack.agent_settings += [f"state_dir={root.parent}/state", f"host_root={root}", f"checks.rules=[{root.parent}/rules.json]",
                             f"logs.journal={journal}", "logs.journal_root=/journal"]
    if journal == "false":
        stack.agent_settings.append("logs.enabled=false")
    lines = [line_of(monitor, message, seed + i) for i, message in enumerate(messages(monitor, seed))]
    counts, conditions = expected(monitor, lines)
    reasons = {rule["reason"] for rule in monitor["rules"]}
    stack.start_agent()
    wait_until("the monitor is followed", 30, lambda: b"faultline_" in get(f"http://{stack.agent_http}/metrics"))
    log.write(lines)
    told = {}

    def settled():
        told["counts"], told["gauges"] = series(stack.agent_http)
        ours = {reason: count for reason, count in told["counts"].items() if reason in reasons}
        return ours == counts
    try:
        wait_until("counts", 20, settled, 0.2)
    except AssertionError:
        pass
    stack.stop("agent")
    stack.agent_settings = settings
    agreed, wrong = 0, []
    for reason in sorted(reasons):
        ours = told["counts"].get(reason, 0)
        if ours == counts.get(reason, 0):
            agreed += 1
        else:
            wrong.append(f"{name} {reason}: counted {ours}, node-problem-detector {counts.get(reason, 0)}")
    for condition, reason in conditions.items():
        if told["gauges"].get((condition, reason)) != 1:
            wrong.append(f"{name} condition {condition} is not set for {reason}: {told['gauges']}")
    return len(monitor["rules"]), len(lines), sum(counts.values()), agreed, wrong


def main():
    if not CORPUS.exists():
        skip(f"{CORPUS} is absent (set FAULTLINE_CORPUS)")
    cases = [(path.stem, path) for path in sorted((CORPUS / "npd" / "log").glob("*.json"))] + list(OWN.items())
    failures = []
    base = ["logs.kmsg=false", "probes.enabled=false", "faults.enabled=false", "containers.enabled=false", "processes.enabled=false",
            "checks.builtin.kernel_log.enabled=false", "logs.pods_root=/nonexistent", "logs.containers_root=/nonexistent",
            "logs.docker_roots=[/nonexistent]", *collectors_off()]
    print(f"{'monitor':48} {'rules':>5} {'lines':>5} {'found':>5} {'agreed':>6} {'differ':>6}")
    with Stack(agent_settings=base) as stack:
        stack.start_aggregator()
        for seed, (name, monitor) in enumerate(cases):
            result = run(stack, name, monitor, 1000 * seed)
            if isinstance(result, str):
                print(f"{name:48} {result}")
                continue
            rules, lines, found, agreed, wrong = result
            print(f"{name:48} {rules:5} {lines:5} {found:5} {agreed:6} {len(wrong):6}", flush=True)
            failures += wrong
    for failure in failures:
        print("FAIL", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
