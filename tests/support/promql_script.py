"""Prometheus' test scripts for PromQL (load, clear, eval, eval_fail, eval_ordered, eval range, expect …): read, and run
against any server that takes remote write and answers the query API."""
import math
import re
import struct

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}


class ScriptError(Exception):
    pass


def duration_ms(text):
    if re.fullmatch(r"-?[0-9.]+", text):
        return round(float(text) * 1000)
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if "".join(a + b for a, b in parts) != text:
        raise ScriptError(f"no duration: {text}")
    return sum(int(count) * UNITS[unit] for count, unit in parts)


def number(text):
    lowered = text.lower().lstrip("+")
    if lowered in ("inf", "-inf", "nan"):
        return float(lowered)
    return float(int(text, 0)) if text.lower().startswith(("0x", "-0x")) else float(text)


def values(text):
    """`1 2 _ _x3 0+10x5 1x4 stale` to a list with None where there is no sample."""
    out = []
    for word in text.split():
        repeated = re.fullmatch(r"_x(\d+)", word)
        grows = re.fullmatch(r"([+-]?[^x_+-]*(?:[eE][+-]\d+)?[^x_+-]*)([+-](?:[^x]+))x(\d+)", word)
        constant = re.fullmatch(r"(.+)x(\d+)", word)
        if word == "_":
            out.append(None)
        elif repeated:
            out += [None] * int(repeated.group(1))
        elif word == "stale":
            out.append(STALE)
        elif grows and not word.lower().startswith("0x"):
            start, step = number(grows.group(1)), number(grows.group(2))
            value = start
            for _ in range(int(grows.group(3)) + 1):
                out.append(value)
                value += step
        elif constant and not word.lower().startswith("0x"):
            out += [number(constant.group(1))] * (int(constant.group(2)) + 1)
        else:
            out.append(number(word))
    return out


def unescape(quoted):
    body = quoted[1:-1]
    if quoted[0] == "`":
        return body
    plain = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)",
                  lambda m: plain.get(m[1]) or (chr(int(m[1][1:], 16)) if m[1][0] in "xuU" else chr(int(m[1], 8))), body)


