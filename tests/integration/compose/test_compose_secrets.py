# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vaulted values as file secrets and as variables: while the role deploys them, no other user of the host sees them.

Inspected: the command lines and environments of all processes during the run, the output of the run at -vvv,
the state and history, the engine's view of the containers, and the modes of the files. Podman's own secrets are
searched by the Molecule scenario nightguard, over SSH and in the journal.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import stat
import subprocess
import tempfile
import threading

import pytest
from role_box import ROOT, Box

FILE, VARIABLE, CONTROL = "canary-file-7d10", "canary-variable-7d10", "canary-control-7d10"


class Watcher:
    """Reads what all processes were started with, over and over, and keeps what holds one of the needles."""

    def __init__(self, *needles: str) -> None:
        self.seen: set[tuple[str, str]] = set()
        self._needles = needles
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        # What is to be seen, so that seeing nothing else means something.
        subprocess.run(["sh", "-c", "sleep 1; exit 0", CONTROL], check=True)
        return self

    def __exit__(self, *unused: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.005):
            for place in pathlib.Path("/proc").glob("[0-9]*"):
                for kind in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        text = (place / kind).read_bytes()
                        self.seen |= {(kind, needle) for needle in self._needles if needle.encode() in text}


@pytest.fixture
def box(make_lab):
    lab = make_lab("docker+2.26")
    lab.top["secrets"] = {"password": {"file": "${SECRETS}/password"}}
    lab.services["web"] = lab.service(
        "cat /run/secrets/password >/dev/null && sleep 1000",
        secrets=["password"],
        environment={"DB_PASSWORD": "${DB_PASSWORD}"},
        user="1000",
    )
    secrets = lab.data / "secrets"
    secrets.mkdir(mode=0o711)
    lab.write()
    with tempfile.TemporaryDirectory(prefix="obx-secrets-") as home:
        pathlib.Path(home).chmod(0o755)
        box = Box(lab, pathlib.Path(home))
        lab.variables.update(SECRETS=str(secrets), DB_PASSWORD="{{ vaulted_variable }}")
        box.variables["compose_stack_secrets"] = [
            {"path": str(secrets / "password"), "value": "{{ vaulted_file }}", "owner": "1000"}
        ]
        yield box


def vault(home: pathlib.Path, **values: str) -> tuple[pathlib.Path, str]:
    """Group variables with encrypted values, and the option that decrypts them."""
    password = home / "vault-password"
    password.write_text("open\n")
    text = ""
    for name, value in values.items():
        words = ["ansible-vault", "encrypt_string", "--vault-password-file", str(password), "--stdin-name", name]
        text += subprocess.run(
            [str(ROOT / ".venv/bin" / words[0]), *words[1:]], input=value, capture_output=True, text=True, check=True
        ).stdout
    (home / "vaulted.yml").write_text(text)
    return home / "vaulted.yml", f"--vault-password-file={password}"


def others_may_read(path: pathlib.Path, top: pathlib.Path) -> bool:
    """Whether a user who is neither owner nor in the group gets at a file below ``top``."""
    above = [place for place in path.parents if place.is_relative_to(top)]
    return bool(path.stat().st_mode & stat.S_IROTH) and all(place.stat().st_mode & stat.S_IXOTH for place in above)


def test_secrets_of_a_deploy_are_hidden_from_other_users(box: Box, tmp_path: pathlib.Path):
    lab = box.lab
    values, key = vault(tmp_path, vaulted_file=FILE, vaulted_variable=VARIABLE)
    assert FILE not in values.read_text()
    box.use_group_vars(values)
    with Watcher(FILE, VARIABLE, CONTROL) as watcher:
        said = box.run("-vvv", "--diff", key)
        planned = box.run("-vvv", "--diff", "--check", key)
    assert ("cmdline", CONTROL) in watcher.seen, "the watcher sees nothing"
    # A variable of a container is in the environment of its process: that is what it is for.
    assert watcher.seen - {("cmdline", CONTROL), ("environ", CONTROL)} <= {("environ", VARIABLE)}
    container = lab.containers()["web"][0]
    assert f"DB_PASSWORD={VARIABLE}" in container.env
    assert lab.backend.cli("exec", container.id, "cat", "/run/secrets/password") == FILE

    inspected = json.dumps(container.raw)
    for text in (said, planned, inspected, lab.backend.cli("logs", container.id)):
        assert FILE not in text
    assert VARIABLE not in said + planned
    again = box.run("-vvv", "--diff", key)
    assert "changed=0" in again
    assert FILE not in again
    assert VARIABLE not in again

    home = box.deployed.parent
    holds = {path for path in home.rglob("*") if path.is_file() and VARIABLE.encode() in path.read_bytes()}
    assert box.deployed / ".env" in holds
    assert [path for path in holds if path.name != ".env"] == []
    assert [path for path in holds if others_may_read(path, home)] == []
    assert [path for path in home.rglob("*") if path.is_file() and FILE.encode() in path.read_bytes()] == []
    assert list(home.rglob("history.jsonl"))
    file = lab.data / "secrets" / "password"
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) == (FILE, 0o400, 1000)


def test_secrets_of_a_failing_deploy_are_hidden_too(box: Box, tmp_path: pathlib.Path):
    lab = box.lab
    lab.services["web"] = {**lab.services["web"], "command": ["sh", "-c", "echo it is $$DB_PASSWORD; exit 3"]}
    lab.write()
    values, key = vault(tmp_path, vaulted_file=FILE, vaulted_variable=VARIABLE)
    box.use_group_vars(values)
    said = box.run("-vvv", "--diff", key, expect=2)
    assert "exit code 3" in said
    assert FILE not in said
    assert VARIABLE not in said
    state = box.deployed.parent / "state"
    written = [path.read_text() for path in state.rglob("*") if path.is_file() and path.name != ".env"]
    assert not any(secret in text for text in written for secret in (FILE, VARIABLE))
