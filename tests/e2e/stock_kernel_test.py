#!/usr/bin/env python3
"""The probes' own tests under Debian's stock kernel (6.1, cgroup v2 alone, without what this machine's kernel adds or
lacks), in a QEMU guest: one object must load and tell the truth on both. Small by default: what a guest without KVM does
in a minute; `stock_kernel_test.py all` runs every test of the probes."""
import os
import re
import subprocess
import sys

SOURCE = os.path.abspath(os.environ.get("FAULTLINE_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
BIN = os.environ.get("FAULTLINE_BIN", os.path.join(SOURCE, "build", "release", "bin"))
SMALL = "FallbackProgramsTest.*:ProcessesProbeTest.Execs*:UdpProbeTest.*"


def main():
    chosen = "*" if sys.argv[1:] == ["all"] else SMALL
    tests = os.path.join(BIN, "integration_probes")
    if not os.path.exists(tests):
        print("skip:", tests, "is not built")
        return 77
    ran = subprocess.run([os.path.join(SOURCE, "tests", "support", "stock_kernel"), "-t", "600", tests,
                          f"--gtest_filter={chosen}"], stdout=subprocess.PIPE, text=True, check=False)
    output = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", ran.stdout)  # the guest's console is a terminal
    print(output)
    if ran.returncode == 77:
        return 77
    passed = re.search(r"\[  PASSED  \] (\d+) tests?", output)
    skipped = re.search(r"\[  SKIPPED \] (\d+) tests?", output)
    print(f"guest: exit {ran.returncode}, {passed.group(1) if passed else 0} passed,"
          f" {skipped.group(1) if skipped else 0} of the kernel's making skipped")
    return 0 if ran.returncode == 0 and passed and int(passed.group(1)) > 0 else 1


sys.exit(main())
