#!/usr/bin/env python3
"""Container logs: what the road costs, what a burst and rotation lose, what 1,000 files cost, beside rsyslog (imfile) on the same
lines.  Usage: logs_bench.py [speed|burst|rotation|memory|soak|all] [--mib N] [--seconds S] [--rotations K] [--kills N] [--outage S]

speed: MiB per CPU-second of the agent, from the first start until the aggregator has acknowledged the last of N MiB of CRI lines
(tail, CRI parse, severity, compression, spool, encryption, hand-over). burst: a million lines, 300 MiB, as fast as they can be
written, rotated twice. rotation: many rotations at 50 MiB/s, as kubelet does and by copytruncate. memory: 1,000 files, one written at full rate, and how long a quiet container's line takes to the answer
of a query. soak (not in all): that many rotations at 50 MiB/s in each style, then that many kill -9 of the agent and of the
aggregator at 2 MiB/s, then an outage of the aggregator at 1 MiB/s; --style takes one style of rotation only, --part one part."""
import argparse
import contextlib
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import log_load  # noqa: E402
from log_load import cpu_seconds, logs_stack, metrics, pss_mib  # noqa: E402


def line(who, text):
    print(f"{who:12} {text}", flush=True)


def pods_bytes(pods):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(pods) for name in names)


def speed(arguments):
    lines = arguments.mib * 1048576 // 250
    with logs_stack() as stack:
        written = os.path.join(stack.folder, "written")
        line("writer", log_load.finish_writer(log_load.start_writer(stack.pods, written, "--lines", lines, "--line-bytes", 250,
                                                                    "--style", "none")))
        mib = pods_bytes(stack.pods) / 1048576
        stack.start_aggregator()
        stack.start_agent()
        pid = stack.processes["agent"].pid
        begin = time.monotonic()
        peak = 0
        while True:
            values = metrics(stack.agent_http)
            peak = max(peak, pss_mib(pid))
            if log_load.total(values, "faultline_log_bytes_total") >= mib * 1048576 and log_load.total(values, "faultline_agent_spool_bytes") == 0:
                break
            assert time.monotonic() - begin < 250
            time.sleep(0.1)
        cpu, wall = cpu_seconds(pid), time.monotonic() - begin
        aggregator = cpu_seconds(stack.processes["aggregator"].pid)
        code, said = log_load.verify_store(stack, written)
        line("faultline", f"{mib / cpu:6.1f} MiB per CPU-second ({mib:.0f} MiB, {cpu:.2f} s CPU, {wall:.1f} s wall, peak PSS {peak:.1f} MiB; "
             f"aggregator {aggregator:.2f} s CPU); {said}")
        with peer(stack) as rsyslog:
            if rsyslog:
                cpu = rsyslog.wait_still()
                peak = pss_mib(rsyslog.process.pid)
                _, said = log_load.verify_text(rsyslog.output, written)
                line("rsyslog", f"{mib / cpu:6.1f} MiB per CPU-second, no CRI parsing, into a text file ({cpu:.2f} s CPU, PSS {peak:.1f} MiB); {said}")


@contextlib.contextmanager
def peer(stack):
    try:
        rsyslog = log_load.Rsyslog(stack.folder, stack.pods)
    except FileNotFoundError as error:
        line("rsyslog", str(error))
        yield None
        return
    try:
        yield rsyslog
    finally:
        rsyslog.stop()


def burst(_):
    for who in ("faultline", "rsyslog"):
        with logs_stack() as stack:
            written = os.path.join(stack.folder, "written")
            options = ("--lines", 1_000_000, "--line-bytes", 315, "--rotate-bytes", 110 << 20)
            if who == "rsyslog":
                with peer(stack) as rsyslog:
                    if not rsyslog:
                        continue
                    os.makedirs(os.path.join(stack.pods, "bench_pod-0_00000000-0000-0000-0000-000000000000", "c0"))
                    time.sleep(1)
                    line("writer", log_load.finish_writer(log_load.start_writer(stack.pods, written, *options)))
                    rsyslog.wait_still()
                    line(who, log_load.verify_text(rsyslog.output, written)[1])
                continue
            stack.start_aggregator()
            stack.start_agent()
            said = log_load.finish_writer(log_load.start_writer(stack.pods, written, *options))
            line("writer", said)
            begin = time.monotonic()
            log_load.wait_quiet(stack)
            lost = log_load.lost_bytes(metrics(stack.agent_http))
            line(who, f"{log_load.verify_store(stack, written)[1]}; counted as lost: {lost or 0}; drained {time.monotonic() - begin - 12:.1f} s later")


