#!/usr/bin/env python3
"""Prometheus' rule files: the same rules over the same series, evaluated by us step by step and given to `promtool test
rules` as what it must find: every alert, label and annotation at every minute. Then the real aggregator sends to a stock
Alertmanager: firing, resolved, sent again; and its API says what Prometheus' would. Skips what cannot be had here."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "e2e")]
import promql_script
import stack

RULES = TESTS / "fixtures/rules/shop.yml"
MINUTES = 40


def peer(name):
    found = subprocess.run([TESTS / "support/peers", name], capture_output=True, text=True)
    if found.returncode != 0:
        print(f"{name} is left out: {found.stderr.strip()}")
        return None
    return pathlib.Path(found.stdout.strip())


def series():
    rng = random.Random(7)
    errors = lambda rate: " ".join(str(v) for v in promql_script.values(f"0+{rate * 60:g}x12 {rate * 720:g}+0x8 {rate * 720:g}+{rate * 60:g}x20"))
    up = lambda: " ".join(rng.choice(["1", "1", "0", "_"]) for _ in range(MINUTES))
    return {'errors_total{shop="north"}': errors(2), 'errors_total{shop="south"}': errors(0.7),
            'errors_total{shop="west"}': errors(0.2), 'up{job="api server", instance="web1.example.com:9090"}': up(),
            'up{job="db", instance="[::1]:5432"}': up(), 'gauge{kind="big"}': "1234567.5 0 -3 0.00012 8e9 100000 90061.5 NaN Inf -Inf 0.5 60 3599.9 2048",
            'gauge{kind="small"}': "0.25 _ 1 1000 1e-7 1435065584.128 42"}


QUERIES = ["shop:errors:rate5m", "shop:errors:double", "always", "ALERTS", "ALERTS_FOR_STATE"]


def ours(written):
    parsed = []
    for name, text in written.items():
        labels, _ = promql_script.series(name)
        samples = [[i * 60_000, repr(v).replace("inf", "Inf").replace("nan", "NaN")] for i, v in enumerate(promql_script.values(text)) if v is not None]
        parsed.append({"labels": labels, "samples": samples})
    program = os.path.join(stack.binaries(), "rules_run")
    done = subprocess.run([program, RULES], input=json.dumps({"interval_ms": 60_000, "until_ms": MINUTES * 60_000, "series": parsed, "queries": QUERIES}),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expression_of(labels):
    name = labels.pop("__name__", "")
    return name + "{" + ", ".join(f"{k}={json.dumps(v)}" for k, v in sorted(labels.items())) + "}"


def check_against_promtool(promtool):
    written = series()
    steps = ours(written)
    names = ["ManyErrors", "Down", "Numbers", "Simple"]
    alerts, expressions, firing = [], [], 0
    for step in steps:
        at = f"{step['time_ms'] // 60_000}m"
        for name in names:
            expected = []
            for alert in step["alerts"]:
                if alert["name"] != name or alert["state"] != "firing":
                    continue
                firing += 1
                labels = {k: v for k, v in alert["labels"].items() if k != "alertname"}
                expected.append({"exp_labels": labels, "exp_annotations": alert["annotations"]})
            alerts.append({"eval_time": at, "alertname": name, "exp_alerts": expected})
        for query, answer in zip(QUERIES, step["queries"]):
            samples = [{"labels": expression_of(dict(a["labels"])), "value": a["value"]} for a in answer]
            if not any("NaN" in s["value"] for s in samples):
                samples = [dict(s, value=float(s["value"])) for s in samples]
                expressions.append({"expr": query, "eval_time": at, "exp_samples": samples})
    assert firing > 100, firing
    test = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{
        "interval": "1m", "input_series": [{"series": k, "values": v} for k, v in written.items()],
        "alert_rule_test": alerts, "promql_expr_test": expressions}]}
    with tempfile.TemporaryDirectory(prefix="faultline-rules-") as folder:
        file = pathlib.Path(folder) / "test.yml"
        file.write_text(json.dumps(test))  # JSON is YAML
        done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, (done.stdout + done.stderr)[:6000]
    print(f"promtool agrees: {len(steps)} steps, {firing} firing alerts, {len(expressions)} queries of recorded series")


def check_limit():
    """More than the group's limit are none, as an error; in promtool that would end the whole test."""
    with tempfile.TemporaryDirectory(prefix="faultline-rules-") as folder:
        file = pathlib.Path(folder) / "limit.yml"
        file.write_text("groups: [{name: limited, limit: 1, rules: [{alert: TooMany, expr: 'up > 0'}]}]")
        up = [{"labels": {"__name__": "up", "i": str(i)}, "samples": [[0, "1"], [60_000, str(i)]]} for i in range(2)]
        done = subprocess.run([os.path.join(stack.binaries(), "rules_run"), file], capture_output=True, text=True, timeout=60,
                              input=json.dumps({"interval_ms": 60_000, "until_ms": 60_000, "series": up, "queries": ["ALERTS"]}))
        first, second = json.loads(done.stdout.splitlines()[-1])  # the log goes there too
        assert first["alerts"] == [] and first["queries"] == [[]] and len(second["alerts"]) == 1, done.stdout


