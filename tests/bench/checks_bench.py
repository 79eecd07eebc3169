#!/usr/bin/env python3
"""What the checks cost: all built-in checks at their default intervals, and a flood of log lines with rules over them.
checks_bench.py [SECONDS of the cost] [SECONDS of the flood] [SECONDS of a
flood through /dev/kmsg, which everybody on this machine sees; default none]. Prints CPU time, asserts nothing."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("FAULTLINE_BIN", str(pathlib.Path(__file__).parents[2] / "build/release/bin"))
RATE = 10_000


def cost(seconds):
    done = subprocess.run([f"{BIN}/check_once", "/nonexistent", "", "*", str(seconds)], capture_output=True, text=True)
    print("built-in checks:", done.stdout.strip())


def flood(seconds):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        log = folder / "flood.log"
        log.write_text("")
        patterns = {f"Rule{i}": f"subsystem{i}: failure \\d+ of device \\S+ \\(code \\w+\\)" for i in range(30)}
        rules = [{"type": "temporary", "reason": reason, "pattern": pattern} for reason, pattern in patterns.items()]
        rules.append({"type": "permanent", "condition": "Critical", "reason": "Found", "pattern": "the critical line"})
        (folder / "flood.json").write_text(json.dumps({
            "plugin": "filelog", "logPath": str(log), "source": "flood", "lookback": "0", "rules": rules,
            "conditions": [{"type": "Critical", "reason": "No", "message": "none"}]}))
        ours = subprocess.Popen([f"{BIN}/check_once", "/nonexistent", str(folder / "flood.json"), "*", str(seconds + 3)],
                                stdout=subprocess.PIPE, text=True)
        time.sleep(1.5)
        said = {}
        with log.open("a") as out:
            begin = time.monotonic()
            for tick in range(seconds * 20):
                lines = [f"eth0: packet {tick}-{i} from 10.0.0.{i % 250} passed without any trouble at all" for i in range(RATE // 20)]
                if tick % 10 == 3:
                    reason = f"Rule{tick // 10 % 30}"
                    lines[77] = f"subsystem{tick // 10 % 30}: failure {tick} of device sda (code abc)"
                    said[reason] = said.get(reason, 0) + 1
                if tick == seconds * 10:
                    lines[99] = "the critical line"
                out.write("\n".join(lines) + "\n")
                out.flush()
                time.sleep(max(0.0, begin + (tick + 1) / 20 - time.monotonic()))
        text = ours.communicate()[0]
        told = {}
        critical = False
        summary = ""
        for line in text.splitlines():
            if not line.startswith("{"):
                summary = line
                continue
            result = json.loads(line)
            critical |= result["condition"] == "Critical"
            if result.get("kind") == "CHECK_KIND_EVENT":
                told[result["reason"]] = told.get(result["reason"], 0) + int(result.get("count", 1))
        print(f"flood of {RATE} lines/s for {seconds} s, 31 rules: {summary}; events said {sum(said.values())}, "
              f"told {sum(told.values())}, missed {sum(max(0, n - told.get(r, 0)) for r, n in said.items())}, critical condition {'told' if critical else 'MISSED'}")


def kmsg(seconds):
    """The same through the kernel: /dev/kmsg takes ten lines of an open file, so it is opened for every ten."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "kmsg.json").write_text(json.dumps({
            "plugin": "kmsg", "logPath": "/dev/kmsg", "source": "flood", "lookback": "0",
            "conditions": [{"type": "Critical", "reason": "No", "message": "none"}],
            "rules": [{"type": "permanent", "condition": "Critical", "reason": "Found", "pattern": "faultline bench critical line"},
                      {"type": "temporary", "reason": "Said", "pattern": "faultline bench event \\d+"}]}))
        ours = subprocess.Popen([f"{BIN}/check_once", "/nonexistent", str(folder / "kmsg.json"), "*", str(seconds + 4)],
                                stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        begin, events, lines = time.monotonic(), 0, 0
        while time.monotonic() - begin < seconds:
            for _ in range(50):
                fd = os.open("/dev/kmsg", os.O_WRONLY)
                for i in range(10):
                    os.write(fd, f"<7>faultline bench line {lines} of a flood\n".encode())
                    lines += 1
                os.close(fd)
            fd = os.open("/dev/kmsg", os.O_WRONLY)
            os.write(fd, f"<4>faultline bench event {events}\n".encode())
            os.close(fd)
            events += 1
            if events == 10:
                fd = os.open("/dev/kmsg", os.O_WRONLY)
                os.write(fd, b"<2>faultline bench critical line\n")
                os.close(fd)
            time.sleep(max(0.0, begin + lines / RATE - time.monotonic()))
        took = time.monotonic() - begin
        told, critical, summary = 0, False, ""
        for line in ours.communicate()[0].splitlines():
            if not line.startswith("{"):
                summary = line
                continue
            result = json.loads(line)
            critical |= result["condition"] == "Critical"
            if result.get("kind") == "CHECK_KIND_EVENT":
                told += int(result.get("count", 1))
        print(f"kmsg flood of {lines / took:.0f} lines/s for {took:.1f} s: {summary}; events said {events}, told {told}, "
              f"critical condition {'told' if critical else 'MISSED'}")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] != "0":
        cost(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
    if len(sys.argv) < 3 or sys.argv[2] != "0":
        flood(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    if len(sys.argv) > 3:
        kmsg(int(sys.argv[3]))
