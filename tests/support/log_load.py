"""Container logs under load for tests and benches: log_writer's lines through an agent and an aggregator, or through a peer,
and log_verifier's word on what became of them."""
import contextlib
import os
import re
import subprocess
import time

from stack import Stack, binaries, get, wait_until

# The agent reads logs and nothing else, so that its figures are those of the road of logs.
LOGS_ONLY = ["logs.kmsg=false", "logs.journal=false", "logs.docker_roots=[/nonexistent]", "probes.enabled=false", "faults.enabled=false",
             "containers.enabled=false", "processes.enabled=false"]


def program(name):
    return os.path.join(binaries(), name)


def collectors_off():
    listed = subprocess.run([program("faultline-agent"), "--list"], capture_output=True, text=True, check=True).stdout
    section = listed.split("collectors:\n", 1)[1].split("\nprobes:", 1)[0]
    return [f"collectors.{line.split()[0]}.enabled=false" for line in section.splitlines() if line.startswith("  ")]


def logs_stack(folder_settings=(), aggregator_settings=()):
    stack = Stack(agent_settings=[*LOGS_ONLY, *collectors_off(), *folder_settings], aggregator_settings=aggregator_settings)
    pods = os.path.join(stack.folder, "pods")
    os.makedirs(pods)
    stack.agent_settings += ["logs.pods_root=" + pods, "logs.containers_root=" + os.path.join(stack.folder, "containers")]
    stack.pods = pods
    return stack


def start_writer(pods, written, *options, first=False):
    """log_writer as a process of its own; what it wrote is told in the file `written`. `first`: it has the CPU that it asks for, as
    if there were more of them (of root only)."""
    command = [program("log_writer"), pods, *map(str, options)]
    if first and os.geteuid() == 0:
        command = ["nice", "-n", "-15", *command]
    with open(written, "w") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)


def finish_writer(writer, seconds=280):
    _, said = writer.communicate(timeout=seconds)
    assert writer.returncode == 0, said
    return said.strip()


def lost_and_twice(said):
    """The two counts in the verifier's line of totals."""
    fields = said.splitlines()[-1].split()
    return int(fields[fields.index("lost") + 1]), int(fields[fields.index("twice") + 1])


def metrics(address):
    """name{labels} -> value."""
    values = {}
    for line in get(f"http://{address}/metrics").decode().splitlines():
        if line and line[0] != "#":
            series, value = line.rsplit(" ", 1)
            values[series] = float(value)
    return values


def total(values, name):
    return sum(value for series, value in values.items() if series == name or series.startswith(name + "{"))


def lost_bytes(values):
    """(container, reason) -> bytes."""
    lost = {}
    for series, value in values.items():
        if series.startswith("faultline_log_lost_bytes_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
            lost[(labels.get("container", ""), labels["reason"])] = value
    return lost


def wait_delivered(stack, pods_bytes, seconds=240):
    """Until the agent has read so many bytes, or counted them as lost, and the aggregator has acknowledged all."""
    def delivered():
        with contextlib.suppress(OSError):
            values = metrics(stack.agent_http)
            read = total(values, "faultline_log_bytes_total") + total(values, "faultline_log_lost_bytes_total")
            return read >= pods_bytes and total(values, "faultline_agent_spool_bytes") == 0
        return False
    wait_until("all lines are delivered", seconds, delivered, 0.1)


def wait_quiet(stack, seconds=240):
    """Until nothing more is read and the aggregator has acknowledged all: for agents that were killed in between, whose counters
    began again."""
    last = [None, 0.0]

    def quiet():
        with contextlib.suppress(OSError):
            values = metrics(stack.agent_http)
            state = (total(values, "faultline_log_bytes_total"), total(values, "faultline_agent_spool_bytes"))
            if state != last[0]:
                last[:] = [state, time.monotonic()]
            return state[1] == 0 and time.monotonic() - last[1] > 12
        return False
    wait_until("the agent has nothing left to read", seconds, quiet, 0.2)


def verify_store(stack, written):
    """Stops the aggregator; (exit code, what the verifier says)."""
    stack.stop("aggregator")
    with open(written) as told:
        done = subprocess.run([program("log_verifier"), "store", os.path.join(stack.folder, "aggregator", "store")], stdin=told,
                              capture_output=True, text=True, timeout=280)
    return done.returncode, (done.stdout + done.stderr).strip()


def verify_text(path, written):
    with open(written) as told:
        done = subprocess.run([program("log_verifier"), "text", path], stdin=told, capture_output=True, text=True, timeout=280)
    return done.returncode, (done.stdout + done.stderr).strip()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(next(line for line in file if line.startswith("Pss:")).split()[1]) / 1024


class Rsyslog:
    """Debian's rsyslog with imfile on the same files, its lines into one text file."""

    def __init__(self, folder, pods):
        here = os.path.dirname(os.path.abspath(__file__))
        found = subprocess.run([os.path.join(here, "peers"), "rsyslogd"], capture_output=True, text=True)
        if found.returncode != 0:
            raise FileNotFoundError(found.stderr.strip())
        daemon = found.stdout.strip()
        root = daemon.split("/usr/sbin/")[0]
        self.output = os.path.join(folder, "rsyslog.out")
        work = os.path.join(folder, "rsyslog")
        os.makedirs(work)
        config = os.path.join(folder, "rsyslog.conf")
        with open(config, "w") as file:
            file.write(f'global(workDirectory="{work}" maxMessageSize="64k")\nmodule(load="imfile" mode="inotify")\n'
                       f'template(name="raw" type="string" string="%msg%\\n")\n'
                       f'input(type="imfile" File="{pods}/*/*/*.log" Tag="bench" ruleset="out" reopenOnTruncate="on")\n'
                       f'ruleset(name="out") {{ action(type="omfile" file="{self.output}" template="raw") }}\n')
        libraries = os.path.join(root, "usr/lib/x86_64-linux-gnu")
        environment = dict(os.environ, LD_LIBRARY_PATH=libraries)
        self.log = open(os.path.join(folder, "rsyslog.log"), "w")
        self.process = subprocess.Popen([daemon, "-n", "-f", config, "-i", os.path.join(work, "pid"), "-M", os.path.join(libraries, "rsyslog")],
                                        env=environment, stdout=self.log, stderr=self.log)

    def written_bytes(self):
        with contextlib.suppress(OSError):
            return os.path.getsize(self.output)
        return 0

    def wait_still(self, seconds=200):
        """Until its output has not grown for five seconds; the CPU it had used when it last grew."""
        last = [-1, time.monotonic(), 0.0]

        def still():
            size = self.written_bytes()
            if size != last[0]:
                last[:] = [size, time.monotonic(), cpu_seconds(self.process.pid)]
            return size > 0 and time.monotonic() - last[1] > 5
        wait_until("rsyslog is done", seconds, still, 0.1)
        return last[2]

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