def verdict(stack, written, what, begin):
    values = metrics(stack.agent_http)
    lost, missed = log_load.lost_bytes(values), log_load.total(values, "faultline_log_missed_files_total")
    _, said = log_load.verify_store(stack, written)
    load = os.getloadavg()[0]
    line("faultline", f"{what}: {said}; counted as lost: {lost or 0}, files missed: {missed:.0f}; drained "
         f"{time.monotonic() - begin - 12:.1f} s later; load {load:.1f}")
    return log_load.lost_and_twice(said) == (0, 0)


def kills(arguments):
    """kill -9 of the agent and of the aggregator in turn, at any moment of their cycle, under rotation."""
    dice = random.Random(arguments.kills)
    with logs_stack() as stack:
        written = os.path.join(stack.folder, "written")
        stack.start_aggregator()
        stack.start_agent()
        writer = log_load.start_writer(stack.pods, written, "--lines", 10**9, "--rotate-bytes", 1 << 20, "--mib-per-second", 2, "--max-files",
                                       40, "--containers", 3, "--quiet-lines-per-second", 5, "--style", arguments.style or "kubelet")
        begin = time.monotonic()
        for _ in range(arguments.kills):
            for name in ("agent", "aggregator"):
                time.sleep(dice.uniform(0.05, 0.8))
                stack.kill(name)
                stack.start_aggregator(wait=False) if name == "aggregator" else stack.start_agent(wait=False)
        stack.wait_ready("aggregator", stack.http)
        stack.wait_ready("agent", stack.agent_http)
        writer.terminate()  # says what it wrote
        line("writer", f"{arguments.kills} kills of each in {time.monotonic() - begin:.0f} s: {log_load.finish_writer(writer)}")
        begin = time.monotonic()
        log_load.wait_quiet(stack)
        return verdict(stack, written, f"{arguments.kills} x kill -9 of agent and aggregator", begin)


def outage(arguments):
    """The aggregator is away while files are rotated; kubelet keeps more than is written meanwhile, or the agent holds it."""
    with logs_stack() as stack:
        written = os.path.join(stack.folder, "written")
        stack.start_aggregator()
        stack.start_agent()
        writer = log_load.start_writer(stack.pods, written, "--lines", 10**9, "--rotate-bytes", 10 << 20, "--mib-per-second", 1,
                                       "--containers", 3, "--quiet-lines-per-second", 5, "--style", arguments.style or "kubelet")
        time.sleep(2)
        stack.kill("aggregator")
        time.sleep(arguments.outage)
        stack.start_aggregator()
        time.sleep(2)
        writer.terminate()
        line("writer", f"{arguments.outage} s without aggregator: {log_load.finish_writer(writer)}")
        begin = time.monotonic()
        log_load.wait_quiet(stack, 400)
        return verdict(stack, written, f"{arguments.outage} s without aggregator", begin)


def soak(arguments):
    parts = {"rotation": rotation, "kills": kills, "outage": outage}
    return all([run(arguments) for name, run in parts.items() if arguments.part in (None, name)])


