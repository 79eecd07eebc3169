#!/usr/bin/env python3
"""Each header compiles alone: whoever includes it first gets what it needs. One syntax-only compilation a header, with the
flags of a source beside it; a header whose includes have not changed since the last time is not compiled again."""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(os.environ.get("FAULTLINE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("FAULTLINE_BUILD") or ROOT / "build/release").resolve()
SKIP_RETURN_CODE = 77
BUDGET_S = 300  # on a busy machine the rest is left to the next run: what was found good is remembered


LATER = object()


def flags_by_folder(commands):
    """Folder of a source -> the flags that it is compiled with."""
    flags = {}
    for command in commands:
        source = os.path.relpath(command["file"], ROOT)
        words = shlex.split(command["command"])
        kept, skip = [], False
        for word in words:
            if skip or word in ("-c", command["file"]) or word.startswith("-M") or word.endswith((".o", ".d")):
                skip = word in ("-MF", "-MT", "-o")
                continue
            if word in ("-o",):
                skip = True
                continue
            kept.append(word)
        flags.setdefault(os.path.dirname(source), kept)
    return flags


def newest(depfile):
    names = re.split(r"(?<!\\)\s+", depfile.read_text().replace("\\\n", " "))[1:]
    return max((os.stat(BUILD / n.replace("\\ ", " ")).st_mtime for n in names if n), default=0)


def check(header, flags, folder, deadline):
    stem = folder / header.replace("/", "_")
    stamp, depfile = stem.with_suffix(".ok"), stem.with_suffix(".d")
    try:
        if stamp.stat().st_mtime > newest(depfile):
            return None
    except OSError:
        pass
    if time.monotonic() > deadline:
        return LATER
    unit = stem.with_suffix(".cc")
    unit.write_text(f'#include "{header}"\n')
    command = flags + ["-fsyntax-only", "-MD", "-MF", str(depfile), "-MT", "x", str(unit)]
    result = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return f"{header} does not compile alone:\n{result.stderr[:2000]}"
    stamp.touch()
    return None


def main():
    database = BUILD / "compile_commands.json"
    if not database.exists():
        print(f"no {database}: configure first")
        return SKIP_RETURN_CODE
    flags = flags_by_folder(json.loads(database.read_text()))
    headers = sorted(str(p.relative_to(ROOT)) for top in ("common", "agent", "aggregator")
                     for p in (ROOT / top).rglob("*.h"))
    folder = BUILD / "headers"
    folder.mkdir(exist_ok=True)
    deadline = time.monotonic() + BUDGET_S
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        jobs = []
        for header in headers:
            near = os.path.dirname(header)
            while near not in flags and near:
                near = os.path.dirname(near)
            if near in flags:
                jobs.append(pool.submit(check, header, flags[near], folder, deadline))
        results = [job.result() for job in jobs]
    failures = [r for r in results if r not in (None, LATER)]
    later = results.count(LATER)
    print("\n".join(failures) or f"{len(jobs) - later} of {len(jobs)} headers compile alone; {later} left to the next run")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
