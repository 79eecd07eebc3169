"""The house's rules that a program can check. Each check yields (kind, place, reason): an error fails the test, a warning
is a smell that is printed with a count. Reads the files that git tracks (or all below a folder that has no git)."""

import pathlib
import re
import subprocess

SOURCE = {".cc", ".h", ".c"}
SCRIPT = {".py", ".sh"}

# What a folder may include of ours besides itself, common/ and the generated faultline/v1/. A path that ends in .h is
# that interface only. Nobody includes what is not named here; agent and aggregator never include each other.
MAY_INCLUDE = {
    "common": [],
    "bpf": [],
    "agent/containers": [],
    "agent/collectors": ["agent/containers"],
    "agent/logs": ["agent/collectors/collector.h", "agent/containers/container_index.h"],
    "agent/probes": ["agent/collectors/collector.h", "agent/containers", "bpf"],
    "agent/faults": ["agent/containers", "bpf"],
    "agent/checks": ["agent/containers"],
    "agent/otlp": [],
    "agent": ["agent"],
    "aggregator/store": [],
    "aggregator/query": ["aggregator/store", "aggregator/labels/ground_truth.h"],
    "aggregator/objects": ["aggregator/store"],
    "aggregator/otlp": ["aggregator/store"],
    "aggregator/traces": ["aggregator/otlp", "aggregator/store"],
    "aggregator/labels": ["aggregator/store"],
    "aggregator/kube": ["aggregator/objects"],
    "aggregator/experiments": ["aggregator/fleet.h", "aggregator/objects", "aggregator/labels", "aggregator/query",
                               "aggregator/store"],
    "aggregator/diagnosis": ["aggregator/query", "aggregator/labels", "aggregator/store"],
    "aggregator/alerts": ["aggregator/http_client.h", "aggregator/objects", "aggregator/query", "aggregator/store"],
    "aggregator/checks": ["aggregator/fleet.h", "aggregator/objects", "aggregator/store"],
    "aggregator/datasets": ["aggregator/labels", "aggregator/query", "aggregator/store"],
    "aggregator/api": ["aggregator"],
    "aggregator/cli": ["aggregator/objects"],
    "aggregator": ["aggregator"],
}

# Library -> where its headers may appear (prefix of the path), and nowhere else.
BORDERS = {
    r"zmq(_addon)?\.hpp|zmq\.h": ["common/zmq_transport", "aggregator/cli/"],
    r"rocksdb/": ["aggregator/store/", "agent/spool"],
    r"bpf/(lib)?bpf\.h|bpf/btf\.h|.*\.skel\.h": ["agent/probes/", "agent/faults/"],
    r"boost/beast": ["agent/agent_http.cc", "aggregator/api/http_", "aggregator/http_client.cc",
                      "aggregator/cli/", "aggregator/kube/"],
    r"boost/asio": ["agent/agent_http.cc", "agent/event_loop.cc", "agent/otlp/", "aggregator/api/http_",
                    "aggregator/http_client.cc",
                    "aggregator/cli/", "aggregator/kube/"],
    r"prometheus/": ["common/self_metrics.cc"],
    r"yaml-cpp/": ["common/config.cc", "common/yaml_documents.cc", "agent/checks/contracts/rule_text.cc",
                    "aggregator/objects/", "aggregator/cli/"],
    r"CLI/": ["common/program_options.cc", "aggregator/cli/"],
    r"openssl/": ["common/", "aggregator/api/", "aggregator/cli/", "aggregator/kube/"],
}

