# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a host that need no engine, injected for real: full filesystems, dead servers, spoilt backups and files."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from onebox_testbed import ports

DAY = 86400.0


class Host:
    """A host with one stack, its backups, a filesystem and files, and what a test put up on it."""

    def __init__(self, folder: pathlib.Path, undo: contextlib.ExitStack) -> None:
        self.folder, self.undo = folder, undo
        self.stack: dict[str, t.Any] = {"name": "shop", "engine": "docker", "state_dir": str(folder)}
        self.config: dict[str, t.Any] = {"paths": [str(folder)]}
        (folder / "data").mkdir()
        (folder / "data" / "page").write_text("worth keeping\n")

    def declared(self) -> dict[str, t.Any]:
        """The whole configuration of the watch."""
        always = {"version": 1, "name": "demo", "state_dir": str(self.folder / "watch"), "clock": False, "units": []}
        return {**always, "stacks": [self.stack] if self.stack else [], **self.config}

    def alone(self, **config: t.Any) -> None:
        """Watch no stack."""
        self.stack = {}
        self.config.update(config)

    def backups(self, *, rehearsed: bool = True, **more: t.Any) -> contexts.Context:
        """Take a real backup, rehearse and check it, and watch them."""
        found = {
            "stack": "shop",
            "state_dir": str(self.folder / "backup-state"),
            "repository": {"engine": "files", "path": str(self.folder / "repository")},
            "reserve_mib": 1,
            "sources": [{"name": "d", "kind": "directory", "path": str(self.folder / "data")}],
            **more,
        }
        path = self.folder / "shop.json"
        path.write_text(json.dumps(found))
        self.stack["backup"] = str(path)
        context = contexts.make(configuration.parse(found), World.real())
        run.backup(context)
        if rehearsed:
            rehearse.rehearse(contexts.make(configuration.parse(found), World.real()))
            status.check(contexts.make(configuration.parse(found), World.real()))
        return contexts.make(configuration.parse(found), World.real())

    def note(self, name: str) -> pathlib.Path:
        """A note of the backup runner."""
        return self.folder / "backup-state" / name

    def mount(self, options: str) -> pathlib.Path:
        """A filesystem of its own."""
        path = self.folder / "disk"
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
        self.undo.callback(subprocess.run, ["umount", "-l", str(path)], check=False)
        return path

    def serve(self, code: int, certificate: pathlib.Path | None = None) -> int:
        """A server that answers with this code. Returns its port."""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.end_headers()

            do_HEAD = do_POST = do_GET

            def log_message(self, *_words: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.undo.callback(server.server_close)
        self.undo.callback(server.shutdown)
        return int(server.server_address[1])

    def launch(self, **values: t.Any) -> None:
        """The state file of a launch loop."""
        state = {"name": "vm", "attempts": 3, "created_at": 1.0, "updated_at": time.time(), "not_before": 0.0, **values}
        (self.folder / "launch.json").write_text(json.dumps(state))
        self.alone(launches=[str(self.folder / "launch.json")])


class Fault(t.NamedTuple):
    """A fault: its name, the code and a part of the command of its finding, and its injection.

    Attributes:
        by_timer: the runs of the timer report it, not a check by a person.
    """

    name: str
    code: str
    fix: str
    inject: t.Callable[[Host], object]
    by_timer: bool = False


def full_disk(host: Host) -> None:
    path = host.mount("size=1m")
    with contextlib.suppress(OSError):
        (path / "big").write_bytes(b"x" * (2 << 20))
    host.alone(paths=[str(path)])


def full_inodes(host: Host) -> None:
    path = host.mount("size=1m,nr_inodes=12")
    with contextlib.suppress(OSError):
        for number in range(20):
            (path / str(number)).touch()
    host.alone(paths=[str(path)])


def self_signed(host: Host) -> None:
    path = host.folder / "server.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", f"{path}.key", "-out", str(path)], check=True, capture_output=True)
    path.write_text(path.read_text() + pathlib.Path(f"{path}.key").read_text())
    host.alone(endpoints=[{"url": f"https://localhost:{host.serve(200, path)}/"}])


def hung_engine(host: Host) -> None:
    path = str(host.folder / "hung.sock")
    listener = host.undo.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
    listener.bind(path)
    listener.listen(8)
    host.stack["socket"] = path


def damaged_set(host: Host) -> None:
    context = host.backups()
    for path in (host.folder / "repository").rglob("*"):
        if path.is_file() and path.read_bytes().find(b"worth keeping") >= 0:
            path.chmod(0o600)
            path.write_bytes(path.read_bytes().replace(b"worth keeping", b"worth nothing"))
    status.check(context)
    rehearse.rehearse(context)


def no_source(host: Host) -> None:
    context = host.backups()
    shutil.rmtree(host.folder / "data")
    run.backup(context)


def aged(host: Host, seconds: float) -> None:
    host.backups()
    at = time.time() + seconds
    os.utime(host.note("committed.json"), (at, at))


