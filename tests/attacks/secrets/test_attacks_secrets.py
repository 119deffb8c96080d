# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary for each kind of input through complete runs of the role appears only where it may.

Searched: the command lines of all processes of the host all the time, everything Ansible prints at -vvv with --diff,
history, state, temporary files. Values may be in the .env of the deploy directory and of kept releases (0600), in the
files of file secrets (0400), in the configuration the engine keeps of a container and of its image, in the process
environment of the container and of the engine's own commands, which only their user can read, and, if the stack puts
it there, in the command of the container.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import stat
import subprocess
import tempfile
import threading

import pytest
from role_box import ROOT, Box

KINDS = (
    *("env", "vaulted_env", "number", "multi_line", "quoted", "url", "label", "build_arg", "file_secret"),
    *("healthcheck", "http_password", "http_query", "prometheus_password", "own_env_file", "literal", "home", "log"),
)


class Watcher:
    """Reads the command lines of all processes, over and over, and keeps what holds a canary.

    Command lines that the compose file itself declares are not counted: ``sh -c`` of a container.
    """

    def __init__(self, canaries: dict[str, str]) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.looked = 0
        self._canaries = {**canaries, "control": "canary-control-" + secrets.token_hex(6)}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        # What must be seen, so that to see nothing else means something.
        subprocess.run(["sh", "-c", "sleep 0.5; exit 0", self._canaries["control"]], check=True)
        return self

    def __exit__(self, *unused: object) -> None:
        self._end.set()
        self._thread.join()
        found = {kind for kind, _line in self.seen}
        assert "control" in found, "the watcher sees nothing"
        self.seen = {row for row in self.seen if row[0] != "control"}

    def _watch(self) -> None:
        while not self._end.wait(0.001):
            self.looked += 1
            for name in os.listdir("/proc"):
                if name.isdigit():
                    with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as stream:
                        line = stream.read().decode("utf-8", "replace")
                        self.seen |= {(kind, line) for kind, value in self._canaries.items() if value in line}


def fresh(generation: str) -> dict[str, str]:
    """A random value for each kind of input."""
    made = {kind: f"canary-{kind}-{generation}-{secrets.token_hex(6)}" for kind in KINDS}
    made["number"] = str(secrets.randbelow(10**15) + 10**15)
    return made


def vaulted(home: pathlib.Path, value: str) -> None:
    password = home / "vault-password"
    password.write_text("open\n")
    words = ["encrypt_string", "--vault-password-file", str(password), "--stdin-name", "vaulted_value"]
    text = subprocess.run(
        [str(ROOT / ".venv/bin/ansible-vault"), *words], input=value, capture_output=True, text=True, check=True
    ).stdout
    (home / "vaulted.yml").write_text(text)


