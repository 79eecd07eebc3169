#!/usr/bin/env python3
"""Rules of other systems run unchanged and give the verdicts that their own runners give: Debian's monitoring-plugins against
their exit codes, custom plugins of node-problem-detector, an NHC configuration against what its checks ask of this machine, an Aegis rule
file with its scripts."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BIN = os.environ["FAULTLINE_BIN"]
SOURCE = os.environ["FAULTLINE_SOURCE"]
CORPUS = pathlib.Path(os.environ.get("FAULTLINE_CORPUS", "/work/shared/data/corpus"))
NAGIOS = {0: "CHECK_VERDICT_OK", 1: "CHECK_VERDICT_DEGRADED", 2: "CHECK_VERDICT_PROBLEM"}

# Plugins that need nothing but this machine; what they find is theirs to say, even if it is that they cannot tell.
COMMANDS = {
    "load": "check_load -w 100,100,100 -c 200,200,200", "load_crit": "check_load -w 0,0,0 -c 0,0,0",
    "disk": "check_disk -w 1% -c 1% -p /", "disk_crit": "check_disk -w 101% -c 100% -p /",
    "procs": "check_procs -w 1:100000 -c 1:200000", "procs_crit": "check_procs -w 0:0 -c 0:0",
    "procs_z": "check_procs -w 5000 -c 9000 -s Z", "procs_name": "check_procs -c 1: -C no_such_program",
    "users": "check_users -w 100 -c 200", "users_usage": "check_users",
    "swap": "check_swap -w 1% -c 1%", "uptime": "check_uptime",
    "dummy0": "check_dummy 0 fine", "dummy1": "check_dummy 1 'so so'", "dummy2": "check_dummy 2 bad", "dummy3": "check_dummy 3",
    "dummy_text": "check_dummy 0 'x | a=1s;2;3;0;9'",
    "file_age": "check_file_age -f /etc/passwd -w 999999999 -c 999999999", "file_age_old": "check_file_age -f /etc/passwd -w 1 -c 1",
    "file_age_none": "check_file_age -f /no/such/file", "log": "check_log -F /etc/hostname -O /tmp/faultline-check-log.old -q nothing",
    "tcp_refused": "check_tcp -H 127.0.0.1 -p 1 -t 2", "udp": "check_udp -H 127.0.0.1 -p 1 -s x -e y -t 2",
    "http_refused": "check_http -H 127.0.0.1 -p 1 -t 2", "ssh_refused": "check_ssh -p 1 -t 2 127.0.0.1",
    "smtp_refused": "check_smtp -H 127.0.0.1 -p 1 -t 2", "ftp_refused": "check_ftp -H 127.0.0.1 -p 1 -t 2",
    "imap_refused": "check_imap -H 127.0.0.1 -p 1 -t 2", "pop_refused": "check_pop -H 127.0.0.1 -p 1 -t 2",
    "nntp_refused": "check_nntp -H 127.0.0.1 -p 1 -t 2", "jabber_refused": "check_jabber -H 127.0.0.1 -p 1 -t 2",
    "clamd_refused": "check_clamd -H 127.0.0.1 -p 1 -t 2", "ntp_time": "check_ntp_time -H 127.0.0.1 -t 2",
    "ntp_peer": "check_ntp_peer -H 127.0.0.1 -t 2", "time": "check_time -H 127.0.0.1 -p 1 -t 2",
    "ping": "check_ping -H 127.0.0.1 -w 100,20% -c 500,60% -p 1", "icmp": "check_icmp -H 127.0.0.1 -n 1",
    "mailq": "check_mailq -w 10 -c 20", "sensors": "check_sensors", "ide_smart": "check_ide_smart -d /dev/null",
    "apt": "check_apt -t 8", "mrtg": "check_mrtg -F /no/such -w 1 -c 2 -a AVG -v 1", "mrtgtraf": "check_mrtgtraf -F /no/such -w 1,1 -c 2,2 -a AVG",
    "ups_refused": "check_ups -H 127.0.0.1 -u x -p 1 -T 2", "nt_refused": "check_nt -H 127.0.0.1 -p 1 -v CLIENTVERSION -t 2",
    "nwstat": "check_nwstat -H 127.0.0.1 -p 1 -t 2 -v UPTIME", "overcr": "check_overcr -H 127.0.0.1 -p 1 -v LOAD1 -t 2",
    "real_refused": "check_real -H 127.0.0.1 -p 1 -t 2", "spop_refused": "check_spop -H 127.0.0.1 -p 1 -t 2",
    "simap_refused": "check_simap -H 127.0.0.1 -p 1 -t 2", "ssmtp_refused": "check_ssmtp -H 127.0.0.1 -p 1 -t 2",
    "cluster": "check_cluster -s -d 0,1,0,2 -w 1 -c 2", "negate": "negate -s @check_dummy 2 x", "by_ssh": "check_by_ssh -H 127.0.0.1 -p 1 -C true -t 2",
    "rpc": "check_rpc -H 127.0.0.1 -C nfs", "dig": "check_dig -H 127.0.0.1 -p 1 -l x.invalid -t 2", "dns": "check_dns -H x.invalid -s 127.0.0.1 -t 2",
}


def check_once(roots, rules, selector="*"):
    done = subprocess.run([f"{BIN}/check_once", ",".join(roots), rules, selector], capture_output=True, text=True, timeout=120)
    results = {}
    for line in done.stdout.splitlines():
        result = json.loads(line)
        results[result["rule"]] = result
    if not results:
        print(done.stderr)
    return results


def script(path, body):
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)


def compare(name, ours, theirs, failures):
    if ours != theirs:
        failures.append(f"{name}: ours {ours}, theirs {theirs}")


def plugins(folder, failures):
    found = subprocess.run([f"{SOURCE}/tests/support/peers", "monitoring_plugins"], capture_output=True, text=True)
    if found.returncode == 77:
        print(found.stderr.strip())
        return 0
    where = found.stdout.strip()
    lines, own = [], {}
    for name, line in COMMANDS.items():
        words = line.replace("@", where + "/").split(" ")
        if not os.access(f"{where}/{words[0]}", os.X_OK):
            continue
        lines.append(f"command[{name}]={where}/{line.replace('@', where + '/')}")
        own[name] = None
    (folder / "nrpe.cfg").write_text("\n".join(lines) + "\n")
    ours = check_once([where], str(folder / "nrpe.cfg"))
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}
    used = set()
    for line in lines:
        name, command = line[len("command["):].split("]=", 1)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=where, env=environment, timeout=60)
        verdict = NAGIOS.get(done.returncode, "CHECK_VERDICT_UNKNOWN")
        result = ours.get(f"nagios/{name}")
        if result is None:
            failures.append(f"{name}: no result")
            continue
        compare(f"{name} ({command.split('/')[-1]})", result["verdict"], verdict, failures)
        used.add(command.split()[0])
    figures = ours.get("nagios/dummy_text", {})
    if "nagios/dummy_text" in ours and figures.get("perfdata", [{}])[0].get("unit") != "s":
        failures.append(f"figures of dummy_text: {figures}")
    print(f"monitoring-plugins: {len(used)} plugins, {len(lines)} command lines, {len(failures)} differ")
    return len(used)


def npd(folder, failures):
    script(folder / "check_ntp.sh", 'echo "ntp is not here, it is not"; exit 1\n')
    script(folder / "good.sh", "echo fine\n")
    script(folder / "odd.sh", "echo odd; exit 7\n")
    rules = [{"type": "permanent", "condition": "NTPProblem", "reason": "NTPIsDown", "path": str(folder / "check_ntp.sh"), "timeout": "3s"},
             {"type": "temporary", "reason": "Good", "path": str(folder / "good.sh")},
             {"type": "temporary", "reason": "Odd", "path": str(folder / "odd.sh")}]
    (folder / "npd.json").write_text(json.dumps({
        "plugin": "custom", "pluginConfig": {"invoke_interval": "30s", "timeout": "5s", "max_output_length": 10, "concurrency": 3},
        "source": "s", "metricsReporting": True, "rules": rules,
        "conditions": [{"type": "NTPProblem", "reason": "NTPIsUp", "message": "ntp service is up"}]}, indent="\t"))
    ours = check_once([str(folder)], str(folder / "npd.json"))
    compare("npd NonOK", ours["npd/s/condition/NTPProblem"]["verdict"], "CHECK_VERDICT_PROBLEM", failures)
    compare("npd message", ours["npd/s/condition/NTPProblem"]["message"], "ntp is not", failures)
    compare("npd OK", ours["npd/s/event/Good"]["verdict"], "CHECK_VERDICT_OK", failures)
    compare("npd Unknown", ours["npd/s/event/Odd"]["verdict"], "CHECK_VERDICT_UNKNOWN", failures)


def nhc(folder, failures):
    """What each line asks is asked of this machine by Python as well."""
    memory = {l.split(":")[0]: int(l.split()[1]) for l in open("/proc/meminfo")}
    root = os.statvfs("/")
    load = float(open("/proc/loadavg").read().split()[0])
    cores = os.cpu_count()
    lines = {
        "check_hw_mem_free 1mb": True, "check_hw_physmem 1kb 900tb": True, "check_hw_physmem 900tb 900tb 1%": False,
        "check_hw_swap 1kb 900tb": 1 <= memory["SwapTotal"], "check_hw_eth lo": True, "check_hw_eth no_such0": False, "check_fs_free / 0%": True, "check_fs_free / 100%": False,
        "check_fs_used / 100%": True, "check_fs_ifree / 1": root.f_ffree >= 1 or root.f_files == 0,
        "check_file_test -r -w -x -d -k /tmp /var/tmp": oct(os.stat("/tmp").st_mode)[-4] == "1" and oct(os.stat("/var/tmp").st_mode)[-4] == "1",
        "check_file_test -r -s /etc/passwd /etc/group": True, "check_file_test -f /no/such": False,
        "check_file_test -c -r -w /dev/null /dev/zero": True, "check_file_stat -m 0644 -u 0 -g 0 /etc/passwd": os.stat("/etc/passwd").st_mode & 0o777 == 0o644,
        'check_file_contents /etc/passwd "/^root:x:0:0:/"': True, 'check_file_contents /etc/passwd "nobody-at-all:*"': False,
        "check_ps_service no_such_daemon": False, "check_ps_loadavg 100000": load < 100000,
        "check_hw_cpuinfo": True, f"check_hw_cpuinfo 1000 {cores}": False, "check_ps_blacklist no_such_daemon": True,
        "check_hw_swap 0 0": memory["SwapTotal"] >= 0, "check_ps_loadavg $((1000*HW_CORES))": True,
        "check_fs_mount -t proc -f /proc": True, "check_fs_mount_rw -f /no/such": False,
        "check_fs_mount_rw -0 -f /no/such": True, "check_fs_mount /proc '*' proc": True, "check_fs_mount /proc '!proc'": False,
        "check_fs_mount -e 'reboot -f' -O x -t proc -s '*' -s '!nowhere*' -f /proc": True,
        "check_file_test -! -e /no/such": True, "check_file_test -rs '/etc/passw[d]'": True, "check_file_test -L /etc/passwd": False,
        "check_file_stat -t 1 -T 3 -m 0666 /dev/null": True, "check_file_stat -T 4 /dev/null": False, "check_file_stat -M 0444 -o 1 /etc/passwd": True,
        "check_file_stat -n 1 /etc/passwd": False, "check_file_contents /etc/passwd '!/^root:/'": False,
        "check_ps_service -k no_such_daemon": True, "check_ps_service -0 no_such_daemon": True, "check_ps_daemon no_such_daemon root": False,
        "check_ps_loadavg '' '' 0": False, "check_ps_cpu -A 100000%": True, "check_ps_mem -A 1k": False, "check_ps_time -A 900000m": True,
        f"check_hw_cpuinfo '' '' {cores + 1}": False, "check_fs_used / 0%": False, "check_fs_size / 1k 1k": False, "check_all_fs_used proc 1%": True,
        "check_net_socket -p tcp -s LISTEN -l '127.9.9.9:1'": False, "check_net_socket -! -p tcp -s LISTEN -l '127.9.9.9:1'": True,
        "check_fs_free / 0% && check_hw_eth lo; check_hw_eth no_such0": False, "check_fs_free / 0%  # a word": True,
        "check_hw_mem_free 1mb && check_file_test -d $HOME_OF_NHC": True, "check_ps_loadavg $HW_CORES$HW_CORES$HW_CORES$HW_CORES$HW_CORES$HW_CORES": True,
    }
    (folder / "nhc.conf").write_text("* || export HOME_OF_NHC='/tmp'\n" + "".join(f" * || {line}\n" for line in lines))
    ours = check_once([str(folder)], str(folder / "nhc.conf"))
    counts = {}
    for line, good in lines.items():
        name = line.split()[0]
        counts[name] = counts.get(name, 0) + 1
        rule = f"nhc/{name}" + (f"#{counts[name]}" if counts[name] > 1 else "")
        result = ours.get(rule, {})
        compare(f"nhc {line}: {result.get('message')}", result.get("verdict"),
                "CHECK_VERDICT_OK" if good else "CHECK_VERDICT_PROBLEM", failures)


def running():
    """(user, first word) of all processes."""
    told = subprocess.run(["ps", "-eo", "user:32=,args="], capture_output=True, text=True).stdout
    return [(line.split()[0], (line.split() + [""])[1]) for line in told.splitlines() if line.split()]


def published_nhc(folder, failures):
    """The published configuration as it is, and its lines that are commented out: what Python can tell of this machine is compared."""
    memory = {l.split(":")[0]: int(l.split()[1]) for l in open("/proc/meminfo")}
    free = memory["MemFree"] + memory["Buffers"] + memory["Cached"]
    mounts = {l.split()[1]: l.split()[2:4] for l in open("/proc/mounts")}
    load = float(open("/proc/loadavg").read().split()[0])
    facts = {
        "check_hw_physmem_free 1MB": free >= 1024, "check_hw_swap_free 1MB": memory["SwapFree"] >= 1024, "check_hw_mem_free 1mb": free >= 1024,
        "check_hw_physmem 32gb 32gb 5%": abs(memory["MemTotal"] - (32 << 20)) <= memory["MemTotal"] * 5 // 100,
        "check_hw_swap 8g 8g 3%": abs(memory["SwapTotal"] - (8 << 20)) <= memory["SwapTotal"] * 3 // 100,
        "check_hw_ib 40": False if not os.path.exists("/sys/class/infiniband") else None, "check_hw_gm myri0": False, "check_hw_eth eth1": "eth1:" in open("/proc/net/dev").read(),
        "check_fs_mount_rw -f /": "rw" in mounts["/"][1].split(","), "check_fs_mount_rw -t tmpfs -f /tmp": mounts.get("/tmp", [""])[0] == "tmpfs",
        "check_file_test -r -w -x -d -k /tmp /var/tmp": all(os.stat(d).st_mode & 0o1000 for d in ("/tmp", "/var/tmp")),
        "check_file_test -r -s /etc/passwd /etc/group": True, "check_file_test -c -r -w /dev/null /dev/zero": True,
        "check_file_stat -m 0666 -u 0 -g 0 -t 1 -T 3 /dev/null": os.stat("/dev/null").st_mode & 0o7777 == 0o666,
        "check_file_stat -n 7200 /var/log/messages": False if not os.path.exists("/var/log/messages") else None,
        'check_file_contents /etc/passwd "/^root:x:0:0:/" "sshd:*"': any(l.startswith("sshd:") for l in open("/etc/passwd")),
        "check_ps_service -u root -S sshd": any(u == "root" and w.rstrip(":").endswith("sshd") for u, w in running()),
        "check_ps_service -r crond": any(w.endswith("crond") for _, w in running()), "check_ps_service -c mysqld": any(w.endswith("mysqld") for _, w in running()),
        "check_ps_daemon wulfd root": False, "check_ps_service -d rpc.statd -r nfslock": any(w.endswith("rpc.statd") for _, w in running()),
        "check_ps_loadavg 24": load < 23 or (None if load < 25 else False), "check_moab_rm -t 10": "UNKNOWN", "check_ps_unauth_users log syslog kill": "UNKNOWN",
        "check_nv_healthmon": None if os.path.exists("/usr/bin/nvidia-healthmon") else "SKIPPED",
    }
    for path in sorted((CORPUS / "nhc" / "conf").glob("*.conf")):
        lines = [line.strip().lstrip("#").strip() for line in path.read_text().splitlines()]
        lines = [line for line in lines if re.match(r"\*\s*\|\| ", line) and not line.endswith(".")]
        as_it_is = check_once([str(folder)], str(path), "nhc/*")
        (folder / "nhc-all.conf").write_text("".join(line + "\n" for line in lines))
        ours = check_once([str(folder)], str(folder / "nhc-all.conf"), "nhc/*")
        agreed, differ, untold, seen = 0, 0, 0, {}
        for line in (line.split("|| ", 1)[1] for line in lines):
            name = line.split()[0]
            if name == "export":
                continue
            seen[name] = seen.get(name, 0) + 1
            rule = f"nhc/{name}" + (f"#{seen[name]}" if seen[name] > 1 else "")
            wanted = facts.get(line)
            if rule not in ours:
                failures.append(f"{path.name}: {line}: no result")
            elif wanted is None:
                untold += 1
            else:
                wanted = wanted if isinstance(wanted, str) else "OK" if wanted else "PROBLEM"
                before = len(failures)
                compare(f"{path.name}: {line}: {ours[rule].get('message')}", ours[rule]["verdict"], f"CHECK_VERDICT_{wanted}", failures)
                differ += len(failures) - before
                agreed += len(failures) == before
        active = [rule for rule in as_it_is if rule.startswith("nhc/")]
        print(f"NHC {path.name}: {len(active)} checks as it is; with those that are commented out {len(ours)} rules, {agreed} agreed, {differ} differ, "
              f"{untold} that Python does not tell")


def aegis(folder, failures):
    script(folder / "mount.sh", "exit 0\n")
    script(folder / "nic.sh", "echo nic count 0 not equal to 2; exit 23\n")
    script(folder / "both.sh", """cat <<'END'