def old_rehearsal(host: Host) -> None:
    host.backups()
    (evidence,) = host.note("evidence").iterdir()
    body = json.loads(evidence.read_text())
    evidence.write_text(json.dumps({**body, "at": body["at"] - 20 * DAY}))


def told(host: Host, kind: str, url: str) -> None:
    path = host.folder / kind
    path.write_text(f"{url}\n")
    host.alone(tell={f"{kind}_file": str(path), "style": "generic"}, paths=[str(host.folder / "none")])


def paused_timer(host: Host) -> None:
    """The notes of a run two hours ago, as a timer that was stopped leaves them."""
    host.alone()
    (host.folder / "watch").mkdir()
    notes = {"version": 1, "at": time.time() - 7200, "uptime": 1.0, "started": time.time() - 9000}
    (host.folder / "watch" / "notes.json").write_text(json.dumps(notes))


def without(host: Host, name: str, *, rehearsed: bool = True) -> None:
    host.backups(rehearsed=rehearsed)
    path = pathlib.Path(host.stack["backup"]) if name == "declaration" else host.note(name)
    path.unlink()


def spoilt(host: Host, name: str) -> None:
    host.backups()
    host.note(name).write_text('{"ended": ')


FAULTS = [
    Fault("full filesystem", "disk_full", "du -xh", full_disk),
    Fault("no inode left", "inodes_full", "du --inodes", full_inodes),
    Fault("path that does not exist", "disk_no_data", "findmnt", lambda h: h.alone(paths=[str(h.folder / "none")])),
    Fault(
        "server is gone",
        "endpoint_fails",
        "curl -vI",
        lambda h: h.alone(endpoints=[{"url": f"http://127.0.0.1:{ports.claim()}/"}]),
    ),
    Fault(
        "server answers 500",
        "endpoint_fails",
        "curl -vI",
        lambda h: h.alone(endpoints=[{"url": f"http://127.0.0.1:{h.serve(500)}/"}]),
    ),
    Fault("certificate of an unknown authority", "certificate_invalid", "curl -vI", self_signed),
    Fault(
        "launch state damaged",
        "launch_no_data",
        "launch.yml",
        lambda h: (h.launch(), (h.folder / "launch.json").write_text("{")),
    ),
    Fault(
        "launch state removed",
        "launch_no_data",
        "launch.yml",
        lambda h: (h.launch(), (h.folder / "launch.json").unlink()),
    ),
    Fault("launch ended", "launch_ended", "launch.yml", lambda h: h.launch(ended="LimitExceeded")),
    Fault("launch stalled", "launch_stalled", "launch.yml", lambda h: h.launch(updated_at=time.time() - 9000)),
    Fault(
        "engine is gone",
        "engine_no_answer",
        "systemctl status docker",
        lambda h: h.stack.update(socket=str(h.folder / "none.sock")),
    ),
    Fault("engine hangs", "stack_no_data", "systemctl status docker", hung_engine),
    Fault(
        "never backed up", "backup_no_data", "backup", lambda h: (h.backups(), shutil.rmtree(h.folder / "backup-state"))
    ),
    Fault("backup failed", "backup_failed", "backup", no_source),
    Fault("backups stopped for days", "backup_old", "backup", lambda h: aged(h, -3 * DAY)),
    Fault("backup from the future", "backup_no_data", "backup", lambda h: aged(h, 2 * DAY)),
    Fault("backup declaration removed", "backup_no_data", "status", lambda h: without(h, "declaration")),
    Fault("note of the backup damaged", "backup_no_data", "status", lambda h: spoilt(h, "last-backup.json")),
    Fault("backup set damaged", "backup_damaged", "check", damaged_set),
    Fault("damaged set rehearsed", "rehearsal_failed", "rehearse", damaged_set),
    Fault("never rehearsed", "rehearsal_no_data", "rehearse", lambda h: h.backups(rehearsed=False)),
    Fault("rehearsals stopped for weeks", "rehearsal_old", "rehearse", old_rehearsal),
    Fault("timer never ran", "watch_silent", "", lambda h: h.alone()),
    Fault("timer paused for hours", "watch_gap", "", paused_timer, True),
    Fault(
        "webhook is gone", "report_failed", "", lambda h: told(h, "webhook", f"http://127.0.0.1:{ports.claim()}/"), True
    ),
    Fault(
        "webhook answers 500",
        "report_failed",
        "",
        lambda h: told(h, "webhook", f"http://127.0.0.1:{h.serve(500)}/"),
        True,
    ),
    Fault(
        "dead man's switch is gone",
        "report_failed",
        "",
        lambda h: told(h, "ping", f"http://127.0.0.1:{ports.claim()}/"),
        True,
    ),
    Fault(
        "metrics cannot be written",
        "report_failed",
        "",
        lambda h: h.alone(tell={"metrics_file": str(h.folder / "none" / "x.prom")}),
        True,
    ),
]