class Story:
    """One stack with a canary in each of its inputs."""

    def __init__(self, lab, home: pathlib.Path, vault: pathlib.Path) -> None:
        self.box, self.lab, self.home, self.vault = Box(lab, home), lab, home, vault
        self.canaries: dict[str, dict[str, str]] = {}
        self.leaks: list[str] = []
        self.searched = 0
        lab.secrets = lab.data / "secrets"
        lab.secrets.mkdir(mode=0o711)
        lab.top["secrets"] = {"password": {"file": f"{lab.secrets}/password"}}
        (self.lab.folder / "app").mkdir()
        dockerfile = f"FROM {lab.backend.image}\nARG TOKEN\nLABEL built=yes\nCOPY file /file\n"
        (self.lab.folder / "app" / "Dockerfile").write_text(dockerfile)
        (self.lab.folder / "app" / "file").write_text("1")
        vaulted(vault, "not yet")
        self.box.use_group_vars(vault / "vaulted.yml")

    def generation(self, name: str, **web: object) -> None:
        """Give every input a new canary."""
        now = self.canaries[name] = fresh(name)
        lab = self.lab
        vaulted(self.vault, now["vaulted_env"])
        lab.variables.update(
            {
                "PLAIN": now["env"],
                "VAULTED": "{{ vaulted_value }}",
                "PIN": int(now["number"]),
                "LINES": f"first\n{now['multi_line']}\nlast",
                "QUOTED": f'it\'s "{now["quoted"]}" $x',
                "DATABASE_URL": f"postgres://app:{now['url']}@db/x",
                "LABEL_VALUE": now["label"],
                "BUILD_VALUE": now["build_arg"],
                "CHECK_VALUE": now["healthcheck"],
                "LOG_VALUE": now["log"],
            }
        )
        names = ("PLAIN", "VAULTED", "PIN", "LINES", "QUOTED", "DATABASE_URL", "CHECK_VALUE", "LOG_VALUE")
        (lab.folder / "app.env").write_text(f"FROM_OWN_FILE={now['own_env_file']}\n")
        (lab.folder / "app.env").chmod(0o600)
        lab.services["web"] = lab.service(
            "echo started $$LOG_VALUE; exec sleep 1000",
            environment={
                **{each: f"${{{each}}}" for each in names},
                "LITERAL": now["literal"],
                "HOME": f"/tmp/{now['home']}",
            },
            env_file=["app.env"],
            labels={"traefik.auth": "admin:${LABEL_VALUE}", "other": "x"},
            secrets=["password"],
            **web,
        )
        lab.services["built"] = {
            **lab.service("exec sleep 1000"),
            "image": f"localhost/{lab.project}-built",
            "build": {"context": "./app", "args": {"TOKEN": "${BUILD_VALUE}"}},
        }
        self.box.variables.update(
            compose_stack_secrets=[{"path": f"{lab.secrets}/password", "value": now["file_secret"]}],
            compose_stack_wait_timeout=20,
        )
        lab.write()
        (lab.folder / ".env").unlink()  # the role writes it

    def run(self, what: str, *words: str, expect: int = 0) -> str:
        canaries = {f"{name} {kind}": value for name, all_ in self.canaries.items() for kind, value in all_.items()}
        with Watcher(canaries) as watcher:
            said = self.box.run(
                "-vvv", "--diff", f"--vault-password-file={self.vault / 'vault-password'}", *words, expect=expect
            )
        self.searched += len(canaries)
        self.leaks += [f"{what}: {kind} in the command line {line[:300]!r}" for kind, line in watcher.seen]
        for kind, value in canaries.items():
            if value in said:
                place = said.index(value)
                self.leaks.append(f"{what}: {kind} printed: {said[max(0, place - 200) : place + 60]!r}")
        self.search_files(what, canaries)
        assert self.leaks == [], "\n".join(self.leaks)
        return said

    def search_files(self, what: str, canaries: dict[str, str]) -> None:
        for path in self.home.rglob("*"):
            if not path.is_file() or path.is_symlink() or path.name in ("hosts.json", "compose.yml", "app.env"):
                continue  # the inventory and the stack's own files, which hold them as their owner wrote them
            text = path.read_bytes().decode("utf-8", "replace")
            private = stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
            if not (path.name == ".env" and private):
                self.leaks += [f"{what}: {kind} in {path}" for kind, value in canaries.items() if value in text]
        # What programs made for a moment is gone: TMPDIR is below the home that was searched.
        self.leaks += [f"{what}: {path} was left" for path in self.box.temporary.rglob("*.onebox")]


@pytest.fixture(params=["podman-compose", "docker+2.40"])
def story(request, make_lab, tmp_path):
    lab = make_lab(request.param)
    with tempfile.TemporaryDirectory(prefix="obx-canary-") as home:
        pathlib.Path(home).chmod(0o755)
        vault = tmp_path / "vault"
        vault.mkdir()
        yield Story(lab, pathlib.Path(home), vault)


def check_environment(story: Story) -> None:
    """Each value reached the container as it was declared."""
    web = story.lab.containers()["web"][0]
    first = story.canaries["first"]
    env = dict(row.partition("=")[::2] for row in web.env)
    assert env["PLAIN"] == first["env"]
    assert env["VAULTED"] == first["vaulted_env"]
    assert env["PIN"] == first["number"]
    assert env["QUOTED"] == f'it\'s "{first["quoted"]}" $x'
    assert env["LITERAL"] == first["literal"]
    assert env["HOME"] == f"/tmp/{first['home']}"
    assert env["FROM_OWN_FILE"] == first["own_env_file"]
    assert web.labels["traefik.auth"] == f"admin:{first['label']}"


