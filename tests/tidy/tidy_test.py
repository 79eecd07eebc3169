#!/usr/bin/env python3
"""Checks the tree against the rules of tests/tidy/tidy.py, and the rules against planted violations: a check that cannot
fail is none. Prints warnings (sizes) without failing; --warnings prints each of them."""

import os
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import tidy  # noqa: E402

ROOT = os.environ.get("FAULTLINE_SOURCE") or str(pathlib.Path(__file__).resolve().parents[2])


class PlantedViolations(unittest.TestCase):
    def errors(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return [f"{place}: {reason}" for kind, place, reason in tidy.findings(root) if kind == "error"]

    def warnings(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return [f"{place}: {reason}" for kind, place, reason in tidy.findings(root) if kind == "warning"]

    def plant(self, name, text, expected):
        found = self.errors({"agent/collectors/README.md": "x\n", "aggregator/store/README.md": "x\n",
                             "agent/logs/README.md": "x\n", name: text})
        self.assertTrue(any(expected in error for error in found), f"{expected!r} is not among {found}")

    def clean(self, name, text):
        found = self.errors({"agent/collectors/README.md": "x\n", "agent/logs/README.md": "x\n", name: text})
        self.assertEqual(found, [])

    def test_layers(self):
        self.plant("common/a.cc", '#include "agent/spool.h"\n', "common/ does not include agent/")
        self.plant("agent/a.cc", '#include "aggregator/fleet.h"\n', "agent/ does not include aggregator/fleet.h")
        self.plant("agent/collectors/a.cc", '#include "agent/pipeline.h"\n', "does not include agent/pipeline.h")
        self.plant("agent/collectors/a.cc", '#include "agent/logs/log_file.h"\n', "does not include agent/logs")
        self.plant("agent/logs/a.cc", '#include "agent/collectors/series.h"\n', "does not include agent/collectors")
        self.plant("agent/a.cc", '#include "tests/support/temp_tree.h"\n', "does not include its tests")
        self.plant("agent/unheard/a.cc", '#include "agent/spool.h"\n', "agent/unheard: no README.md")
        self.clean("agent/logs/a.cc", '#include "agent/collectors/collector.h"\n#include "common/text.h"\n')

    def test_borders(self):
        self.plant("agent/uplink.cc", "#include <zmq.hpp>\n", "<zmq.hpp> may be included only in")
        self.plant("agent/a.cc", "#include <rocksdb/db.h>\n", "<rocksdb/db.h> may be included only in")
        self.plant("agent/collectors/a.cc", "#include <boost/asio.hpp>\n", "boost/asio.hpp> may be included only in")
        self.plant("agent/logs/a.cc", "#include <bpf/libbpf.h>\n", "libbpf.h> may be included only in")

    def test_bans(self):
        self.plant("common/a.cc", 'void F() { system("ls"); }\n', "`system(` is banned")
        self.plant("common/a.cc", "void F() { FILE* f = popen(c, m); }\n", "`popen(` is banned")
        self.plant("common/a.cc", "void F() { std::strcpy(a, b); }\n", "banned")
        self.plant("common/a.cc", "using namespace std;\n", "`using namespace` is banned")
        self.plant("common/a.cc", "void F() { std::thread(G).detach(); }\n", "detached thread")
        self.plant("common/a.cc", "// TO" "DO: later\n", "leftover")
        self.plant("tests/run.sh", "# FIX" "ME\n", "leftover")
        self.clean("common/a.cc", "// system() is banned\nvoid F() { operating_system(); snprintf(a, 1, \"popen(\"); }\n")

    def test_names(self):
        self.plant("common/string_util.cc", "int x;\n", "a file name that says nothing")
        self.plant("common/a.cc", "class SpoolManager {};\n", "`manager` says nothing")
        self.plant("common/a.cc", "struct NodeInfo;\n", "`info` says nothing")
        self.clean("common/a.cc", "class Metadata {};\nclass Informer {};\n")

    def test_catalogues(self):
        row = 'constexpr CollectorRow kRows[] = {\n    {"cpu", %s, true, MakeCpu},\n};\n'
        catalogue = "agent/collectors/catalogue.cc"
        self.plant(catalogue, row % '"processor time"', "no test mentions cpu")
        found = self.errors({"agent/collectors/README.md": "x\n", catalogue: row % '""', "tests/a_test.cc": "cpu\n"})
        self.assertEqual(found, [f"{catalogue}:2: cpu: a row needs a line of documentation"])
        found = self.errors({"agent/collectors/README.md": "x\n", catalogue: row % '"its time"', "tests/a_test.cc": "cpu\n"})
        self.assertEqual(found, [])
        route = 'constexpr Route kRoutes[] = {\n    {"GET", "/api/v1/x/{n}", Role::kAnyone, "one thing", X},\n};\n'
        self.plant("aggregator/store/catalogue.cc", route, "no test mentions /api/v1/x/")

    def test_documents(self):
        self.plant("aggregator/query/a.cc", "int x;\n", "aggregator/query: no README.md")
        found = self.errors({"aggregator/store/README.md": "x\n" * 16, "aggregator/store/a.cc": "int x;\n"})
        self.assertEqual(found, ["aggregator/store/README.md: 16 lines; at most 15"])
        self.plant("aggregator/store/store.h", "// x\n#pragma once\n", "aggregator/store/FORMAT.md: missing")
        self.plant("common/a.h", "#pragma once\n", "opens with what it is")
        self.plant("common/a.h", "// x\n", "no #pragma once")

    def test_sizes(self):
        body = "void F() {\n" + "  G();\n" * 80 + "}\n"
        self.assertIn("common/a.cc:1: a function of 82 lines", self.warnings({"common/a.cc": body}))
        self.assertIn("common/a.cc:1: 1 lines beyond 100 columns", self.warnings({"common/a.cc": "//" + "x" * 99 + "\n"}))
        self.assertIn("common/a.cc: 401 lines, beyond 400", self.warnings({"common/a.cc": "\n" * 401}))


class TheTree(unittest.TestCase):
    def test_follows_the_rules(self):
        found = list(tidy.findings(ROOT, tidy.OWED))
        warnings = [f"{place}: {reason}" for kind, place, reason in found if kind == "warning"]
        if SHOW_WARNINGS:
            print("\n".join(warnings))
        print(f"{len(warnings)} warnings (sizes, owed); tests/tidy/tidy_test.py --warnings prints them")
        errors = [f"{place}: {reason}" for kind, place, reason in found if kind == "error"]
        if errors:
            self.fail("\n" + "\n".join(errors))


SHOW_WARNINGS = "--warnings" in sys.argv

if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--warnings"])
