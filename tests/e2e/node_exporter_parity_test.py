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

SOURCE = os.path.abspath(os.environ.get("FAULTLINE_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
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
    """The agent with what the comparison needs. EXTRA_SETTINGS (comma-separated a.b=c) is for trying the test itself."""

    def __init__(self, folder):
        port = exposition.free_port()
        settings = [f"http.listen=127.0.0.1:{port}", f"state_dir={folder}/agent", "uplink.enabled=false",
                    "spool.enabled=false", "faults.enabled=false", "probes.enabled=false", "logs.enabled=false"]
        settings += [setting for setting in os.environ.get("EXTRA_SETTINGS", "").split(",") if setting]
        arguments = [os.path.join(BIN, "faultline-agent")]
        for setting in settings:
            arguments += ["--set", setting]
        self.server = exposition.Server(arguments, f"http://127.0.0.1:{port}/metrics", f"{folder}/agent.log")
        deadline = time.monotonic() + 15
        while "node_cpu_seconds_total" not in self.scrape() and time.monotonic() < deadline:
            time.sleep(0.1)

    def scrape(self):
        return self.server.scrape()

    @staticmethod
    def settle():
        """Lets every value be read once more: the page shows the last pass, one per second."""
        time.sleep(1.3)

    def stop(self):
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


def compare_live(agent, exporter):
    wrong = {}
    seen_good = set()
    for _ in range(ROUNDS):
        wrong = {}
        _, before = comparable(agent.scrape())
        their_types, theirs = comparable(exporter.scrape())
        agent.settle()
        our_types, after = comparable(agent.scrape())
        for name, kind in their_types.items():
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
            # The agent has collectors of its own beside node_exporter's.
            if key[0] in their_types and key not in theirs and key in before \
                    and not key[0].startswith("node_scrape_collector_"):
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
# Where fixtures differ on purpose: (family, labels that the series has) -> why.
FIXTURE_EXCEPTIONS = {
    ("node_network_receive_nohandler_total", ()): "read from sysfs here, from netlink there; netlink knows no fixtures",
    ("node_nfsd_requests_total", (("method", "Verify"), ("proto", "4"))): "operation 37 of RFC 7530; node_exporter 1.5 shows 35",
    ("node_nfsd_requests_total", (("method", "Write"), ("proto", "4"))): "operation 38 of RFC 7530; node_exporter 1.5 shows 36",
    ("node_nfsd_requests_total", (("method", "RelLockOwner"), ("proto", "4"))): "operation 39 of RFC 7530; it shows 37",
    ("node_zfs_zpool_state", (("state", "suspended"),)): "a state that node_exporter 1.5 does not list",
    ("node_hwmon_sensor_label", (("sensor", "freq1"),)): "sensors of frequency are newer than node_exporter 1.5",
}
# The kernel prints these with one decimal: it counts tenths of 1024 here, hundreds in node_exporter.
ROUNDED = {"node_bcache_dirty_data_bytes", "node_bcache_dirty_target_bytes", "node_bcache_writeback_change",
           "node_bcache_writeback_rate", "node_bcache_writeback_rate_proportional_term",
           "node_bcache_writeback_rate_integral_term", "node_bcache_written_bytes_total",
           "node_bcache_metadata_written_bytes_total"}


def fixture_exception(key):
    return any(key[0] == name and set(labels) <= set(key[1]) for name, labels in FIXTURE_EXCEPTIONS)


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
    # A path below the root is the host's own path to us.
    theirs = {(name, tuple((k, v.removeprefix(root)) for k, v in labels)): value
              for (name, labels), value in theirs.items()}
    wrong = {}
    compared = 0
    for key, value in theirs.items():
        name = key[0]
        if name.startswith(LIVE_ONLY) or fixture_exception(key):
            continue
        compared += 1
        family = exposition.family(name, their_types)
        if our_types.get(family) != their_types[family]:
            wrong[family] = f"type {our_types.get(family)}, not {their_types[family]}"
        elif key not in ours:
            near = sorted(str(dict(l)) for n, l in ours if n == name)[:3]
            wrong[key] = f"series is missing; ours: {near}"
        elif abs(ours[key] - value) > (0.02 if name in ROUNDED else 1e-9) * max(1.0, abs(value)):
            wrong[key] = f"node_exporter {value!r}, ours {ours[key]!r}"
    for key in ours:
        if key[0] in their_types and key not in theirs and not key[0].startswith(LIVE_ONLY) \
                and not fixture_exception(key):
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
                types, theirs, wrong = compare_live(agent, exporter)
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
    for (name, labels), reason in FIXTURE_EXCEPTIONS.items():
        print(f"not compared on fixtures: {name} {dict(labels) or ''}: {reason}")
    print("within 2 % on fixtures, as the kernel rounds them:", ", ".join(sorted(ROUNDED)))
    for name, reason in OTHER_COLLECTORS.items():
        print(f"collector left out: {name}: {reason}")
    print("families left out, as they describe the exporter itself:", ", ".join(OWN))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
