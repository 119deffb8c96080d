# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory to back up with restic, a local repository, and one behind a REST server."""

from __future__ import annotations

import json
import pathlib
import secrets
import socket
import subprocess
import time

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import restic_programs
from onebox_testbed import ports


class Site:
    """A directory to back up, a local repository, and one behind a REST server."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.files = base / "da ta [x]"
        self.files.mkdir()
        for number in range(40):
            (self.files / f"file {number}").write_bytes(secrets.token_bytes(20_000))
        (self.files / "sub*").mkdir()
        (self.files / "sub*" / "skip.tmp").write_text("no", encoding="utf-8")
        (self.files / "sub*" / "keep").write_text("yes", encoding="utf-8")
        (base / "key").write_text("the key\n", encoding="utf-8")
        self.port = 0
        self.server: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        self.port = self.port or ports.claim()
        program = restic_programs("trixie") / "restic-rest-server"
        self.server = subprocess.Popen(
            [program, "--no-auth", "--listen", f"127.0.0.1:{self.port}", "--path", self.base / "away"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait()
            self.server = None

    def configured(self, **more: object) -> dict[str, object]:
        program = str(restic_programs("trixie") / "restic")
        common = {"engine": "restic", "password_file": str(self.base / "key"), "program": program}
        return {
            "stack": "files-only",
            "state_dir": str(self.base / "state"),
            "authentication_file": str(self.base / "authentication"),
            "reserve_mib": 1,
            "timeout": 120,
            "repository": {**common, "path": str(self.base / "repo")},
            "offsite": {**common, "path": f"rest:http://127.0.0.1:{self.port}/files-only"},
            "sources": [{"name": "data", "kind": "directory", "path": str(self.files), "exclude": ["*.tmp"]}],
            **more,
        }

    def context(self, **more: object) -> contexts.Context:
        return contexts.make(configuration.parse(self.configured(**more)), World.real())

    def write(self, **more: object) -> str:
        path = self.base / "backup.json"
        path.write_text(json.dumps(self.configured(**more)), encoding="utf-8")
        return str(path)