def rewrite(story: Story) -> None:
    """Write the changed compose file; the role writes the .env."""
    story.lab.write()
    (story.lab.folder / ".env").unlink()


def deploy_failing_service(story: Story) -> None:
    story.generation("third")
    story.lab.services["web"]["command"] = ["sh", "-c", "env; echo dying with $$LOG_VALUE $$QUOTED; exit 3"]
    rewrite(story)
    said = story.run("failing deploy", expect=2)
    assert "dying with ********" in said
    assert "rolled back" in said


def deploy_failing_healthcheck(story: Story) -> None:
    story.generation("fourth")
    story.lab.services["web"]["healthcheck"] = {
        "test": ["CMD-SHELL", "echo $$CHECK_VALUE; exit 1"],
        "interval": "1s",
        "retries": 1,
    }
    rewrite(story)
    story.run("failing healthcheck", expect=2)


def deploy_failing_build(story: Story) -> None:
    dockerfile, image = story.lab.folder / "app" / "Dockerfile", story.lab.backend.image
    story.generation("fifth")
    dockerfile.write_text(f"FROM {image}\nARG TOKEN\nRUN echo building $TOKEN; exit 4\n")
    assert "could not build" in story.run("failing build", expect=2)
    dockerfile.write_text(f"FROM {image}\nARG TOKEN\n")


def deploy_failing_checks(story: Story) -> None:
    story.generation("sixth")
    checks, variables = story.canaries["sixth"], story.box.variables
    variables["compose_stack_wait_timeout"] = 8
    variables["compose_stack_http_checks"] = [
        {"url": f"http://me:{checks['http_password']}@127.0.0.1:9/x?t={checks['http_query']}"}
    ]
    variables["compose_stack_prometheus_checks"] = [{"url": f"http://me:{checks['prometheus_password']}@127.0.0.1:9"}]
    assert "does not answer" in story.run("failing check of a URL", expect=2)
    variables.pop("compose_stack_http_checks")
    variables.pop("compose_stack_prometheus_checks")


def deploy_refused_file(story: Story) -> None:
    story.generation("seventh")
    story.lab.services["web"]["ports"] = ["${PLAIN}:80"]
    rewrite(story)
    story.run("compose file that a tool refuses", expect=2)


def test_canary_of_every_input_is_found_nowhere(story: Story, tally):
    story.generation("first")
    assert "changed=1" in story.run("first deploy")
    check_environment(story)
    assert "changed=0" in story.run("no-op")

    story.generation("second")
    assert "env_changed" in story.run("planned change", "--check")
    said = story.run("change")
    assert "environment.PLAIN" in said
    assert "(changed)" in said

    deploy_failing_service(story)
    deploy_failing_healthcheck(story)
    deploy_failing_build(story)
    deploy_failing_checks(story)
    deploy_refused_file(story)
    tally(f"{story.lab.backend.name}: canaries in argv, output, history, state and files of a role run", story.searched)


MALFORMED = {
    "names and values in one text": "PASSWORD={} B=2",
    "a text": "{}",
    "a list": ["{}"],
    "JSON in a text": '{{"PASSWORD": "{}"}}',
    "a mapping in a mapping": {"PASSWORD": {"inner": "{}"}},
    "a name that is none": {"PASS WORD": "{}"},
    "a character no file can hold": {"PASSWORD": "\0{}"},
}


def _filled(value: object, canary: str) -> object:
    if isinstance(value, str):
        return value.format(canary) if "{}" in value else value
    if isinstance(value, list):
        return [_filled(each, canary) for each in value]
    return {key: _filled(each, canary) for key, each in value.items()}


def test_malformed_variables_are_refused_without_their_values(make_lab, tally):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    shown = []
    with tempfile.TemporaryDirectory(prefix="obx-canary-") as home:
        box = Box(lab, pathlib.Path(home))
        for name, value in MALFORMED.items():
            canary = "canary-" + secrets.token_hex(6)
            lab.variables = _filled(value, canary)
            said = box.run("-vvv", "--diff", expect=2)
            shown += [name] if canary in said else []
    assert shown == []
    tally("malformed variables: values shown", len(MALFORMED), len(shown))