def series(text):
    """`name{a="b"} rest` to (labels, rest)."""
    match = re.match(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*", text)
    labels = {}
    at = match.end()
    if match.group(1):
        labels["__name__"] = match.group(1)
    if text[at:at + 1] == "{":
        at += 1
        while True:
            at = re.compile(r"[\s,]*").match(text, at).end()
            if text[at:at + 1] == "}":
                at += 1
                break
            pair = re.compile(r"""([a-zA-Z_][a-zA-Z0-9_]*|"(?:\\.|[^"\\])*")\s*(=\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`))?""").match(text, at)
            if not pair:
                raise ScriptError(f"no labels: {text}")
            if pair.group(2):
                labels[pair.group(1).strip('"')] = unescape(pair.group(3))
            else:
                labels["__name__"] = unescape(pair.group(1))
            at = pair.end()
    return {k: v for k, v in labels.items() if v != ""}, text[at:].strip()


class Eval:
    def __init__(self, line, kind, expression):
        self.line, self.kind, self.expression = line, kind, expression
        self.at_ms = self.start_ms = self.end_ms = self.step_ms = 0
        self.fails = self.ordered = False
        self.message = self.pattern = None
        self.expected = []  # (labels, [values]) or (None, [scalar])
        self.text = None


def parse(text):
    """[(section's series, its evals)], a section for each `clear`."""
    sections, loaded, evals = [], [], []
    lines = text.split("\n")
    i = 0
    while i < len(lines):
        line = lines[i].split("#")[0].strip() if not lines[i].strip().startswith("#") else ""
        raw = lines[i].strip()
        i += 1
        if not line or raw.startswith("#"):
            continue
        if line == "clear":
            sections.append((loaded, evals))
            loaded, evals = [], []
        elif line.startswith(("load ", "load_with_nhcb ")):
            step = duration_ms(line.split()[1])
            while i < len(lines) and lines[i].strip():
                raw = lines[i].strip()
                i += 1
                if raw.startswith("#"):
                    continue
                labels, rest = series(raw)
                if "{{" in rest:
                    raise ScriptError(f"line {i}: native histograms")
                loaded.append((labels, [(n * step, v) for n, v in enumerate(values(rest.split(" #")[0])) if v is not None]))
        elif raw.startswith("eval"):
            i = parse_eval(raw, lines, i, evals)
        else:
            raise ScriptError(f"line {i}: {raw}")
    sections.append((loaded, evals))
    return [s for s in sections if s[1]]


def parse_eval(raw, lines, i, evals):
    command = raw.split()[0]
    instant = re.match(r"eval(?:_fail|_ordered|_warn|_info)?\s+instant\s+(?:at\s+(\S+)\s+)?(.*)", raw)
    span = re.match(r"eval(?:_fail|_warn|_info)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)", raw)
    if instant:
        one = Eval(i, "instant", instant.group(2))
        one.at_ms = duration_ms(instant.group(1) or "0")
    elif span:
        one = Eval(i, "range", span.group(4))
        one.start_ms, one.end_ms, one.step_ms = (duration_ms(span.group(n)) for n in (1, 2, 3))
    else:
        raise ScriptError(f"line {i}: {raw}")
    one.fails = command == "eval_fail"
    one.ordered = command == "eval_ordered"
    while i < len(lines) and lines[i].strip():
        row = lines[i].strip()
        i += 1
        if row.startswith("#"):
            continue
        expects = re.match(r"(?:expect\s+(\w+)|(expected_fail_message|expected_fail_regexp))\s*(.*)", row)
        if expects:
            what, rest = expects.group(1) or expects.group(2), expects.group(3)
            one.fails |= what in ("fail", "expected_fail_message", "expected_fail_regexp")
            one.ordered |= what == "ordered"
            if what == "string":
                one.text = unescape(rest)
            for key, field in (("msg:", "message"), ("regex:", "pattern")):
                if what == "fail" and rest.startswith(key):
                    setattr(one, field, rest[len(key):].strip())
            if what == "expected_fail_message":
                one.message = rest
            if what == "expected_fail_regexp":
                one.pattern = rest
        elif "{{" in row:
            raise ScriptError(f"line {i}: native histograms")
        elif re.fullmatch(r"[+-]?(?:[0-9.]+(?:[eE][+-]?\d+)?|0x[0-9a-fA-F]+|[iI]nf|[nN]a[nN])", row):
            one.expected.append((None, [number(row)]))
        else:
            labels, rest = series(row)
            one.expected.append((labels, values(rest)))
    evals.append(one)
    return i


def close(a, b):
    if a is None or b is None:
        return a is b
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if abs(a) + abs(b) < 1e-300 or a == 0 or b == 0:
        return abs(a - b) < 1e-6 * 2.3e-308 or abs(a - b) < 1e-12
    return abs(a - b) / min(abs(a) + abs(b), 1.7e308) < 1e-6


def check(one, ask):
    """None, or what is wrong. `ask(path, parameters)` answers the JSON of a query."""
    if one.kind == "range":
        reply = ask("/api/v1/query_range", {"query": one.expression, "start": one.start_ms / 1000, "end": one.end_ms / 1000,
                                            "step": one.step_ms / 1000})
    else:
        reply = ask("/api/v1/query", {"query": one.expression, "time": one.at_ms / 1000})
    if one.fails:
        if reply["status"] != "error":
            return f"must fail, but is {str(reply)[:200]}"
        if one.message and one.message not in reply["error"]:
            return f"error must be {one.message}, but is {reply['error']}"
        if one.pattern and not re.search(one.pattern, reply["error"]):
            return f"error must match {one.pattern}, but is {reply['error']}"
        return None
    if reply["status"] != "success":
        return f"failed: {reply['error']}"
    kind, result = reply["data"]["resultType"], reply["data"]["result"]
    if one.text is not None:
        return None if kind == "string" and result[1] == one.text else f"must be {one.text!r}, but is {result}"
    if kind == "string":
        return None
    if kind == "scalar":
        wanted = one.expected[0][1][0] if len(one.expected) == 1 else None
        return None if wanted is not None and close(float(result[1]), wanted) else f"must be {one.expected}, but is {result}"
    return check_series(one, result)


def check_series(one, result):
    if one.kind == "instant":
        found = [(e["metric"], [float(e["value"][1])]) if "value" in e else (e["metric"], [float(v[1]) for v in e["values"]]) for e in result]
    else:
        found = []
        for e in result:
            by_time = {round(float(t) * 1000): float(v) for t, v in e["values"]}
            found.append((e["metric"], [by_time.get(t) for t in range(one.start_ms, one.end_ms + 1, one.step_ms)]))
    expected = [(labels or {}, row) for labels, row in one.expected]
    if one.kind == "range":
        steps = (one.end_ms - one.start_ms) // one.step_ms + 1
        expected = [(labels, row + [None] * (steps - len(row))) for labels, row in expected]
    if len(found) != len(expected):
        return f"must be {len(expected)} series, but is {found}"
    key = lambda pair: sorted(pair[0].items())
    if not one.ordered:
        found, expected = sorted(found, key=key), sorted(expected, key=key)
    for (labels, row), (wanted, wanted_row) in zip(found, expected):
        if labels != wanted:
            return f"must be {wanted}, but is {labels}"
        if len(row) != len(wanted_row) or not all(map(close, row, wanted_row)):
            return f"{labels} must be {wanted_row}, but is {row}"
    return None


def check_middle(one, ask):
    """An instant query and a range query around it must agree at its time."""
    if one.kind != "instant" or one.fails or one.ordered or one.text is not None or re.search(r"@\s*(start|end)", one.expression):
        return None
    instant = ask("/api/v1/query", {"query": one.expression, "time": one.at_ms / 1000})
    if instant["status"] != "success" or instant["data"]["resultType"] != "vector":
        return None
    around = ask("/api/v1/query_range", {"query": one.expression, "start": one.at_ms / 1000 - 60, "end": one.at_ms / 1000 + 60, "step": 60})
    if around["status"] != "success":
        # Two series may meet at another step only.
        return None if "same labelset" in around["error"] or "many-to-many" in around["error"] else f"as a range: {around['error']}"
    at = {tuple(sorted(e["metric"].items())): float(v) for e in around["data"]["result"] for t, v in e["values"] if round(float(t) * 1000) == one.at_ms}
    for e in instant["data"]["result"]:
        metric = tuple(sorted(e["metric"].items()))
        if metric not in at or not close(at[metric], float(e["value"][1])):
            return f"as a range {metric} is {at.get(metric)}, as an instant {e['value'][1]}"
    return None if len(at) == len(instant["data"]["result"]) else f"as a range there are {len(at)} series"