some log
results:
  ib:
  - {item: check_ib_mount, condition: IBDeviceMountFailed, level: emergency, status: false, message: ""}
  nic:
  - {item: check_nic_count, condition: NICCountUNexpected, level: warning, status: true, message: "nic count 0 not equal to 2"}
END
""")
    (folder / "aegis.yaml").write_text(f"""rules:
- module: ib
  item: check_ib_mount
  reason: IBDeviceMountFailed
  file: {folder}/mount.sh
  level: emergency
  timeout: 15s
- module: nic
  item: check_nic_count
  reason: NICCountUNexpected
  file: {folder}/nic.sh
  level: warning
  timeout: 15s
- module: all
  item: both
  reason: Both
  file: {folder}/both.sh
  level: warning
  timeout: 15s
""")
    ours = check_once([str(folder)], str(folder / "aegis.yaml"))
    compare("aegis 0", ours["aegis/ib/check_ib_mount"]["verdict"], "CHECK_VERDICT_OK", failures)
    compare("aegis 23", ours["aegis/nic/check_nic_count"]["verdict"], "CHECK_VERDICT_PROBLEM", failures)
    compare("aegis status false", ours["aegis/all/both/ib/check_ib_mount"]["verdict"], "CHECK_VERDICT_OK", failures)
    compare("aegis status true", ours["aegis/all/both/nic/check_nic_count"]["verdict"], "CHECK_VERDICT_PROBLEM", failures)


def main():
    failures = []
    with tempfile.TemporaryDirectory(prefix="faultline-rules-") as name:
        folder = pathlib.Path(name)
        npd(folder, failures)
        nhc(folder, failures)
        published_nhc(folder, failures)
        aegis(folder, failures)
        used = plugins(folder, failures)
    for failure in failures:
        print("FAIL", failure)
    if used == 0 and not failures:
        return 77
    return 1 if failures or used < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
