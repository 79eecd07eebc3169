#!/usr/bin/env python3
"""CPU per collection of the host's metrics: the agent (collectors, pipeline, batches) beside node_exporter, in one run.

Both run for the whole time. The agent collects once a second by itself; node_exporter collects when it is scraped, so it
is scraped once a second. Rounds alternate, medians are printed. CPU time is the kernel's own nanoseconds per process.
  tests/bench/host_metrics_bench.py [ROUNDS]          FAULTLINE_BIN: folder of the programs (build/release/bin)
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("FAULTLINE_BIN", os.path.join(SOURCE, "build", "release", "bin"))
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
import exposition  # noqa: E402

SECONDS_PER_ROUND = 4
# What node_exporter has no counterpart of is off, so that both collect the same.
EQUAL = ["uplink.enabled=false", "faults.enabled=false", "probes.enabled=false", "logs.enabled=false",
         "containers.enabled=false", "processes.enabled=false"]
EVERYTHING = ["uplink.enabled=false"]


def cpu_ns(pid):
    return time.clock_gettime_ns((~pid << 3) | 2)  # CPU clock of another process, see clock_getcpuclockid(3)


def start_agent(folder, name, settings):
    port = exposition.free_port()
    arguments = [os.path.join(BIN, "faultline-agent")]
    for setting in [f"http.listen=127.0.0.1:{port}", f"state_dir={folder}/{name}", *settings]:
        arguments += ["--set", setting]
    return exposition.Server(arguments, f"http://127.0.0.1:{port}/metrics", f"{folder}/{name}.log")


def window(server, scrapes):
    """CPU milliseconds per second of one window."""
    begin, begin_ns = time.monotonic(), cpu_ns(server.process.pid)
    for second in range(SECONDS_PER_ROUND):
        if scrapes:
            server.scrape()
        time.sleep(max(0.0, begin + second + 1 - time.monotonic()))
    return (cpu_ns(server.process.pid) - begin_ns) / 1e6 / (time.monotonic() - begin)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    peer = subprocess.run([os.path.join(SOURCE, "tests", "support", "peers"), "node_exporter"], capture_output=True,
                          text=True, check=False)
    if peer.returncode != 0:
        print(peer.stderr.strip())
        return peer.returncode
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as folder:
        port = exposition.free_port()
        exporter = exposition.Server([peer.stdout.strip(), f"--web.listen-address=127.0.0.1:{port}"],
                                     f"http://127.0.0.1:{port}/metrics", f"{folder}/node_exporter.log")
        agent = start_agent(folder, "agent", EQUAL)
        everything = start_agent(folder, "everything", EVERYTHING)
        try:
            time.sleep(3)
            scraped, alone, with_page, all_on = [], [], [], []
            for _ in range(rounds):
                scraped.append(window(exporter, True))
                alone.append(window(agent, False))
                with_page.append(window(agent, True))
                all_on.append(window(everything, False))
            _, ours = exposition.parse(agent.scrape())
            _, theirs = exposition.parse(exporter.scrape())
            node = [sum(name.startswith("node_") for name, _ in samples) for samples in (ours, theirs)]
            their, our, page = (statistics.median(values) for values in (scraped, alone, with_page))
            print(f"load {os.getloadavg()[0]:.1f}, {rounds} rounds of {SECONDS_PER_ROUND} s, CPU ms per second at 1 Hz, median [min, max]")
            print(f"node_exporter, scraped      {their:6.2f} [{min(scraped):.2f}, {max(scraped):.2f}]  "
                  f"{node[1]} node_ series, PSS {exporter.pss_bytes() / 1e6:.1f} MB")
            print(f"agent, collects             {our:6.2f} [{min(alone):.2f}, {max(alone):.2f}]  "
                  f"{node[0]} node_ series, PSS {agent.pss_bytes() / 1e6:.1f} MB")
            print(f"agent, collects and scraped {page:6.2f} [{min(with_page):.2f}, {max(with_page):.2f}]")
            print(f"agent, everything on        {statistics.median(all_on):6.2f} [{min(all_on):.2f}, {max(all_on):.2f}]  "
                  f"containers, processes, logs, probes too; PSS {everything.pss_bytes() / 1e6:.1f} MB")
            print(f"ratio of medians            {our / their:6.2f} ({page / their:.2f} with its page scraped too)")
        finally:
            everything.stop()
            agent.stop()
            exporter.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
