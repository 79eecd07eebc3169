#!/usr/bin/env python3
"""A mount that never answers must delay nothing: the agent reports it, and every other collector stays in time.

Runs in mount and process namespaces of its own, so that nobody else on the machine meets the mount: a FUSE filesystem
whose server answers nothing. The agent's passes are watched through node_time_seconds on its /metrics page.
"""
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.abspath(os.environ.get("FAULTLINE_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
BIN = os.environ.get("FAULTLINE_BIN", os.path.join(SOURCE, "build", "release", "bin"))
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
import exposition  # noqa: E402

SECONDS = 12
MNT_DETACH = 2
LATE_S = 0.5  # a busy machine may be late by itself; a pass held up by the mount would be late by its whole patience


def skip(reason):
    print("skip:", reason)
    return 77


def outside():
    if os.geteuid() != 0:
        return skip("needs root for namespaces and mounts")
    if not os.path.exists("/dev/fuse"):
        return skip("no /dev/fuse")
    if not shutil.which("unshare"):
        return skip("no unshare")
    # In a chroot whose root is no mount point a mount namespace cannot be made private.
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        return skip(tried.stderr.strip())
    inner = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", sys.executable,
                            os.path.abspath(__file__), "inside"], check=False)
    return inner.returncode


def thread_count(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def watch(agent, series):
    """Times at which passes happened, seen through the page."""
    passes, errors = [], set()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        _, samples = exposition.parse(agent.scrape())
        stamp = samples.get(("node_time_seconds", ()))
        if stamp and (not passes or stamp != passes[-1]):
            passes.append(stamp)
        if series in samples:
            errors.add(samples[series])
        time.sleep(0.05)
    return passes, errors


def inside():
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(prefix="faultline-dead-") as folder:
        dead = os.path.join(folder, "mount")
        os.mkdir(dead)
        server = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"dead", dead.encode(), b"fuse", 0, options) != 0:
            return skip("mount: " + os.strerror(ctypes.get_errno()))
        try:
            port = exposition.free_port()
            arguments = [os.path.join(BIN, "faultline-agent")]
            for setting in (f"http.listen=127.0.0.1:{port}", f"state_dir={folder}/agent", "uplink.enabled=false",
                            "faults.enabled=false", "probes.enabled=false", "logs.enabled=false", "checks.enabled=false",
                            "collectors.filesystem.exclude=^/(dev|proc|sys)($|/)"):
                arguments += ["--set", setting]
            agent = exposition.Server(arguments, f"http://127.0.0.1:{port}/metrics", f"{folder}/agent.log")
            try:
                labels = tuple(sorted({"device": "dead", "fstype": "fuse", "mountpoint": dead}.items()))
                time.sleep(3)
                threads = thread_count(agent.process.pid)
                passes, errors = watch(agent, ("node_filesystem_device_error", labels))
                grown = thread_count(agent.process.pid) - threads
                _, samples = exposition.parse(agent.scrape())
                roots = [value for (name, pairs), value in samples.items()
                         if name == "node_filesystem_device_error" and dict(pairs)["mountpoint"] == "/"]
            finally:
                agent.stop()
        finally:
            os.close(server)
            libc.umount2(dead.encode(), MNT_DETACH)
    gaps = [later - earlier for earlier, later in zip(passes, passes[1:])]
    late = max((gap - 1 for gap in gaps), default=99)
    print(f"{len(passes)} passes in {SECONDS} s beside a dead mount, latest by {late * 1000:.0f} ms, "
          f"threads grown by {grown}, device_error of it {sorted(errors)}, of / {roots}")
    good = len(passes) >= SECONDS - 2 and late <= LATE_S and grown <= 0 and errors == {1.0} and roots == [0.0]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(inside() if sys.argv[1:] == ["inside"] else outside())
