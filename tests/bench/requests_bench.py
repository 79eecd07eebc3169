#!/usr/bin/env python3
"""nginx under wrk at a rate that wrk holds by waiting (10,000 requests a second), interleaved without and with the agent
that makes a span of every request: latency, the agent's CPU time, and spans beside requests. Asserts nothing.
   requests_bench.py [SECONDS [ROUNDS]]"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

SOURCE = os.path.abspath(os.environ.get("FAULTLINE_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
BIN = os.environ.get("FAULTLINE_BIN", os.path.join(SOURCE, "build", "release", "bin"))
NGINX = """worker_processes 1; daemon off; master_process off; pid {w}/pid; error_log {w}/error.log crit;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {w}/a; proxy_temp_path {w}/b; fastcgi_temp_path {w}/c; uwsgi_temp_path {w}/d;
scgi_temp_path {w}/e; keepalive_requests 10000000;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }}
location = /status {{ stub_status; }} }} }}
"""
CONNECTIONS, DELAY_MS = 100, 9
SCRIPT = f"function delay() return {DELAY_MS} end\n"


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def metric(port, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name, line))


def served(port):
    """Requests that nginx itself has counted, this one included."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10).read().decode()
    return int(text.split("requests", 1)[1].split()[2])


def wrk(work, port, seconds):
    out = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", f"{work}/delay.lua",
                          f"http://127.0.0.1:{port}/users/7"], capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    at = {p: (float(v) * {"us": 1, "ms": 1e3, "s": 1e6}[unit])
          for p, v, unit in re.findall(r"(50|75|90|99)%\s+([\d.]+)(us|ms|s)", out)}
    return requests, rate, at["50"], at["99"]


def start_agent(work, port):
    command = [os.path.join(BIN, "faultline-agent"), "--set", f"state_dir={work}/agent", "--set",
               f"http.listen=127.0.0.1:{port}", "--set", "uplink.enabled=false", "--set", "logs.enabled=false", "--set",
               "faults.enabled=false", "--set", "probes.requests.max_spans_per_second=100000"]
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{work}/agent.log", "w", encoding="utf8"))
    for _ in range(600):
        try:
            metric(port, "nothing")
            time.sleep(2)
            return agent
        except OSError:
            time.sleep(0.1)
    agent.kill()
    agent.wait()
    raise RuntimeError(open(f"{work}/agent.log", encoding="utf8").read())


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    nginx = shutil.which("nginx") or subprocess.run([os.path.join(SOURCE, "tests", "support", "peers"), "nginx"],
                                                    capture_output=True, text=True, check=False).stdout.strip()
    if not nginx or shutil.which("wrk") is None:
        print("skip: needs nginx and wrk")
        return 77
    work = tempfile.mkdtemp(prefix="faultline-requests-")
    port, agent_port = 18080 + os.getpid() % 1000, 19080 + os.getpid() % 1000
    for name, text in (("nginx.conf", NGINX.format(w=work, port=port)), ("delay.lua", SCRIPT)):
        with open(f"{work}/{name}", "w", encoding="utf8") as file:
            file.write(text)
    # In a cgroup of its own, so that its requests are told from others' on this machine.
    cgroup = f"/faultline-bench-{os.getpid()}"
    folder = next(f for f in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(f + "/cgroup.procs")) + cgroup
    os.mkdir(folder)

    def enter():
        with open(folder + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    server = subprocess.Popen([nginx, "-c", f"{work}/nginx.conf"], preexec_fn=enter)
    plain, traced = [], []
    try:
        time.sleep(1)
        wrk(work, port, 1)
        for _ in range(rounds):
            plain.append(wrk(work, port, seconds))
            agent = start_agent(work, agent_port)
            try:
                cpu = cpu_seconds(agent.pid)
                idle_at, before = time.time(), served(port)
                time.sleep(3)
                idle = (cpu_seconds(agent.pid) - cpu) / (time.time() - idle_at)
                cpu, begin = cpu_seconds(agent.pid), time.time()
                run = wrk(work, port, seconds)
                cpu, took = cpu_seconds(agent.pid) - cpu, time.time() - begin
                requests = served(port) - before
                time.sleep(2.5)
                # One more is nginx's page, asked for before. None was without a span.
                counted = r'container_http_request_duration_seconds_count\{.*id="' + cgroup + '"'
                made = metric(agent_port, counted) - 1
                made -= metric(agent_port, "faultline_requests_without_span_total")
                dropped = metric(agent_port, r'faultline_probe_dropped_total\{.*probe="requests"')
                traced.append((requests,) + run[1:] + (made, dropped, 100 * cpu / took, 100 * idle))
            finally:
                agent.terminate()
                agent.wait()
    finally:
        server.terminate()
        server.wait()
        os.rmdir(folder)
        shutil.rmtree(work, ignore_errors=True)
    median = statistics.median
    print(f"rate     untraced {median(r[1] for r in plain):8.0f}/s   traced {median(r[1] for r in traced):8.0f}/s")
    for name, i in (("p50", 2), ("p99", 3)):
        a, b = [r[i] for r in plain], [r[i] for r in traced]
        print(f"{name}      untraced {median(a):8.0f} us [{min(a):.0f}..{max(a):.0f}]   traced {median(b):8.0f} us"
              f" [{min(b):.0f}..{max(b):.0f}]   ratio {median(b) / median(a):.3f}  n={len(a)}")
    for requests, *_, made, dropped, cpu, idle in traced:
        print(f"requests {requests}  spans {made:.0f}  dropped {dropped:.0f}  agent {cpu:.1f} % of a core (idle {idle:.1f} %)")
    return 0


sys.exit(main())