# Call or habit -> what to do instead. Checked outside comments and texts.
BANS = {
    r"(?<![\w.:>])(std::)?system\s*\(": "start programs with posix_spawn and a fixed argument list",
    r"(?<![\w.>])popen\s*\(": "start programs with posix_spawn and a fixed argument list",
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok)\s*\(": "std::string, fmt::format",
    r"\b(atoi|atol|atof|strtol|strtoul|strtod)\s*\(": "the parsers of common/text.h, which say when it is no number",
    r"\bstd::format\b|<format>": "fmt::format: GCC 12 has no std::format",
    r"(?<!\w)using\s+namespace\b(?!\s+std::(chrono_)?literals)": "name what is used",
    r"\bdynamic_cast\s*<": "a virtual method",
    r"(?<![\w:])assert\s*\(": "FAULTLINE_ASSERT, which is on in release",
}
# In tests a fuzzer's extern "C" function cannot live in our namespace, and a crooked number on a command line is no harm.
NOT_IN_TESTS = ("using", "ato", "strto")
DETACH = re.compile(r"\.detach\s*\(")
# A thread that may hang for ever in the kernel (a dead mount) cannot be joined.
MAY_DETACH = {"agent/blocking_leaf.cc", "agent/checks/builtin_pool.cc", "agent/probes/stack_namer.cc", "common/statfs_pool.cc"}
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
EMPTY_WORDS = {"data", "info", "manager", "handler", "helper", "helpers", "util", "utils", "misc", "processor"}

MAX_COLUMNS = 100
MAX_FILE_LINES = 400
MAX_LEAF_LINES = 200
MAX_FUNCTION_LINES = 70
MAX_README_LINES = 15
FORMATS = {"common/WIRE.md": "common/transport.h", "aggregator/store/FORMAT.md": "aggregator/store/store.h",
           "agent/SPOOL_FORMAT.md": "agent/spool.h"}


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False)
        if listed.returncode == 0:
            names = [n for n in listed.stdout.decode().split("\0") if n]
        else:
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]
        self.files = sorted(n for n in names if (self.root / n).is_file())
        self.texts = {}

    def text(self, name):
        if name not in self.texts:
            self.texts[name] = (self.root / name).read_text(errors="replace")
        return self.texts[name]

    def of(self, suffixes, *folders):
        return [n for n in self.files if pathlib.PurePath(n).suffix in suffixes
                and (not folders or n.split("/")[0] in folders)]


