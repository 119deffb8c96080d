# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five stacks on three systemd hosts, deployed and watched by site.yml. Each stack is a host of the inventory."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import time
import typing as t

from onebox_testbed import docker, hosts, images

ROOT = pathlib.Path(__file__).resolve().parents[3]
# The stacks of each host.
HOSTS = {"north": ("shop", "blog"), "south": ("mail", "wiki"), "east": ("crm",)}
HOST_OF = {stack: host for host, stacks in HOSTS.items() for stack in stacks}
BACKED_UP = ("shop", "mail", "crm")
_PORT = {"mail": 8081, "wiki": 8082}
_WEEK = 7 * 86400.0

_SERVER = """
import http.server, os, ssl, sys
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(500 if os.path.exists(sys.argv[2]) else 200)
        self.end_headers()
    do_POST = do_HEAD = do_GET
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server)
if sys.argv[1] == "8443":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/opt/server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
_PREPARE = """
set -e
mount --make-rshared /
docker load --quiet --input /testbed/tiny.tar
mkdir -p /var/lib/node-exporter /small /few
mount -t tmpfs -o size=1m tmpfs /small
mount -t tmpfs -o size=1m,nr_inodes=64 tmpfs /few
cd /etc/systemd/system
printf '[Service]\\nExecStart=/usr/bin/python3 /opt/server.py %%i /opt/fail-%%i\\n' > server@.service
printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' > onebox-extra.service
printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' > onebox-broken.service
printf '[Timer]\\nOnActiveSec=1d\\n[Install]\\nWantedBy=timers.target\\n' > onebox-extra.timer
systemctl daemon-reload
systemctl enable --now onebox-extra.timer
systemctl start server@8081 server@8082 server@8099
"""
_THAW = "pkill -CONT dockerd; docker ps -q --filter status=paused | xargs -r docker unpause"
_OFTEN = "[Timer]\\nOnBootSec=\\nOnActiveSec=1s\\nOnUnitInactiveSec=5s\\nRandomizedDelaySec=0\\nAccuracySec=100ms\\n"
_PREPARE_STACK = """
set -e
docker tag {image} localhost/{stack}:1
mkdir -p /srv/{stack}/web /srv/{stack}/db /srv/{stack}/jobs /srv/{stack}/files /srv/{stack}/path
echo yes > /srv/{stack}/web/healthy
echo 'worth keeping' > /srv/{stack}/files/page
mkdir -p /etc/systemd/system/onebox-watch-{stack}.timer.d
printf '{often}' > /etc/systemd/system/onebox-watch-{stack}.timer.d/often.conf
"""


def compose(stack: str) -> dict[str, t.Any]:
    """The compose file: a service with a healthcheck, one with data, a job that can crash, one that writes into the
    container itself after a signal, and another."""
    common = {
        "image": f"localhost/{stack}:1",
        "command": ["sleep", "100000"],
        "stop_signal": "SIGKILL",
        "logging": {"options": {"max-size": "1m"}},
    }
    check = {"test": ["CMD", "cat", "/data/healthy"], "interval": "1s", "timeout": "30s", "retries": 1}
    write = "mkdir -p /app/x; trap 'exec 3>>/app/x/f; echo 1 >&3' USR1; while :; do sleep 1; done"
    loop = {"command": ["sh", "-c", "test ! -e /data/crash || exit 3; exec sleep 100000"], "restart": "always"}
    return {
        "name": stack,
        "services": {
            "web": {**common, "healthcheck": check, "volumes": [f"/srv/{stack}/web:/data"]},
            "api": {**common, "environment": {"LEVEL": "info"}, "volumes": ["./api.conf:/etc/api.conf:ro"]},
            "db": {**common, "volumes": [f"/srv/{stack}/db:/var/lib/db"]},
            "jobs": {**common, **loop, "volumes": [f"/srv/{stack}/jobs:/data"]},
            "side": {**common, "command": ["sh", "-c", write], "volumes": ["./side.conf:/etc/side.conf:ro"]},
        },
    }


def certificate(path: pathlib.Path) -> None:
    """A key and its certificate, which no authority signed."""
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
    done = subprocess.run([*words, "-keyout", "-", "-out", "-"], check=True, capture_output=True)
    path.write_bytes(done.stdout)


class Fleet:
    """The hosts, the inventory, and the runs of each watch."""

    def __init__(self, socket: str, folder: pathlib.Path) -> None:
        self._socket, self._folder = socket, folder
        self._names = {host: hosts.start(socket, f"watch-{host}", "debian13-docker", ["tiny"]) for host in HOSTS}
        (folder / "server.py").write_text(_SERVER)
        certificate(folder / "server.pem")
        for host, stacks in HOSTS.items():
            for name in ("server.py", "server.pem"):
                docker.docker(socket, "cp", str(folder / name), f"{self._names[host]}:/opt/{name}")
            self.shell(stacks[0], _PREPARE)
            for stack in stacks:
                self.shell(stack, _PREPARE_STACK.format(stack=stack, image=images.TINY, often=_OFTEN))
                self._launch(stack)
        inventory = {"all": {"hosts": {stack: self._variables(stack) for stack in HOST_OF}}}
        (folder / "hosts.json").write_text(json.dumps(inventory))

    @staticmethod
    def remove(socket: str) -> None:
        for host in HOSTS:
            # A process that is frozen outlives the kill of its host, which then cannot be removed.
            hosts.shell(socket, f"watch-{host}", _THAW)
            hosts.remove(socket, f"watch-{host}")

    def shell(self, stack: str, script: str) -> str:
        """Run a script on the host of a stack. Returns what it printed."""
        return docker.docker(self._socket, "exec", self._names[HOST_OF[stack]], "sh", "-c", script)

    def deploy(self) -> str:
        """Run site.yml over all hosts. Returns its output.

        Raises:
            AssertionError: the run failed.
        """
        argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(self._folder / "hosts.json"), "-f", "3", "site.yml"]
        places = {"ANSIBLE_HOME": str(self._folder / "ansible"), "ANSIBLE_LOCAL_TEMP": str(self._folder / "tmp")}
        env = {**os.environ, **docker.environment(self._socket), **places, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def document(self, stack: str) -> dict[str, t.Any]:
        """What the last run of the timer wrote; {} before the first one."""
        text = self.shell(stack, f"cat /var/lib/onebox-watch/{stack}/watch.json 2>/dev/null || true")
        return json.loads(text) if text else {}

    def check(self, stack: str) -> dict[str, t.Any]:
        """The document of a check by a person."""
        words = f"onebox-watch --config /etc/onebox/watch/{stack}.json --json check"
        return json.loads(self.shell(stack, f"{words}; test $? -lt 2"))

    def now(self, stack: str) -> float:
        """The clock of the host."""
        return float(self.shell(stack, "date +%s.%N"))

    def _launch(self, stack: str) -> None:
        """The state files of three launch loops that continue."""
        state = {"name": "vm", "attempts": 3, "created_at": 1.0, "not_before": 0.0, "updated_at": time.time() + _WEEK}
        for name in ("a", "b", "c"):
            self.shell(stack, f"printf '%s' '{json.dumps(state)}' > /srv/{stack}/launch-{name}.json")

    def _variables(self, stack: str) -> dict[str, t.Any]:
        source = self._folder / "sources" / stack
        source.mkdir(parents=True)
        (source / "compose.yml").write_text(json.dumps(compose(stack)))
        for name in ("api", "side"):
            (source / f"{name}.conf").write_text("level = 1\n")
        found: dict[str, t.Any] = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self._names[HOST_OF[stack]],
            "ansible_python_interpreter": "/usr/bin/python3",
            "onebox_stack": stack,
            "onebox_engine": "docker",
            "compose_stack_source": str(source),
            "watch_ping_url": f"http://127.0.0.1:8099/ping-{stack}",
            "watch_metrics_dir": "/var/lib/node-exporter",
            "watch_clock": False,
            "watch_paths": ["/", "/small", "/few", f"/srv/{stack}/path"],
            "watch_launches": [f"/srv/{stack}/launch-{name}.json" for name in ("a", "b", "c")],
        }
        if stack in _PORT:
            found["watch_endpoints"] = [{"url": f"http://127.0.0.1:{_PORT[stack]}/"}]
        if stack in BACKED_UP:
            files = {"name": "files", "kind": "directory", "path": f"/srv/{stack}/files"}
            found.update(backups_sources=[files], backups_reserve_mib=1, backups_random_delay="0")
        return found