def check_refused(s, promtool):
    """What promtool refuses, start-up refuses, with the place."""
    broken = {"unknown field": 'groups: [{name: a, rules: [{record: x, expr: "1", fro: 5m}]}]', "bad expression": 'groups: [{name: a, rules: [{record: x, expr: "sum("}]}]',
              "both": 'groups: [{name: a, rules: [{record: x, alert: y, expr: "1"}]}]', "no name": 'groups: [{rules: []}]',
              "bad duration": 'groups: [{name: a, rules: [{alert: x, expr: "1", for: soon}]}]', "twice": "groups: [{name: a}, {name: a}]",
              "for of a record": 'groups: [{name: a, rules: [{record: x, expr: "1", for: 5m}]}]', "bad template": 'groups: [{name: a, rules: [{alert: x, expr: "1", annotations: {a: "{{ nope }}"}}]}]',
              "bad label": 'groups: [{name: a, rules: [{alert: x, expr: "1", labels: {"a-b": c}}]}]'}
    for what, text in broken.items():
        file = pathlib.Path(s.folder) / "broken.yml"
        file.write_text(text)
        if promtool:
            assert subprocess.run([promtool, "check", "rules", file], capture_output=True).returncode != 0, what
        done = subprocess.run([os.path.join(s.bin, "faultline-aggregator"), "--config", "/dev/null", "--set", f"state_dir={s.folder}/refused",
                               "--set", f"rules.files=[{file}]", "--set", "security.keys=" + s.keys, "--set", "http.listen=127.0.0.1:0",
                               "--set", "ingest.listen=tcp://127.0.0.1:0"], capture_output=True, text=True, timeout=30)
        assert done.returncode != 0 and "broken.yml" in done.stderr, (what, done.stderr)


def check_sending(alertmanager, promtool):
    port = stack.free_port()
    with tempfile.TemporaryDirectory(prefix="faultline-rules-") as name:
        folder = pathlib.Path(name)
        (folder / "am.yml").write_text("route: {receiver: none, group_wait: 0s}\nreceivers: [{name: none}]\n")
        rules = folder / "live.yml"
        rules.write_text('groups: [{name: live, interval: 200ms, rules: [{record: "double", expr: "signal * 2"},'
                         ' {alert: High, expr: "double > 10", for: 400ms, labels: {severity: page}, annotations: {text: "is {{ $value }}"}}]}]')
        settings = [f"rules.files=[{folder}/*.yml]", f"rules.alertmanagers=[http://127.0.0.1:{port}]", "rules.resend_delay=500ms", "rules.external_labels.site=lab"]
        (folder / "am.yml").rename(folder / "am.yaml")
        log = open(folder / "am.log", "w")
        # Debian's wants its templates below /usr/share: it sees those of its unpacked package there, in a mount namespace.
        share = alertmanager.parents[1] / "share" if alertmanager else None
        process = subprocess.Popen(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', share,
                                    alertmanager, f"--config.file={folder}/am.yaml", f"--storage.path={folder}/am", "--cluster.listen-address=",
                                    f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log) if alertmanager else None
        try:
            with stack.Stack(aggregator_settings=settings) as s:
                check_refused(s, promtool)
                s.start_aggregator()
                live(s, port, process is not None, rules)
        finally:
            if process:
                process.terminate()
                process.wait(20)
        if not alertmanager:
            return
        log.close()


