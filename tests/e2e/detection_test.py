#!/usr/bin/env python3
"""Conditions over the real programs, many at once: each is caused on the host that an agent sees (files of a host, lines of its
log, lines of the kernel's own log), appears at the aggregator within its check's interval, is still there after a kill -9 of every
agent, and is gone after the cure. Prints one line per way of causing, with the slowest of each. FAULTLINE_DETAIL=1: all of them."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import Stack, free_port, skip, wait_until  # noqa: E402

INTERVAL_S = 3
EXPIRE_S = 25  # a condition of log lines ends when none came for so long
CORPUS = os.environ.get("FAULTLINE_CORPUS", "/work/shared/data/corpus")

# Lines as the kernel writes them, and the condition that each makes: patterns of our own over the host's log file.
LOG_LINES = {
    "KernelPanic": "Kernel panic - not syncing: Fatal exception", "KernelOops": "BUG: unable to handle page fault for address: 0000000000000010",
    "CpuLockup": "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [cp:4711]", "RcuStall": "rcu: INFO: rcu_sched self-detected stall on CPU",
    "KernelDeadlock": "INFO: task cp:4711 blocked for more than 120 seconds.", "MemoryUncorrectedErrors": "EDAC MC0: 1 UE memory read error on CPU",
    "MachineCheck": "mce: [Hardware Error]: CPU 0: Machine check: 0 Bank 4: f200", "ReadonlyFilesystem": "EXT4-fs (sda1): Remounting filesystem read-only",
    "FilesystemErrors": "EXT4-fs error (device sda1): ext4_lookup:1700: inode #2: bad extra_isize", "XfsShutdown": "XFS (sdb1): Log I/O Error Detected. Shutting down filesystem",
    "DiskErrors": "I/O error, dev sda, sector 4711 op 0x0:(READ)", "NvmeTimeout": "nvme nvme0: controller is down; will reset: CSTS=0xffffffff",
    "NetTransmitTimeout": "NETDEV WATCHDOG: eth0 (mlx5_core): transmit queue 3 timed out", "ConntrackFull": "nf_conntrack: nf_conntrack: table full, dropping packet",
    "NfsServerAway": "nfs: server filer not responding, still trying", "PcieFatalError": "pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received",
    "GpuXidEcc": "NVRM: Xid (PCI:0000:3b:00): 48, pid=1, name=x, DBE", "GpuXidHardware": "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.",
    "NvSwitchSxid": "nvidia-nvswitch3: SXid (PCI:0000:86:00.0): 20034, Fatal", "GpuResetRequired": "NVRM: rc NV_ERR_RESET_REQUIRED",
    "IBErrors": "mlx5_core 0000:86:00.0: poll_health:801: device's health compromised - reached miss count",
}
# node-problem-detector's own kernel monitor over the machine's real /dev/kmsg.
KMSG_LINES = {
    "XfsShutdown": "XFS (faultline) Shutting down filesystem.", "CperHardwareErrorFatal": "[Hardware Error]: event severity: fatal",
    "KernelDeadlock": "task docker:4711 blocked for more than 120 seconds.",
}


def collectors(stack):
    """Names of all collectors: there is nothing to collect on hosts that are a few files."""
    text = subprocess.run([f"{stack.bin}/faultline-agent", "--list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in text.split("collectors:", 1)[1].split("\nprobes:")[0].splitlines() if line.startswith("  ")]


def touched(case):
    return {path.lstrip("-") for step in ("before", "bad", "good") for path, _ in case[step]}


def apart(one, other):
    return not any(a == b or a.startswith(b + "/") or b.startswith(a + "/") for a in touched(one) for b in touched(other))


class Host:
    """The files that one agent sees as its host, and the agent."""

    def __init__(self, stack, name):
        self.stack, self.name = stack, name
        self.root = os.path.join(stack.folder, name)
        self.cases, self.rules, self.log, self.kmsg = [], "", None, False
        os.makedirs(self.root)

    def put(self, files):
        for path, text in files:
            target = os.path.join(self.root, path.lstrip("-"))
            if path.startswith("-"):
                shutil.rmtree(target, ignore_errors=True) if os.path.isdir(target) else os.unlink(target)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target + ".new", "w") as file:
                file.write(text)
            os.rename(target + ".new", target)  # at once: a check never sees half of it

    def configure(self, every):
        checks = {name: {"enabled": False} for name in every}
        for case in self.cases:
            checks[case["name"]] = {"interval": f"{INTERVAL_S}s", "parameters": case["parameters"]}
        checks["kernel_log"] = {"parameters": {"path": self.log}} if self.log else {"enabled": False}
        config = {"node": self.name, "state_dir": f"{self.stack.folder}/{self.name}.state", "host_root": "/" if self.kmsg else self.root,
                  "http": {"listen": f"127.0.0.1:{free_port()}"}, "uplink": {"endpoint": [self.stack.ingest]}, "security": {"keys": self.stack.keys},
                  "probes": {"enabled": False}, "containers": {"enabled": False}, "logs": {"enabled": False}, "faults": {"enabled": False},
                  "collectors": {name: {"enabled": False} for name in collectors(self.stack)},
                  "checks": {"rules": [self.rules] if self.rules else [], "builtin": checks, "interval": f"{INTERVAL_S}s", "expire": f"{EXPIRE_S}s"}}
        with open(f"{self.root}.yaml", "w") as file:
            json.dump(config, file)
        self.stack.faultline("keys", "add", self.name, "--dir", self.stack.keys)

    def start(self):
        self.stack.start(self.name, [os.path.join(self.stack.bin, "faultline-agent"), "--config", f"{self.root}.yaml"])


def conditions(stack, *status):
    return {(c["node"], c["type"]): c for c in stack.api("/api/v1/checks/conditions")["data"] if c["status"] in status}


def checked(stack):
    return {(n["node"], c["item"]): c for n in stack.api("/api/v1/checks")["data"] for c in n["checks"]}


def await_all(what, stack, wanted, limit, begin, state):
    """When each of `wanted` was in `state` for the first time, in seconds after `begin`."""
    seen = {}

    def look():
        there = conditions(stack, "True")
        for key in wanted:
            if key not in seen and (key in there) == state:
                seen[key] = time.monotonic() - begin[key]
        return len(seen) == len(wanted)
    try:
        wait_until(what, limit, look, 0.02)
    except AssertionError as error:
        raise AssertionError(f"{error}: {sorted(set(wanted) - set(seen))}") from None
    return seen


def report(what, ways, times):
    for way, keys in ways.items():
        some = [times[key] for key in keys]
        print(f"{what:9} {way:14} {len(keys):3} conditions, slowest {max(some):6.2f} s, median {sorted(some)[len(some) // 2]:6.2f} s (interval {INTERVAL_S} s)")
        if os.environ.get("FAULTLINE_DETAIL"):
            for key in keys:
                print(f"    {key[0]:8} {key[1]:32} {times[key]:6.2f}")


def build(stack):
    cases = json.loads(subprocess.run([f"{stack.bin}/check_cases"], capture_output=True, text=True, check=True).stdout)
    every = [case["name"] for case in cases] + ["disk_space", "disk_inodes", "mount_hang", "disk_smart", "clock_sync", "dns", "node_latency", "systemd_units",
                                                "fd_processes", "certificates"]
    hosts = []
    # Those that last until they are cured; files that two of them need lie on two hosts.
    for case in (c for c in cases if not c["before"] and c["good"]):
        host = next((h for h in hosts if all(apart(case, other) for other in h.cases)), None)
        if host is None:
            host = Host(stack, f"host{len(hosts)}")
            hosts.append(host)
        host.cases.append(case)
    logs = Host(stack, "logs")
    logs.log = "/var/log/kern.log"
    logs.put([("var/log/kern.log", "")])
    hosts.append(logs)
    monitor = f"{CORPUS}/npd/log/config_kernel-monitor-44fae3.json"
    if os.path.exists(monitor) and os.access("/dev/kmsg", os.W_OK):
        kernel = Host(stack, "kernel")
        kernel.kmsg = True
        kernel.rules = monitor
        hosts.append(kernel)
    else:
        print(f"left out: node-problem-detector's kernel monitor ({monitor} or /dev/kmsg is not there)")
    for host in hosts:
        for case in host.cases:
            changed = {path for path, _ in case["bad"]}
            host.put([(path, text) for path, text in case["good"] if path in changed])
        host.configure(every)
        host.start()
    return hosts


def cause(hosts):
    """Causes everything; when, by condition, and by which way."""
    begin, ways = {}, {}
    for host in hosts:
        for case in host.cases:
            host.put(case["bad"])
            begin[(host.name, case["condition"])] = time.monotonic()
            ways.setdefault("files", []).append((host.name, case["condition"]))
        if host.log:
            with open(host.root + host.log, "a") as log:
                for condition, line in LOG_LINES.items():
                    log.write(line + "\n")
                    begin[(host.name, condition)] = time.monotonic()
                    ways.setdefault("log file", []).append((host.name, condition))
        if host.kmsg:
            for condition, line in KMSG_LINES.items():
                with open("/dev/kmsg", "w") as kmsg:
                    kmsg.write(line + "\n")
                begin[(host.name, condition)] = time.monotonic()
                ways.setdefault("kernel's log", []).append((host.name, condition))
    return begin, ways


def main():
    with Stack() as stack:
        stack.start_aggregator()
        hosts = build(stack)
        names = {host.name for host in hosts}
        expected = {(host.name, case["name"]) for host in hosts for case in host.cases}
        try:
            wait_until("every check has run", 60, lambda: expected <= set(checked(stack)) and names <= {node for node, _ in checked(stack)})
            # Lines that an earlier run wrote into the kernel's log are looked back at, for five minutes; they end as others do.
            wait_until("nothing is wrong yet", EXPIRE_S + 30, lambda: not conditions(stack, "True"))
            begin, ways = cause(hosts)
            everything = [key for keys in ways.values() for key in keys]
            report("appeared", ways, await_all("they appear", stack, everything, 60, begin, True))

            before = conditions(stack, "True")
            for host in hosts:
                stack.kill(host.name, signal.SIGKILL)
            dead = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))  # whole seconds: later is later
            for host in hosts:
                host.start()
            told = [(host.name, case["name"]) for host in hosts for case in host.cases]

            def all_ran_again():
                there = checked(stack)
                return all(there[key]["started"] > dead for key in told)
            wait_until("every check has run again", 60, all_ran_again)
            after = conditions(stack, "True")
            for key in everything:
                assert key in after and after[key]["lastTransitionTime"] == before[key]["lastTransitionTime"], f"{key} did not survive the restart"
            print(f"survived  kill -9 of {len(hosts)} agents: {len(everything)} conditions")

            cured = {}
            for host in hosts:
                for case in host.cases:
                    host.put(case["good"])
                    cured[(host.name, case["condition"])] = time.monotonic()
            report("cleared", {"files": ways["files"]}, await_all("they clear", stack, ways["files"], 60, cured, False))
            lines = [key for way, keys in ways.items() if way != "files" for key in keys]
            ended = await_all("those of lines end", stack, lines, EXPIRE_S + 30, {key: begin[key] + EXPIRE_S for key in lines}, False)
            report("ended", {way: keys for way, keys in ways.items() if way != "files"}, ended)
            print(f"{len(everything)} conditions of {len(set(key[1] for key in everything))} kinds: caused, seen, kept over a restart, cured and gone")
        except AssertionError:
            for host in hosts:
                with open(f"{stack.folder}/{host.name}.log") as log:
                    print(f"---- {host.name}: {log.read()[-600:]}")
            raise
        finally:
            for host in hosts:
                stack.stop(host.name)


main()