def rotation(arguments):
    good = True
    for style in [arguments.style] if arguments.style else ["kubelet", "copytruncate"]:
        # Faster than the store takes them: what is held meanwhile may be more than the default of 1 GiB.
        with logs_stack(["logs.held_max_bytes=32GiB"]) as stack:
            written = os.path.join(stack.folder, "written")
            stack.start_aggregator()
            stack.start_agent()
            writer = log_load.start_writer(
                stack.pods, written, "--rotations", arguments.rotations, "--rotate-bytes", 512 << 10 if style == "kubelet" else 2 << 20,
                "--mib-per-second", arguments.rate or 50, "--max-files", 60, "--containers", 4, "--quiet-lines-per-second", 5, "--style", style, first=True)
            watched = {"writer": writer.pid, **{name: stack.processes[name].pid for name in ("agent", "aggregator")}}
            peak, spent = 0, {}
            while writer.poll() is None:
                spent = {name: cpu_seconds(pid) for name, pid in watched.items()}
                peak = max(peak, pss_mib(watched["agent"]))
                time.sleep(0.1)
            line("writer", f"{style}: {log_load.finish_writer(writer)}; meanwhile "
                 f"{', '.join(f'{name} {seconds:.1f} s' for name, seconds in spent.items())} of CPU")
            begin = time.monotonic()
            log_load.wait_quiet(stack, 400)
            line("faultline", f"in all {', '.join(f'{name} {cpu_seconds(watched[name]):.1f} s' for name in ('agent', 'aggregator'))} of CPU, "
                 f"agent's peak PSS while written {peak:.1f} MiB")
            good &= verdict(stack, written, f"{style}, {arguments.rotations} rotations", begin)
    return good


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def memory(arguments):
    with logs_stack() as stack:
        written = os.path.join(stack.folder, "written")
        stack.start_aggregator()
        stack.start_agent()
        pid = stack.processes["agent"].pid
        writer = log_load.start_writer(stack.pods, written, "--containers", 1000, "--lines", 10**9, "--line-bytes", 250, "--mib-per-second",
                                       arguments.rate or 20, "--quiet-lines-per-second", 0.5, "--rotate-bytes", 10 << 20)
        folder = os.path.join(stack.pods, "probe_pod_00000000-0000-0000-0000-00000000ffff", "probe")
        os.makedirs(folder)
        latencies, peak, dice = [], 0, random.Random(1)
        begin = cpu = None
        try:
            time.sleep(5)
            begin, cpu = time.monotonic(), cpu_seconds(pid)
            number = 0
            while time.monotonic() - begin < arguments.seconds:
                time.sleep(dice.uniform(0.05, 0.4))
                number += 1
                now = time.time_ns()
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"
                with open(os.path.join(folder, "0.log"), "a") as file:
                    file.write(f"{stamp} stdout F quiet line {number} ends\n")
                sent = time.monotonic()
                while not stack.api("/loki/api/v1/query_range", query=f'{{namespace="probe"}} |= "quiet line {number} ends"', start=now - 10**9,
                                    end=now + 10**10, limit=5)["data"]["result"]:
                    assert time.monotonic() - sent < 30
                    time.sleep(0.01)
                latencies.append(time.monotonic() - sent)
                peak = max(peak, pss_mib(pid))
            cpu, wall = cpu_seconds(pid) - cpu, time.monotonic() - begin
            read = log_load.total(metrics(stack.agent_http), "faultline_log_bytes_total") / 1048576
        finally:
            writer.terminate()
            writer.wait()
        line("faultline", f"1,000 files, one at {arguments.rate or 20} MiB/s: peak PSS {peak:.1f} MiB, {cpu / wall:.2f} cores, {read:.0f} MiB read; a quiet line "
             f"after n={len(latencies)} p50 {quantile(latencies, .5):.3f} s p99 {quantile(latencies, .99):.3f} s max {max(latencies):.3f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", default="all", choices=["speed", "burst", "rotation", "memory", "soak", "all"])
    parser.add_argument("--mib", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--rate", type=float, help="MiB/s of the loud container: 50 of rotation, 20 of memory if not said")
    parser.add_argument("--rotations", type=int, default=100)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--outage", type=int, default=600)
    parser.add_argument("--style", choices=["kubelet", "copytruncate"])
    parser.add_argument("--part", choices=["rotation", "kills", "outage"])
    arguments = parser.parse_args()
    if arguments.what == "soak":
        sys.exit(0 if soak(arguments) else 1)
    for name, run in (("speed", speed), ("burst", burst), ("rotation", rotation), ("memory", memory)):
        if arguments.what in (name, "all"):
            print(f"== {name}", flush=True)
            run(arguments)


main()
