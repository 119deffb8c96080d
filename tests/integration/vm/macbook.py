# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated Mac on Linux: the real site.yml with the real values of the inventory's macbook.

Podman as a remote client, the machine that it boots, docker-compose, the stack and Ansible are real. ``brew`` and
``launchctl`` are simulated and refuse unknown arguments. User, ports and network have their own namespace, so that no
process of this host uses the ports 8081 and 9876.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import re
import shutil
import subprocess
import time
import typing as t

from machine_lab import AS_USER, ROOT, Lab

USER = "97layer"
TESTBED = ROOT / "tests/testbed/mac"
RETIRED = ("os", "snapshot_daemon", "technical_daemon", "telegram_daemon", "sync", "gcp", "mcp", "watchdog")
AGENT = "com.97layer.podman"
_HOLD = """\
mount --make-rprivate /
mount --bind "$1" /etc/passwd
ip link set lo up
echo ready
exec sleep infinity
"""


_ASK = """\
import sys, urllib.request as request
url, body = sys.argv[1], sys.argv[2].encode() if sys.argv[2:] else None
opener = request.build_opener(request.ProxyHandler({}))
asked = request.Request(url, body, {"Content-Type": "application/json"})
print(opener.open(asked, timeout=60).read().decode())
"""


class Play(t.NamedTuple):
    """The result of a playbook. ``counts`` are those of the recap."""

    code: int
    counts: dict[str, int]
    said: str
    seconds: float


