#!/usr/bin/env python3
"""What node_exporter says of this machine, the agent says too: same families, types, labels, and values within a tick.

Both are scraped at once, ours before and after node_exporter's: a counter must lie between our two values, a gauge near
them in at least one round. Then both read fixture folders with hardware that is absent here, where values are equal.
A family, series or type that is missing or different fails the test, unless EXCEPTIONS names it with its reason.
"""
import os
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("FAULTLINE_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("FAULTLINE_BIN", os.path.join(SOURCE, "build", "release", "bin"))
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
import exposition  # noqa: E402

ROUNDS = 12
# Families of the exporter as a program: they describe node_exporter, not the node.
OWN = ("go_", "process_", "promhttp_", "node_exporter_build_info")
# family -> why its values are not compared (type and labels are)
EXCEPTIONS = {
    "node_scrape_collector_duration_seconds": "how long each program's own collector took",
}
# Collectors of Debian's build that are not node_exporter's default set and have nothing to say without their service.
OTHER_COLLECTORS = {
    "systemd": "on in Debian's build only; needs systemd's bus",
}
# Gauges that never stand still: how far apart two looks may be (absolute, and as a part of the value).
GAUGE_TOLERANCE = (
    ("node_memory_", 256e6, 0.05),
    ("node_filesystem_", 256e6, 0.01),
    ("node_load", 2.0, 0.5),
    ("node_procs_", 64, 1),
    ("node_sockstat_", 1e6, 1),
    ("node_filefd_allocated", 2000, 0.5),
    ("node_nf_conntrack_entries", 1000, 1),
    ("node_disk_io_now", 64, 1),
    ("node_netstat_Tcp_CurrEstab", 100, 1),
    ("node_udp_queues", 1e6, 1),
    ("node_timex_", 1.0, 0.1),
    ("node_time_seconds", 2.5, 0),
    ("node_arp_entries", 10, 1),
)
TICK = 0.011  # seconds per clock tick, and a little for rounding


def own_of_exporter(name):
    return name.startswith(OWN)


class Agent:
    """The agent, if this build's agent serves /metrics; else the collectors alone, one pass per scrape."""

    def __init__(self, folder):
        self.server = None
        agent = os.path.join(BIN, "faultline-agent")
        port = exposition.free_port()
        arguments = [agent, "--set", f"http.listen=127.0.0.1:{port}", "--set", "uplink.enabled=false", "--set",
                     "spool.enabled=false", "--set", "faults.enabled=false", "--set", "probes.enabled=false", "--set",
                     "logs.enabled=false", "--set", f"state_dir={folder}/agent"]
        try:
            self.server = exposition.Server(arguments, f"http://127.0.0.1:{port}/metrics", f"{folder}/agent.log")
            deadline = time.monotonic() + 15
            while "node_load1 " not in self.server.scrape() and time.monotonic() < deadline:
                time.sleep(0.1)
        except (OSError, RuntimeError) as error:
            if os.environ.get("FAULTLINE_PARITY_NEEDS_AGENT"):
                raise
            print("the agent does not serve /metrics; comparing the collectors alone:", str(error).splitlines()[0])

    def scrape(self):
        if self.server:
            return self.server.scrape()
        return subprocess.run([os.path.join(BIN, "collect_once")], check=True, capture_output=True, text=True).stdout

    def settle(self):
        """Lets every value be read once more."""
        if self.server:
            time.sleep(1.3)

    def stop(self):
        if self.server:
            self.server.stop()


def without(labels, name):
    return tuple(pair for pair in labels if pair[0] != name)


def comparable(text):
    types, samples = exposition.parse(text)
    types = {name: kind for name, kind in types.items() if not own_of_exporter(name)}
    kept = {}
    for (name, labels), value in samples.items():
        if exposition.family(name, types) in types and dict(labels).get("collector") not in OTHER_COLLECTORS:
            kept[(name, without(labels, "node"))] = value
    return types, kept


def tolerance(name):
    for prefix, absolute, relative in GAUGE_TOLERANCE:
        if name.startswith(prefix):
            return absolute, relative
    return 0.0, 0.0


def agrees(name, kind, before, theirs, after):
    before = after if before is None else before
    after = before if after is None else after
    if before is None:
        return False
    low, high = min(before, after), max(before, after)
    absolute, relative = (0.0, 0.0) if kind == "counter" else tolerance(name)
    tick = TICK if kind == "counter" and "seconds" in name else 0.0
    slack = max(absolute, relative * abs(theirs), tick, 1e-9 * abs(theirs))
    return low - slack <= theirs <= high + slack


def compare_live(agent, exporter, needs_frame):
    wrong = {}
    seen_good = set()
    for _ in range(ROUNDS):
        wrong = {}
        _, before = comparable(agent.scrape())
        their_types, theirs = comparable(exporter.scrape())
        agent.settle()
        our_types, after = comparable(agent.scrape())
        for name, kind in their_types.items():
            if not needs_frame and name.startswith("node_scrape_collector_"):
                continue
            if name not in our_types:
                wrong[name] = "family is missing"
            elif our_types[name] != kind:
                wrong[name] = f"type is {our_types[name]}, not {kind}"
        for key, value in theirs.items():
            name, labels = key
            family = exposition.family(name, their_types)
            if family in wrong or family not in our_types:
                continue
            if key not in before and key not in after:
                near = sorted(str(dict(l)) for n, l in after if n == name)[:3]
                wrong[key] = f"series is missing; ours: {near}"
            elif family in EXCEPTIONS or key in seen_good:
                continue
            elif agrees(name, their_types[family], before.get(key), value, after.get(key)):
                seen_good.add(key)
            else:
                wrong[key] = f"node_exporter {value!r}, ours {before.get(key)!r} then {after.get(key)!r}"
        for key in after:
            if key[0] in their_types and key not in theirs and key in before:
                wrong[key] = "series that node_exporter does not have"
        if not wrong:
            break
    return their_types, theirs, wrong


def exporter_for(program, folder, extra=()):
    port = exposition.free_port()
    return exposition.Server([program, f"--web.listen-address=127.0.0.1:{port}", *extra],
                             f"http://127.0.0.1:{port}/metrics", f"{folder}/node_exporter.log")


# Read from the running kernel by both, whatever the fixture says.
LIVE_ONLY = ("node_uname_info", "node_timex_", "node_time_seconds", "node_time_zone", "node_filesystem_",
             "node_scrape_collector_", "node_textfile_mtime")
# (fixture, series prefix) -> why it differs on purpose
FIXTURE_EXCEPTIONS = {
    "node_network_receive_nohandler_total": "read from sysfs here, from netlink there; netlink knows no fixtures",
}


def compare_fixture(program, fixture, folder):
    root = os.path.join(SOURCE, "tests", "fixtures", fixture)
    exporter = exporter_for(program, folder, [
        f"--path.procfs={root}/proc", f"--path.sysfs={root}/sys", f"--path.rootfs={root}",
        f"--path.udev.data={root}/run/udev/data", "--no-collector.netdev.netlink",
        f"--collector.textfile.directory={root}/var/lib/prometheus/node-exporter"])
    try:
        their_types, theirs = comparable(exporter.scrape())
    finally:
        exporter.stop()
    ours_text = subprocess.run([os.path.join(BIN, "collect_once"), "--root", root], check=True, capture_output=True,
                               text=True).stdout
    our_types, ours = comparable(ours_text)
    wrong = {}
    compared = 0
    for key, value in theirs.items():
        name = key[0]
        if name.startswith(LIVE_ONLY) or name in FIXTURE_EXCEPTIONS:
            continue
        compared += 1
        family = exposition.family(name, their_types)
        if our_types.get(family) != their_types[family]:
            wrong[family] = f"type {our_types.get(family)}, not {their_types[family]}"
        elif key not in ours:
            near = sorted(str(dict(l)) for n, l in ours if n == name)[:3]
            wrong[key] = f"series is missing; ours: {near}"
        elif abs(ours[key] - value) > 1e-9 * max(1.0, abs(value)):
            wrong[key] = f"node_exporter {value!r}, ours {ours[key]!r}"
    for key in ours:
        if key[0] in their_types and key not in theirs and not key[0].startswith(LIVE_ONLY) \
                and key[0] not in FIXTURE_EXCEPTIONS:
            wrong[key] = "series that node_exporter does not have"
    return compared, wrong


def report(title, wrong):
    for key, reason in sorted(wrong.items(), key=str)[:60]:
        print(f"  {title}: {key}: {reason}")
    if len(wrong) > 60:
        print(f"  … {len(wrong) - 60} more")


def main():
    peer = subprocess.run([os.path.join(SOURCE, "tests", "support", "peers"), "node_exporter"], capture_output=True,
                          text=True, check=False)
    if peer.returncode != 0:
        print(peer.stderr.strip())
        return peer.returncode
    program = peer.stdout.strip()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="faultline-parity-") as folder:
        exporter = exporter_for(program, folder)
        try:
            agent = Agent(folder)
            try:
                types, theirs, wrong = compare_live(agent, exporter, agent.server is not None)
            finally:
                agent.stop()
        finally:
            exporter.stop()
        print(f"this machine: {len(types)} families, {len(theirs)} series of node_exporter, {len(wrong)} differ")
        report("this machine", wrong)
        failed += len(wrong)
        for fixture in sorted(os.listdir(os.path.join(SOURCE, "tests", "fixtures"))):
            if not fixture.startswith("host-"):
                continue
            compared, wrong = compare_fixture(program, fixture, folder)
            print(f"{fixture}: {compared} series of node_exporter, {len(wrong)} differ")
            report(fixture, wrong)
            failed += len(wrong)
    for name, reason in EXCEPTIONS.items():
        print(f"values not compared: {name}: {reason}")
    for name, reason in FIXTURE_EXCEPTIONS.items():
        print(f"not compared on fixtures: {name}: {reason}")
    for name, reason in OTHER_COLLECTORS.items():
        print(f"collector left out: {name}: {reason}")
    print("families left out, as they describe the exporter itself:", ", ".join(OWN))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
