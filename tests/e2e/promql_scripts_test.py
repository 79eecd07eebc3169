#!/usr/bin/env python3
"""Runs PromQL test scripts (the format of Prometheus' own) against the aggregator, and, where Prometheus 2.42 can be had,
against it too, so that the scripts themselves are right. Each instant query is also asked as a range around its time.

  promql_scripts_test.py [--ours-only] [FILE…]      default: tests/e2e/promql_scripts/*.test
"""
import argparse
import contextlib
import pathlib
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "support")]
import promql_differential_test as peer
import promql_script
import stack

SLICE_MS = 1_800_000  # Prometheus takes nothing that is an hour older than what it has


def load(server, loaded):
    newest = max((samples[-1][0] for _, samples in loaded if samples), default=-1)
    for begin in range(0, newest + 1, SLICE_MS):
        chunk = [(labels, [s for s in samples if begin <= s[0] < begin + SLICE_MS]) for labels, samples in loaded]
        chunk = [(labels, samples) for labels, samples in chunk if samples]
        if chunk:
            server.write(chunk)


def run_section(server, loaded, evals, name):
    wrong = []
    load(server, loaded)
    ask = lambda path, parameters: server.get(path, **parameters)[1]
    for one in evals:
        found = promql_script.check(one, ask) or promql_script.check_middle(one, ask)
        if found:
            wrong.append(f"{name}:{one.line}: {one.expression}\n    {found}")
    return wrong


@contextlib.contextmanager
def our_server():
    with stack.Stack(aggregator_settings=["store.retention=36500d"]) as s:
        s.start_aggregator()
        yield peer.Server("faultline", s.http)


@contextlib.contextmanager
def prometheus(program):
    with tempfile.TemporaryDirectory(prefix="faultline-promql-") as folder:
        process, address = peer.start_prometheus(program, pathlib.Path(folder))
        try:
            peer.wait_ready(address, process)
            yield peer.Server("prometheus", address)
        finally:
            process.terminate()
            process.wait(30)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--ours-only", action="store_true")
    arguments.add_argument("files", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()
    files = options.files or sorted((pathlib.Path(__file__).parent / "promql_scripts").glob("*.test"))
    program = None
    if not options.ours_only:
        found = subprocess.run([peer.SOURCE / "tests/support/peers", "prometheus"], capture_output=True, text=True)
        program = found.stdout.strip() if found.returncode == 0 else print("Prometheus is left out:", found.stderr.strip())
    wrong, evals, skipped = [], 0, []
    for file in files:
        try:
            sections = promql_script.parse(file.read_text())
        except promql_script.ScriptError as error:
            skipped.append(f"{file.name}: {error}")
            continue
        for loaded, some in sections:
            evals += len(some)
            with our_server() as server:
                wrong += run_section(server, loaded, some, f"faultline {file.name}")
            if program:
                with prometheus(program) as server:
                    wrong += run_section(server, loaded, some, f"prometheus {file.name}")
    print("\n".join(wrong))
    print(f"{len(files)} files, {evals} evaluations, {len(wrong)} wrong, {len(skipped)} files left out {skipped or ''}")
    return 1 if wrong or not evals else 0


if __name__ == "__main__":
    sys.exit(main())