class MacBook(Lab):
    """``home`` must be short: a unix socket's path has at most 107 characters."""

    _holder: subprocess.Popen[str] | None = None

    def __init__(self, home: pathlib.Path, tree: pathlib.Path, compose: str) -> None:
        super().__init__(home, tree)
        conf = home / ".config/containers/containers.conf"
        # Podman of a Mac is only a client; this configures Podman of Linux as one.
        conf.write_text(conf.read_text() + "remote = true\n")
        brew = home / "brew"
        (brew / "bin").mkdir(parents=True)
        (brew / "bin/brew").symlink_to(TESTBED / "fake_brew.py")
        (brew / "cellar.json").write_text(
            json.dumps({"podman": [str(self.bin / "podman")], "docker-compose": [compose]})
        )
        tools = home / "tools"  # of macOS itself, or inside podman's package
        tools.mkdir()
        for name in ("qemu-img", "ssh", "ssh-keygen", "qemu-system-x86_64"):
            (tools / name).symlink_to(self.bin / name)
        self.workspace = home / "97layerOS"
        shutil.copytree(ROOT / "stacks/97layer/app", self.workspace, ignore=shutil.ignore_patterns("__pycache__"))
        self.stack = home / "stack"
        shutil.copytree(ROOT / "stacks/97layer", self.stack, ignore=shutil.ignore_patterns("__pycache__"))
        # An emulated processor cannot start three Pythons in five seconds, so the health checks run less often.
        compose_file = self.stack / "compose.yml"
        slower = (
            compose_file.read_text().replace("interval: 5s", "interval: 60s").replace("timeout: 5s", "timeout: 60s")
        )
        compose_file.write_text(slower)
        self.agents = home / "Library/LaunchAgents"
        self.launchd = home / "launchd.json"
        self.env.update(
            {
                "USER": USER,
                "PATH": f"{brew}/bin:{tools}:{ROOT}/.venv/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "FAKE_BREW": str(brew / "cellar.json"),
                "FAKE_LAUNCHD": str(self.launchd),
                "ONEBOX_LAB_CONSOLE": str(home / "console.log"),
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_HOME": str(home / ".ansible"),
                "ANSIBLE_LOCAL_TEMP": str(home / ".ansible-tmp"),
                "LC_ALL": "C.UTF-8",
            }
        )
        self._old_system()
        if AS_USER:
            self._holder = self._hold()

    def _old_system(self) -> None:
        """Create the state before the migration: eight agents, the machine's agent, and Python caches of the host."""
        self.agents.mkdir(parents=True)
        jobs = {}
        for name in (*RETIRED, "podman"):
            label = f"com.97layer.{name}"
            path = self.agents / f"{label}.plist"
            words = ["/usr/bin/python3", str(self.workspace / f"execution/{name}.py")]
            path.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": words, "KeepAlive": True}))
            jobs[f"gui/{self.uid}/{label}"] = {"path": str(path), "pid": 0}
        domains = [f"gui/{self.uid}", f"user/{self.uid}"]
        self.launchd.write_text(json.dumps({"macos": 15, "slow": 2, "domains": domains, "jobs": jobs, "disabled": {}}))
        clutter = self.workspace / "libs/__pycache__"
        clutter.mkdir(parents=True)
        (clutter / "core.cpython-39.pyc").write_bytes(b"x")
        (self.workspace / ".DS_Store").write_bytes(b"Bud1")

    @property
    def uid(self) -> int:
        return 1000 if AS_USER else os.geteuid()

    def _hold(self) -> subprocess.Popen[str]:
        """Create the namespaces, in a process that keeps them until it is killed."""
        passwd = self.home / "passwd"
        ours = f"{USER}:x:{self.uid}:{self.uid}::{self.home}:/bin/sh\n"
        passwd.write_text(ours + pathlib.Path("/etc/passwd").read_text())
        holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-ec", _HOLD, "sh", str(passwd)], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        return holder

    def prefix(self) -> list[str]:
        if self._holder is None:
            return []
        return ["nsenter", "-t", str(self._holder.pid), "--net", "--mount", "--", *AS_USER]

    def close(self) -> None:
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            assert self._holder.stdout is not None
            self._holder.stdout.close()

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a program in the background."""
        return subprocess.Popen([*self.prefix(), *argv], env={**self.env, "CONTAINERS_MACHINE_PROVIDER": "qemu"})

    def play(self, playbook: str = "site.yml", *words: str, **values: t.Any) -> Play:
        """Run a playbook on the inventory's macbook, as its user would."""
        given = {
            "podman_machine_provider": "qemu",
            "podman_machine_cpus": 2,
            "podman_machine_memory": "2048 MiB",
            "podman_machine_disk_size": "10 GiB",
            "podman_machine_image": str(self.bin.parent / "vm/disk.qcow2"),
            "podman_machine_timezone": "UTC",
            "podman_machine_timeout_start": 500.0,
            "podman_machine_packages": ["podman", "docker-compose"],
            "podman_machine_launchctl": str(TESTBED / "fake_launchctl.py"),
            "host_hygiene_launchctl": str(TESTBED / "fake_launchctl.py"),
            "layer97_workspace": str(self.workspace),
            "compose_stack_source": str(self.stack),
            "compose_stack_wait_timeout": 400,
            **values,
        }
        file = self.home / "given.json"
        file.write_text(json.dumps(given))
        argv = ["ansible-playbook", playbook, "-i", "inventories/hosts.yml", "-l", "macbook", "-e", f"@{file}", *words]
        began = time.monotonic()
        done = self.call("env", "-C", str(ROOT), *argv, seconds=1500)
        said = done.stdout + done.stderr
        recap = re.search(r"^macbook\s+: (.*)$", said, re.MULTILINE)
        counts = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", recap.group(1))} if recap else {}
        return Play(done.returncode, counts, said, time.monotonic() - began)

    def loaded(self) -> list[str]:
        """Labels that launchd has loaded."""
        return sorted(target.split("/", 2)[2] for target in json.loads(self.launchd.read_text())["jobs"])

    def containers(self) -> dict[str, str]:
        done = self.podman("ps", "--all", "--format", "{{.Names}} {{.State}}")
        assert done.returncode == 0, done.stderr
        return dict(row.split() for row in done.stdout.splitlines())

    def get(self, url: str) -> t.Any:
        """The JSON that the Mac gets from a URL."""
        return self._ask(url)

    def post(self, url: str, content: t.Any) -> t.Any:
        return self._ask(url, json.dumps(content))

    def _ask(self, *words: str) -> t.Any:
        done = self.call("python3", "-c", _ASK, *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