def code_only(text):
    """The text with comments, strings and characters blanked, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def folder_rule(name):
    """The entry of MAY_INCLUDE that governs a file: its folder or the nearest above."""
    folder = str(pathlib.PurePath(name).parent)
    while folder not in MAY_INCLUDE and "/" in folder:
        folder = folder.rsplit("/", 1)[0]
    return folder if folder in MAY_INCLUDE else None


def layering(tree):
    include = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
    for name in tree.of(SOURCE, "common", "agent", "aggregator", "bpf"):
        rule = folder_rule(name)
        if rule is None:
            yield "error", name, "a folder that tests/tidy does not know: say in MAY_INCLUDE what it may include"
            continue
        text = tree.text(name)
        for match in include.finditer(text):
            target = match.group(2)
            place = f"{name}:{line_of(text, match.start(2))}"
            for library, allowed in BORDERS.items():
                if re.fullmatch(f"(?:{library}).*", target) and not name.startswith("bpf/") \
                        and not any(name.startswith(a) for a in allowed):
                    yield "error", place, f"<{target}> may be included only in {', '.join(allowed)}"
            top = target.split("/")[0]
            if match.group(1) == "<" or top not in ("common", "agent", "aggregator", "bpf", "tests"):
                continue
            if top == "tests":
                yield "error", place, "the product does not include its tests"
                continue
            if rule in ("common", "bpf") and top != rule:
                yield "error", place, f"{rule}/ does not include {top}/"
                continue
            own = target.startswith(rule + "/") and rule not in ("agent", "aggregator")
            granted = any(target == g or target.startswith(g + "/") for g in MAY_INCLUDE[rule])
            if top not in ("common",) and not own and not granted:
                yield "error", place, f"{rule}/ does not include {target}"


def bans(tree):
    for name in tree.of(SOURCE):
        code = code_only(tree.text(name))
        for pattern, instead in BANS.items():
            for match in re.finditer(pattern, code):
                found = match.group(0).strip()
                if name.startswith("tests/") and found.startswith(NOT_IN_TESTS):
                    continue
                yield "error", f"{name}:{line_of(code, match.start())}", f"`{found}` is banned: {instead}"
        for match in DETACH.finditer(code):
            if name not in MAY_DETACH and not name.startswith("tests/"):
                yield "error", f"{name}:{line_of(code, match.start())}", "a detached thread outlives what it uses: join it"
    for name in tree.of(SOURCE | SCRIPT | {".md", ".proto", ".txt", ".cmake", ".yaml"}):
        if name.startswith("tests/fixtures/") or "/corpus/" in name:
            continue
        for match in LEFTOVER.finditer(tree.text(name)):
            # mktemp's XXXXXX is no leftover, and \b keeps it out; a lone mark is one.
            yield "error", f"{name}:{line_of(tree.text(name), match.start())}", f"leftover `{match.group(0)}`: do it or write an issue"


def words(identifier):
    return [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", identifier)]


def names(tree):
    declared = re.compile(r"^\s*(?:class|struct|enum class|enum|using)\s+(?:\[\[\w+\]\]\s*)?([A-Z]\w+)", re.M)
    for name in tree.of(SOURCE | {".proto"}, "common", "agent", "aggregator", "bpf", "proto"):
        stem = pathlib.PurePath(name).stem
        if stem != "meminfo" and EMPTY_WORDS & set(stem.replace(".", "_").split("_")):
            yield "error", name, "a file name that says nothing"
        if name.endswith(".proto"):
            continue
        code = code_only(tree.text(name))
        for match in declared.finditer(code):
            empty = EMPTY_WORDS & set(words(match.group(1)))
            if empty:
                yield "error", f"{name}:{line_of(code, match.start(1))}", f"{match.group(1)}: `{empty.pop()}` says nothing"


def sizes(tree):
    for name in tree.of(SOURCE):
        lines = tree.text(name).splitlines()
        long = [i + 1 for i, line in enumerate(lines) if len(line) > MAX_COLUMNS]
        if long:
            yield "warning", f"{name}:{long[0]}", f"{len(long)} lines beyond {MAX_COLUMNS} columns"
        folder = str(pathlib.PurePath(name).parent)
        leaf = folder in ("agent/collectors", "agent/faults", "agent/probes") and name.endswith(".cc") \
            and name[:-3] + ".h" not in tree.files
        limit = MAX_LEAF_LINES if leaf else MAX_FILE_LINES
        if len(lines) > limit and "catalogue" not in name and not name.startswith("tests/"):
            yield "warning", name, f"{len(lines)} lines, beyond {limit}"
        yield from long_functions(name, lines)


def long_functions(name, lines):
    begin = None
    for i, line in enumerate(lines):
        if begin is None and re.match(r"^[A-Za-z].*[)a-z] \{$|^  [A-Za-z].*\) (const |override |noexcept )*\{$", line) \
                and not re.match(r"^(namespace|class|struct|enum|extern|union|static constexpr|constexpr|const)\b", line):
            begin = (i, len(line) - len(line.lstrip()))
        elif begin is not None and line == " " * begin[1] + "}":
            if i - begin[0] + 1 > MAX_FUNCTION_LINES:
                yield "warning", f"{name}:{begin[0] + 1}", f"a function of {i - begin[0] + 1} lines"
            begin = None


def catalogue_rows(text):
    """The texts of each row of each array of rows, and where it begins."""
    for array in re.finditer(r"constexpr\s+\w*(?:Row|Route)\s+k\w+\[\]\s*=\s*\{(.*?)\n\s*\};", text, re.S):
        for row in re.finditer(r'\{\s*("(?:\\.|[^"\\])*".*?)\}\s*(?:,|$)', array.group(1), re.S):
            joined = re.sub(r'"\s*\n\s*"', "", row.group(1))
            yield array.start(1) + row.start(), re.findall(r'"((?:\\.|[^"\\])*)"', joined)


def catalogues(tree):
    # The rules themselves name what is owed.
    tests = "\n".join(tree.text(n) for n in tree.of(SOURCE | SCRIPT, "tests") if not n.startswith("tests/tidy/"))
    mentioned = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", tests))
    for name in [n for n in tree.of({".cc"}, "agent", "aggregator") if n.endswith("catalogue.cc")]:
        text = tree.text(name)
        for at, texts in catalogue_rows(text):
            place = f"{name}:{line_of(text, at)}"
            is_route = len(texts) > 1 and re.fullmatch(r"[A-Z]+( [A-Z]+)*", texts[0])
            key, doc = (texts[1], texts[2:]) if is_route else (texts[0], texts[1:])
            if not any(len(text.split()) >= 2 for text in doc):
                yield "error", place, f"{key}: a row needs a line of documentation"
            if is_route:
                path = re.sub(r"\{.*", "", key)
                if path.rstrip("/") not in tests:
                    yield "error", place, f"no test mentions {path}"
            elif key not in mentioned and key not in tests:
                yield "error", place, f"no test mentions {key}"


def fault_rows(tree):
    """Faults keep their row beside their code; the catalogue lists the names."""
    listed = tree.text("agent/faults/fault_catalogue.cc") if "agent/faults/fault_catalogue.cc" in tree.files else ""
    for name in [n for n in tree.of({".cc"}, "agent") if n.startswith("agent/faults/")]:
        text = tree.text(name)
        for row in re.finditer(r"^extern const FaultRow (k\w+) = \{(.*?)^\};", text, re.S | re.M):
            place = f"{name}:{line_of(text, row.start())}"
            fault = re.search(r'\.name = "(\w+)"', row.group(2))
            if not re.search(r'\.doc =\s*"[^"]+ [^"]+', row.group(2)):
                yield "error", place, f"{row.group(1)}: a row needs a line of documentation"
            if not re.search(rf"\b{row.group(1)},", listed):
                yield "error", place, f"{row.group(1)} is not in the catalogue"
            # conformance_test.cc tries each row of the catalogue by its own example.
            needs = re.search(r"required = true", row.group(2)) and ".example" not in row.group(2)
            if fault is None or needs:
                yield "error", place, f"{row.group(1)}: a name and an example are needed"


def documents(tree):
    folders = {str(pathlib.PurePath(n).parent) for n in tree.of({".cc", ".c"}, "agent", "aggregator", "bpf")}
    for folder in sorted(folders):
        readme = f"{folder}/README.md"
        if readme not in tree.files:
            if folder.count("/") >= 1:
                yield "error", folder, f"no README.md: what is here, and how to add a thing (at most {MAX_README_LINES} lines)"
            continue
        lines = len(tree.text(readme).splitlines())
        if lines > MAX_README_LINES:
            yield "error", readme, f"{lines} lines; at most {MAX_README_LINES}"
    for document, code in FORMATS.items():
        if code in tree.files and document not in tree.files:
            yield "error", document, f"missing: {code} keeps a format"
    for name in tree.of({".h"}, "common", "agent", "aggregator"):
        text = tree.text(name)
        if not text.startswith("//"):
            yield "error", f"{name}:1", "a header opens with what it is"
        if "#pragma once" not in text:
            yield "error", f"{name}:1", "no #pragma once"


# What is owed to these rules, by the text of the finding. It only gets shorter: an entry that nothing matches any more is
# printed, to be taken out.
OWED = []

CHECKS = [layering, bans, names, sizes, catalogues, fault_rows, documents]


def findings(root, owed=()):
    tree = Tree(root)
    paid = set(owed)
    for check in CHECKS:
        for kind, place, reason in check(tree):
            text = f"{re.sub(r':[0-9]+$', '', place)}: {reason}"
            entry = next((o for o in owed if text == o or text.startswith((o + ":", o + " "))), None)
            if kind == "error" and entry is not None:
                paid.discard(entry)
                kind = "warning"
            yield kind, place, reason
    for entry in sorted(paid):
        yield "warning", "tests/tidy/tidy.py", f"no longer owed, take it out: {entry}"
