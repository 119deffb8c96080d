# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian 13 host with systemd and Podman 5.4, whose stacks playbooks deploy, for root and for an ordinary user."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import signal
import subprocess
import typing as t

from onebox_testbed import docker, hosts
from onebox_testbed.base import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
USER, UID = "anna", 2000
_HOST = "quadlet-host"
_PORTS = itertools.count(8101)
_PREPARE = """
set -e
useradd --create-home --uid {uid} {user}
loginctl enable-linger {user}
# As on a server: services of users wait for it.
systemctl add-wants multi-user.target network-online.target
systemctl start network-online.target
limit=$(ulimit -Hn)
mkdir -p /etc/containers
cat >/etc/containers/containers.conf <<END
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[containers]
default_ulimits = ["nofile=$limit:$limit"]
# The host can be without the controllers of cgroup v2.
pids_limit = 0
END
install -m 644 /testbed/tiny.tar /var/lib/tiny.tar
"""
# Both releases of the image of a stack, and its data.
_PREPARE_STACK = """
set -e
podman load --quiet --input /var/lib/tiny.tar
for release in first second; do
  podman create --name {name}-made localhost/onebox-testbed/tiny:latest sh
  podman commit --quiet --change "LABEL release=$release" {name}-made localhost/{name}:$release
  podman rm {name}-made
done
podman tag localhost/{name}:first localhost/{name}:latest
mkdir -p {data}
echo 'served from the host' >{data}/page.html
"""
_PLAY = [
    {
        "name": "Deploy the stack and save the result",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Run the role",
                "block": [
                    {
                        "name": "Deploy the stack",
                        "ansible.builtin.include_role": {"name": "onebox.stack.compose_stack"},
                    }
                ],
                "always": [
                    {
                        "name": "Save the result",
                        "ansible.builtin.copy": {
                            "content": "{{ compose_stack_result | default({}) | to_json }}",
                            "dest": "{{ result_file }}",
                        },
                        "delegate_to": "localhost",
                        "changed_when": False,
                    }
                ],
            }
        ],
    }
]


def compose(name: str, port: int, volumes: t.Sequence[str]) -> dict[str, t.Any]:
    """The compose file: a page with a healthcheck that fails in a mode, and a worker that writes its id."""
    check = 'test "$$MODE" != broken && wget -q -O /dev/null http://127.0.0.1:8080/page.html'
    common = {"image": f"localhost/{name}:latest", "restart": "unless-stopped", "stop_signal": "SIGKILL"}
    return {
        "name": name,
        "services": {
            "web": {
                **common,
                "command": ["httpd", "-f", "-p", "8080", "-h", "/data"],
                "ports": [f"127.0.0.1:{port}:8080"],
                "environment": {"MODE": "${MODE:?}", "TOKEN": "${TOKEN:?}"},
                "volumes": ["${DATA:?}:/data:ro", "./settings.conf:/etc/settings.conf:ro"],
                "healthcheck": {"test": ["CMD-SHELL", check], "interval": "1s", "timeout": "5s", "retries": 3},
            },
            "worker": {
                **common,
                "command": ["sh", "-c", "while :; do hostname >>/beats/log; sleep 0.2; done"],
                "environment": {"TOKEN": "${TOKEN:?}"},
                "volumes": ["work:/beats", *(f"{volume}:/{volume}" for volume in volumes[1:])],
                "depends_on": {"web": {"condition": "service_healthy"}},
            },
        },
        "volumes": {volume: {} for volume in volumes},
    }


