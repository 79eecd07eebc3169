"""A real containerd with its CRI plugin, in a mount namespace of the test's own: tmpfs lies over the folders that it and the
kubelet use, so that nothing of the machine's is touched. Call enter() first thing; it starts the script anew in there.

The CRI calls are those of k8s.io/cri-api runtime/v1/api.proto; messages are written by field number, since Debian has no
generated module."""
import contextlib
import glob
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

from stack import skip, wait_until

FOLDERS = ("/run/containerd", "/var/lib/containerd", "/var/log/pods", "/var/log/containers")
IMAGE = "localhost/busybox:1"
PYTHON = "/usr/bin/python3"  # Debian's, which has grpc
NODE = 2                     # runtime.v1.NamespaceMode: the node's network, so that no CNI plugin is needed


def enter():
    """Runs this script again in a mount namespace of its own, or skips with the reason."""
    if os.geteuid() != 0:
        skip("containers need root")
    for program in ("containerd", "ctr", "runc", "unshare"):
        if shutil.which(program) is None:
            skip(f"there is no {program}")
    if not os.path.exists("/bin/busybox"):
        skip("there is no /bin/busybox to make an image of")
    if os.environ.get("TEST_MOUNT_NAMESPACE") != "own":
        if subprocess.run([PYTHON, "-c", "import grpc"], capture_output=True, check=False).returncode != 0:
            skip(f"{PYTHON} has no grpc")
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", "--", PYTHON, *sys.argv],
                   dict(os.environ, TEST_MOUNT_NAMESPACE="own"))
    for folder in FOLDERS:
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


def field(number, value):
    """One protobuf field: bytes and text are length-delimited, integers are varints."""
    def varint(n):
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
        return bytes(out)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def text_map(number, entries):
    return b"".join(field(number, field(1, key) + field(2, value)) for key, value in entries.items())


def first_text(message):
    """Field 1 of a reply: the identity that all of these calls give."""
    assert message[0] == 10, message
    return message[2:2 + message[1]].decode()


class Containerd:
    """with Containerd(folder) as runtime: pod = runtime.run_pod(…); runtime.run_container(pod, …)"""

    def __init__(self, folder):
        self.folder = folder
        self.socket = "/run/containerd/containerd.sock"
        self.pods = []
        self.uids = set()

    def __enter__(self):
        config = os.path.join(self.folder, "containerd.toml")
        with open(config, "w") as file:
            # A machine without CAP_SYS_RESOURCE cannot lower a score; no more is asked of it than it has.
            file.write(f'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "{IMAGE}"\n'
                       "  restrict_oom_score_adj = true\n")
        self.log = open(os.path.join(self.folder, "containerd.log"), "w")
        self.process = subprocess.Popen(["containerd", "--config", config], stdout=self.log, stderr=self.log)
        try:
            wait_until("containerd answers", 30, lambda: self.ctr("version", check=False).returncode == 0)
            self.import_image()
            import grpc
            self.channel = grpc.insecure_channel(f"unix://{self.socket}")
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        for pod, _ in self.pods:
            with contextlib.suppress(Exception):
                self.remove_pod(pod)
        self.process.terminate()
        self.process.wait()
        # runc leaves the cgroups above a container's; rmdir takes only what is empty.
        folders = [f for uid in self.uids for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/*")
                   for f in glob.glob(f"{root}/kubepods/burstable/pod{uid}")]
        for folder in folders:
            for path in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        if kind is not None and kind is not SystemExit:
            with open(self.log.name) as log:
                print("---- containerd.log (tail)\n" + "".join(log.readlines()[-15:]), file=sys.stderr)

    def ctr(self, *arguments, check=True):
        return subprocess.run(["ctr", "--namespace", "k8s.io", *arguments], capture_output=True, text=True, check=check)

    def import_image(self):
        """An image of one file: busybox, with its applets as links."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
            for applet in ("sh", "sleep", "cat", "true", "httpd", "wget", "kill", "ls"):
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sleep", "100000"], "Env": ["PATH=/bin"]},
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}}
        manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
        path = os.path.join(self.folder, "image.tar")
        with tarfile.open(path, "w") as tar:
            for name, content in (("config.json", json.dumps(config).encode()), ("layer.tar", layer.getvalue()),
                                  ("manifest.json", json.dumps(manifest).encode())):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        self.ctr("images", "import", path)

    def call(self, method, request):
        return self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(request, timeout=60)

    def run_pod(self, namespace, name, uid, labels=None):
        """Starts a pod's sandbox in the node's network, below /kubepods/burstable as the kubelet would put it."""
        self.uids.add(uid)
        security = field(1, field(1, NODE))
        config = (field(1, field(1, name) + field(2, uid) + field(3, namespace)) +
                  field(3, f"/var/log/pods/{namespace}_{name}_{uid}") + text_map(6, labels or {}) +
                  field(8, field(1, f"/kubepods/burstable/pod{uid}") + field(2, security)))
        pod = first_text(self.call("RunPodSandbox", field(1, config)))
        self.pods.append((pod, config))
        return pod

    def run_container(self, pod, name, command, attempt=0):
        sandbox = dict(self.pods)[pod]
        config = (field(1, field(1, name) + field(2, attempt)) + field(2, field(1, IMAGE)) +
                  b"".join(field(3, word) for word in command) + field(11, f"{name}/{attempt}.log"))
        container = first_text(self.call("CreateContainer", field(1, pod) + field(2, config) + field(3, sandbox)))
        self.call("StartContainer", field(1, container))
        return container

    def stop_container(self, container):
        self.call("StopContainer", field(1, container))

    def remove_pod(self, pod):
        self.call("StopPodSandbox", field(1, pod))
        self.call("RemovePodSandbox", field(1, pod))
        self.pods = [known for known in self.pods if known[0] != pod]