def write(s, value):
    import promql_differential_test as remote
    remote.Server("faultline", s.http).write([({"__name__": "signal", "host": "h1"}, [(int(time.time() * 1000), value)])])


def live(s, port, has_alertmanager, rules):
    manager = lambda path: json.loads(stack.get(f"http://127.0.0.1:{port}{path}"))
    write(s, 3)
    stack.wait_until("the recorded series", 20, lambda: s.value("double") == 6)
    assert s.api("/api/v1/alerts")["data"]["alerts"] == []
    write(s, 8)
    alerts = stack.wait_until("the alert fires", 20, lambda: [a for a in s.api("/api/v1/alerts")["data"]["alerts"] if a["state"] == "firing"])
    assert alerts[0]["labels"] == {"alertname": "High", "host": "h1", "severity": "page"} and alerts[0]["annotations"] == {"text": "is 16"}, alerts
    assert alerts[0]["value"] == "1.6e+01" and alerts[0]["activeAt"].endswith("Z"), alerts
    group = s.api("/api/v1/rules")["data"]["groups"][0]
    assert group["name"] == "live" and group["interval"] == 0.2 and group["file"] == str(rules), group
    record, alert = group["rules"]
    assert record["type"] == "recording" and record["health"] == "ok" and alert["state"] == "firing" and alert["duration"] == 0.4, group
    assert [r["name"] for r in s.api("/api/v1/rules", type="alert")["data"]["groups"][0]["rules"]] == ["High"]
    assert s.value('ALERTS{alertname="High", alertstate="firing", host="h1"}') == 1
    assert s.api("/api/v1/alertmanagers")["data"]["activeAlertmanagers"][0]["url"] == f"http://127.0.0.1:{port}/api/v2/alerts"
    if has_alertmanager:
        def there():
            try:
                return [a for a in manager("/api/v2/alerts") if a["labels"]["alertname"] == "High"]
            except OSError:
                return []
        sent = stack.wait_until("Alertmanager has it", 30, there)[0]
        assert sent["labels"] == {"alertname": "High", "host": "h1", "severity": "page", "site": "lab"} and sent["annotations"] == {"text": "is 16"}, sent
        assert "g0.expr=double" in sent["generatorURL"] and sent["status"]["state"] == "active", sent
        stack.wait_until("it is sent again", 30, lambda: (now := there()) and now[0]["endsAt"] > sent["endsAt"])
        amtool = pathlib.Path(subprocess.run([TESTS / "support/peers", "amtool"], capture_output=True, text=True).stdout.strip() or "/nowhere")
        if amtool.exists():
            shown = subprocess.run([amtool, f"--alertmanager.url=http://127.0.0.1:{port}", "alert", "query", "-o", "json"], capture_output=True, text=True)
            assert json.loads(shown.stdout)[0]["labels"]["alertname"] == "High", shown
    write(s, 1)
    stack.wait_until("it is resolved", 20, lambda: s.api("/api/v1/alerts")["data"]["alerts"] == [])
    if has_alertmanager:
        stack.wait_until("Alertmanager knows it is resolved", 30, lambda: not there())
    assert s.query("ALERTS") == []
    rules.write_text(rules.read_text().replace("High", "Higher"))
    s.processes["aggregator"].send_signal(1)  # SIGHUP
    stack.wait_until("the rules are read again", 20, lambda: s.api("/api/v1/rules", type="alert")["data"]["groups"][0]["rules"][0]["name"] == "Higher")
    rules.write_text("groups: nonsense")
    s.processes["aggregator"].send_signal(1)
    stack.wait_until("the error is logged", 20, lambda: "the old rules stay" in open(os.path.join(s.folder, "aggregator.log")).read())
    assert s.api("/api/v1/rules", type="alert")["data"]["groups"][0]["rules"][0]["name"] == "Higher"


if os.geteuid() != 0:
    stack.skip("Alertmanager's templates are mounted where it looks for them, which needs root")
prometheus = peer("prometheus")
promtool = prometheus.with_name("promtool") if prometheus else None
if promtool:
    check_against_promtool(promtool)
check_limit()
check_sending(peer("alertmanager"), promtool)
print("ok")