class Host:
    """The host."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        mounts = ("/var/lib/containers", "/home")
        self.name = hosts.start(socket, _HOST, "debian13-podman-user", ["tiny"], mounts, rootless=True)
        self.shell(_PREPARE.format(user=USER, uid=UID))
        self._wait_for_user()

    def remove(self) -> None:
        hosts.remove(self.socket, _HOST)

    def reboot(self) -> None:
        """Shut the host down and start it again."""
        hosts.reboot(self.socket, _HOST)
        self._wait_for_user()

    def shell(self, script: str, user: str = "root") -> str:
        """Run a script. Returns what it printed."""
        environ = ("-e", f"XDG_RUNTIME_DIR=/run/user/{UID}") if user != "root" else ()
        return docker.docker(self.socket, "exec", "-u", user, *environ, self.name, "sh", "-c", script)

    def _wait_for_user(self) -> None:
        assert wait_until(lambda: bool(self.shell(f"ls /run/user/{UID}/bus 2>/dev/null || true")), 60)


@dataclasses.dataclass
class Run:
    """How a playbook ended.

    Attributes:
        code: the exit code.
        text: what it printed.
        result: of the module; {} for a playbook that does not save it.
    """

    code: int
    text: str
    result: dict[str, t.Any]

    @property
    def actions(self) -> dict[str, str]:
        """Service -> planned action."""
        return {row["service"]: row["action"] for row in self.result["plan"]}


class Stack:
    """One stack of an inventory, on the host.

    Args:
        folder: of this test, on the controller.
    """

    def __init__(self, host: Host, folder: pathlib.Path, name: str, user: str = "root") -> None:
        self.host, self.name, self.user = host, name, user
        self.port = next(_PORTS)
        self._folder = folder
        home = "/srv" if user == "root" else f"/home/{user}"
        self.data = f"{home}/{name}-data"
        self.units = "/etc/containers/systemd" if user == "root" else f"/home/{user}/.config/containers/systemd"
        self.deployed = f"/opt/onebox/{name}" if user == "root" else f"/home/{user}/.local/share/onebox/{name}"
        self._state = f"/var/lib/onebox/{name}" if user == "root" else f"/home/{user}/.local/state/onebox/{name}"
        source = folder / "source"
        source.mkdir()
        self._declare("work")
        self.settings = source / "settings.conf"
        self.settings.write_text("first\n")
        (folder / "play.json").write_text(json.dumps(_PLAY))
        self.variables: dict[str, t.Any] = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": host.name,
            "ansible_user": user,
            "ansible_python_interpreter": "/usr/bin/python3",
            "onebox_stack": name,
            "onebox_engine": "podman",
            "compose_stack_source": str(source),
            "compose_stack_provider": "quadlet",
            "compose_stack_env": {"MODE": "good", "TOKEN": "first token", "DATA": self.data},
            "result_file": str(folder / "result.json"),
        }
        self.shell(_PREPARE_STACK.format(name=name, data=self.data))

    def change(self, mode: str) -> None:
        """Change all that a release consists of: the image, a variable, a file, and the mode."""
        self.shell(f"podman tag localhost/{self.name}:second localhost/{self.name}:latest")
        self.settings.write_text("second\n")
        self._declare("work", "later")
        self.variables["compose_stack_env"].update(MODE=mode, TOKEN="second token")

    def _declare(self, *volumes: str) -> None:
        (self._folder / "source" / "compose.yml").write_text(json.dumps(compose(self.name, self.port, volumes)))

    def restore_source(self) -> None:
        """Let the source declare the first release again. Its image is that of the host."""
        self.settings.write_text("first\n")
        self._declare("work")
        self.variables["compose_stack_env"].update(MODE="good", TOKEN="first token")

    def definition(self) -> dict[str, t.Any]:
        """The units, the deployed files and the images of the containers."""
        script = f"cd {self.deployed} && head -n 999 -v .env compose.yml settings.conf"
        images = {service: row["Image"] for service, row in self.containers().items()}
        return {"units": self.installed(), "files": self.shell(script), "images": images}

    def mode(self) -> str:
        """The mode in which the page runs; "" without a container."""
        rows = [row for service, row in self.containers().items() if service == "web"]
        return next((word[5:] for row in rows for word in row["Config"]["Env"] if word.startswith("MODE=")), "")

    def remove(self) -> None:
        """Remove the containers and units, however the test ended."""
        names = [name.rpartition(".")[0] for name in self.installed() if name.endswith(".container")]
        self.systemctl(f"disable --now onebox-{self.name}")
        self.systemctl(" ".join(["stop", *names]))
        self.shell(f"rm -f {self.units}/{self.name}-*")
        self.systemctl("daemon-reload")
        label = f"label=com.docker.compose.project={self.name}"
        self.shell(f"podman ps --all --quiet --filter {label} | xargs -r podman rm --force --ignore --time 0 || true")

    def shell(self, script: str) -> str:
        """Run a script as the user of the stack. Returns what it printed."""
        return self.host.shell(script, self.user)

    def systemctl(self, words: str) -> str:
        """Call the systemd of the user of the stack. Returns what it printed, also if it failed."""
        return self.shell(f"systemctl {'' if self.user == 'root' else '--user'} {words} || true")

    def start(self, playbook: str = "", *words: str) -> subprocess.Popen[str]:
        """Start a playbook; "" for one that runs the role."""
        inventory = self._folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"box": self.variables}}}))
        (self._folder / "result.json").unlink(missing_ok=True)
        places = {"ANSIBLE_HOME": str(self._folder / "ansible"), "ANSIBLE_LOCAL_TEMP": str(self._folder / "tmp")}
        env = {
            **os.environ,
            **docker.environment(self.host.socket),
            **places,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INJECT_FACT_VARS": "false",
        }
        path = ROOT / "playbooks" / playbook if playbook else self._folder / "play.json"
        argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(inventory), str(path), *words]
        return subprocess.Popen(
            argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def run(self, playbook: str = "", *words: str, expect: int = 0) -> Run:
        """Run a playbook; "" for one that runs the role."""
        return self._ended(self.start(playbook, *words), expect)

    def kill_when(self, condition: t.Callable[[], bool]) -> None:
        """Run the role, and kill the module by SIGKILL once a condition holds."""
        process = self.start()
        try:
            met = wait_until(lambda: process.poll() is not None or condition(), 120)
            assert met
            assert process.poll() is None, process.communicate()[0]
            self.shell(f"kill -9 $(sed 's/.*\"pid\": \\([0-9]*\\).*/\\1/' {self._state}/lock)")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _ended(self, process: subprocess.Popen[str], expect: int) -> Run:
        try:
            text, _unused = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode == expect, text
        saved = self._folder / "result.json"
        return Run(process.returncode, text, json.loads(saved.read_text()) if saved.exists() else {})

    def containers(self) -> dict[str, dict[str, t.Any]]:
        """Service -> its inspected container, also of one that does not run."""
        ids = self.shell(f"podman ps --all --quiet --filter label=com.docker.compose.project={self.name}").split()
        # One that a run removes meanwhile is missing.
        found = json.loads(self.shell(f"podman inspect {' '.join(ids)} 2>/dev/null || true") or "[]") if ids else []
        return {row["Config"]["Labels"]["com.docker.compose.service"]: row for row in found}

    def ids(self) -> dict[str, str]:
        """Service -> id of its container."""
        return {service: row["Id"] for service, row in self.containers().items()}

    def installed(self) -> dict[str, str]:
        """Name -> text of each unit and file of the stack in the directory of units."""
        text = self.shell(f"cd {self.units} 2>/dev/null && head -n 999 -v {self.name}-* 2>/dev/null || true")
        parts = text.split("==> ")[1:]
        return {part.partition(" <==\n")[0]: part.partition(" <==\n")[2].strip() for part in parts}

    def is_healthy(self) -> bool:
        """Whether the page is healthy and answers, and the worker runs."""
        found = self.containers()
        if set(found) != {"web", "worker"} or not all(row["State"]["Running"] for row in found.values()):
            return False
        return found["web"]["State"]["Health"]["Status"] == "healthy" and self.page() == "served from the host"

    def page(self) -> str:
        """The page, from the host; "" if nothing answers."""
        get = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{self.port}/page.html').read().decode())"
        return self.shell(f'python3 -c "{get}" 2>/dev/null || true').strip()

    def workers(self) -> list[str]:
        """The short ids of the workers that wrote into the volume, in order, without repetitions in a row."""
        path = self.shell(f"podman volume inspect --format '{{{{.Mountpoint}}}}' {self.name}_work").strip()
        lines = self.host.shell(f"cat {path}/log").split()
        return [key for key, _rows in itertools.groupby(lines)]
