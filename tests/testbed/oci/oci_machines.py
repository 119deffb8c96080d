"""A real host for each instance of the fake cloud: a container with systemd, sshd and cloud-init.

What a launch request holds is what the host gets: its SSH key, its user data (cloud-init really carries it out), its
name. It also has the firewall rules of Oracle's Ubuntu images, which reject all but SSH. Not real: the kernel is this
machine's, and the metadata comes from a folder (cloud-init's NoCloud) instead of Oracle's metadata service.

No host outlives the process that started it, however that ends: a guard at the other end of a pipe removes them.
"""

from __future__ import annotations

import base64
import io
import json
import os
import pathlib
import subprocess
import tarfile
import uuid

from oci_world import Json
from onebox_testbed import docker as engine
from onebox_testbed import hosts, images
from onebox_testbed.base import CHECKOUT, LABEL, TestbedError

OWNER = "onebox.testbed.oci"

# What makes this Debian behave like Oracle's Ubuntu image: the user's name, and the network is the container's affair.
_CLOUD_CFG = """datasource_list: [NoCloud]
network: {config: disabled}
preserve_hostname: true
system_info:
  default_user:
    name: ubuntu
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    shell: /bin/bash
    lock_passwd: true
"""
# /etc/iptables/rules.v4 of Oracle's Ubuntu images, without the chain for their metadata service.
_RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p udp --sport 123 -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
# An engine without a registry gets its images like this. Later requests find them there.
_LOAD = """[Service]
TimeoutStartSec=600
ExecStartPost=/bin/sh -c '[ -e /var/lib/docker/testbed-loaded ] || docker load -q -i /testbed/standins.tar'
ExecStartPost=/bin/touch /var/lib/docker/testbed-loaded
"""


class Machines:
    """Hosts by the OCID of their instance; hand ``start`` and ``end`` to a World.

    Args:
        standins: an archive of images; the host's Docker, once the role has installed it, loads it at its first start,
            because no registry answers here.
    """

    def __init__(self, standins: pathlib.Path | None = None) -> None:
        socket = engine.find()
        if socket is None:
            raise TestbedError("no Docker engine answers; run: make testbed")
        self._socket = socket
        self._standins = standins
        self._owner = f"{CHECKOUT}-{uuid.uuid4().hex[:8]}"
        self._network = f"obx-{self._owner}"
        self._image = images.ensure(socket, "debian13-cloud")
        self._names: dict[str, str] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Machines:
        # Its input ends when this process does: by then no other process can clean up.
        script = (
            f"cat >/dev/null; left=$(docker ps -aq --filter label={OWNER}={self._owner}); "
            f'[ -z "$left" ] || docker rm -f -v $left >/dev/null; docker network rm {self._network} >/dev/null'
        )
        self._guard = subprocess.Popen(
            ["sh", "-c", script],
            stdin=subprocess.PIPE,
            env={**os.environ, **engine.environment(self._socket)},
            start_new_session=True,
        )
        engine.docker(self._socket, "network", "create", self._network)
        return self

    def __exit__(self, *unused: object) -> None:
        if self._guard is not None:
            self._guard.communicate(timeout=120)

    def start(self, instance: Json) -> str:
        """Start the host of a launch request (with its ``id``); returns its address."""
        if self._guard is None:
            raise TestbedError("hosts are started within a with block only")
        identity = str(instance["id"])
        name = f"obx-{self._owner}-{identity.rpartition('.')[2]}"
        argv = ["create", "--name", name, "--hostname", str(instance["displayName"]), "--network", self._network]
        argv += ["--label", f"{LABEL}={CHECKOUT}", "--label", f"{OWNER}={self._owner}", *hosts.run_arguments()]
        if self._standins is not None:
            argv += ["-v", f"{self._standins}:/testbed/standins.tar:ro"]
        engine.docker(self._socket, *argv, self._image)
        self._names[identity] = name
        # Not by way of run(): it takes text.
        subprocess.run(
            ["docker", "cp", "-", f"{name}:/"],
            input=_files(instance, self._standins is not None),
            env={**os.environ, **engine.environment(self._socket)},
            check=True,
            capture_output=True,
        )
        engine.docker(self._socket, "start", name)
        return self.address(identity)

    def address(self, identity: str) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return engine.docker(self._socket, "inspect", "-f", form, self._names[identity])

    def end(self, identity: str) -> None:
        """Remove a host and its disk; one that never started is not an error."""
        name = self._names.pop(identity, "")
        if name:
            engine.docker(self._socket, "rm", "-f", "-v", name)

    def alive(self) -> list[str]:
        """Names of the containers that exist, as the engine says."""
        form = ["--filter", f"label={OWNER}={self._owner}", "--format", "{{.Names}}"]
        return engine.docker(self._socket, "ps", "-a", *form).split()

    def inside(self, identity: str, command: str) -> str:
        """Run a shell command on a host as root; returns what it printed."""
        return engine.docker(self._socket, "exec", self._names[identity], "sh", "-c", command)

    def console(self, identity: str) -> str:
        """What cloud-init prints on the serial console of a host: its SSH host keys, in the lines of the real one."""
        ready = "test -e /run/cloud-init/result.json"  # before that, the keys of the image are replaced
        keys = self.inside(identity, f"! {ready} || cat /etc/ssh/ssh_host_*_key.pub")
        lines = [f"[   17.52] cloud-init[911]: {line}" for line in keys.splitlines()]
        return "\n".join(["-----BEGIN SSH HOST KEY KEYS-----", *lines, "-----END SSH HOST KEY KEYS-----", ""])

    def move(self, identity: str) -> str:
        """Give a host another address, as Oracle does with an ephemeral one; returns it."""
        name, before = self._names[identity], self.address(identity)
        engine.docker(self._socket, "network", "disconnect", self._network, name)
        argv = ["--name", f"{name}-taker", "--network", self._network, "--entrypoint", "sleep"]
        argv += ["--label", f"{LABEL}={CHECKOUT}", "--label", f"{OWNER}={self._owner}"]
        engine.docker(self._socket, "run", "-d", *argv, self._image, "600")
        engine.docker(self._socket, "network", "connect", self._network, name)
        engine.docker(self._socket, "rm", "-f", f"{name}-taker")
        after = self.address(identity)
        if after == before:
            raise TestbedError(f"{name} got its former address {before} again")
        return after


def _files(instance: Json, standins: bool) -> bytes:
    metadata = instance.get("metadata") or {}
    seed = {
        "instance-id": instance["id"],
        "local-hostname": instance["displayName"],
        "public-keys": str(metadata.get("ssh_authorized_keys", "")).splitlines(),
    }
    user_data = base64.b64decode(metadata.get("user_data", "")) or b"#cloud-config\n{}\n"
    files = {
        "etc/cloud/cloud.cfg.d/99-testbed.cfg": _CLOUD_CFG.encode(),
        "etc/iptables/rules.v4": _RULES.encode(),
        "var/lib/cloud/seed/nocloud/meta-data": json.dumps(seed).encode(),
        "var/lib/cloud/seed/nocloud/user-data": user_data,
    }
    if standins:
        files["etc/systemd/system/docker.service.d/testbed.conf"] = _LOAD.encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder in ("var/lib/cloud/seed", "var/lib/cloud/seed/nocloud", "etc/systemd/system/docker.service.d"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
