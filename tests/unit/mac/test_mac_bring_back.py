# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that starts a stack after a login, run by a real shell; podman is a script with recorded answers.

With a real podman machine it runs in tests/integration/vm/boot_machine.py.
"""

from __future__ import annotations

import pathlib
import plistlib
import subprocess
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.mac import agents, bringback
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

# Only these calls of podman are accepted. The answers are those recorded from podman 5.8.6 in the guest.
PODMAN = """\
#!/bin/sh
echo "$*" >>"$LAB/calls"
case "$*" in
  "machine inspect --format {{.State}} it's one") cat "$LAB/state" ;;
  "machine inspect --format {{.ConnectionInfo.PodmanSocket.Path}} it's one") echo "/s o/it's one-api.sock" ;;
  "machine start --quiet --no-info it's one") [ -e "$LAB/hangs" ] && exec sleep 60; echo running >"$LAB/state" ;;
  "--connection it's one-root info") [ "$(cat "$LAB/state")" = running ] && [ ! -e "$LAB/dead" ] ;;
  "machine ssh it's one test -e "*) [ ! -e "$LAB/blind" ] && eval "test -e ${6}" ;;
  *"--filter label=com.docker.compose.project=my stack") cat "$LAB/containers" ;;
  *"--filter label=io.podman.compose.project=my stack") : ;;
  *" inspect --format "*) for id in "$@"; do :; done; cat "$LAB/container-$id" ;;
  "--connection it's one-root start "*) : ;;
  *) echo "unknown: $*" >&2; exit 125 ;;
esac
"""


class Lab:
    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.source = home / "a b'c"
        self.source.mkdir()
        podman = home / "podman client"
        podman.write_text(PODMAN)
        podman.chmod(0o755)
        compose = home / "compose"
        compose.write_text('#!/bin/sh\necho "composed $* on $DOCKER_HOST"\n')
        compose.chmod(0o755)
        self.stack = bringback.Stack(
            machine="it's one", provider="libkrun", connection="it's one-root", project="my stack",
            sources=(str(self.source),), compose=(str(compose), "-f", "a file", "up", "-d"), podman=str(podman),
            timeout=3,
        )  # fmt: skip
        self.put("state", "stopped")
        self.put("containers", "web\nuser\nonce")
        self.put("container-web", "false false unless-stopped")
        self.put("container-user", "false true unless-stopped")
        self.put("container-once", "false false no")

    def put(self, name: str, text: str = "") -> None:
        (self.home / name).write_text(text + "\n")

    def run(self) -> subprocess.CompletedProcess[str]:
        script = self.home / "script.sh"
        script.write_text(bringback.script(self.stack))
        env = {"PATH": "/usr/bin:/bin", "LAB": str(self.home), "TMPDIR": str(self.home)}
        return subprocess.run(
            ["/bin/sh", str(script)], env=env, text=True, capture_output=True, timeout=60, check=False
        )

    def calls(self) -> list[str]:
        return (self.home / "calls").read_text().splitlines()


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Lab:
    return Lab(tmp_path)


def test_stack_is_started_after_machine_api_and_mounts(lab: Lab) -> None:
    done = lab.run()
    assert done.returncode == 0, done.stdout + done.stderr
    started = [line.rsplit(" ", 1)[1] for line in lab.calls() if " start " in line and "machine" not in line]
    assert started == ["web"]
    assert list(lab.source.iterdir()) == []
    verbs = [line for line in lab.calls() if "start --quiet" in line or " info" in line or " ssh " in line]
    assert ["start" in verbs[0], "info" in verbs[1], "ssh" in verbs[2]] == [True] * 3
    assert "unknown" not in done.stderr


def test_running_machine_is_not_started(lab: Lab) -> None:
    lab.put("state", "running")
    assert lab.run().returncode == 0
    assert not any("start --quiet" in line for line in lab.calls())


def test_project_without_containers_is_deployed(lab: Lab) -> None:
    (lab.home / "containers").write_text("")
    done = lab.run()
    assert "composed -f a file up -d on unix:///s o/it's one-api.sock" in done.stdout


@pytest.mark.parametrize(
    ("fault", "words"),
    [("hangs", "does not answer"), ("dead", "does not answer"), ("blind", "is not shared with the machine")],
)
def test_no_container_is_started_into_an_empty_directory(lab: Lab, fault: str, words: str) -> None:
    lab.put(fault)
    done = lab.run()
    assert done.returncode == 1
    assert words in done.stdout
    assert not any(" start web" in line for line in lab.calls())
    assert list(lab.source.iterdir()) == []


def test_agent_does_not_end_the_machine(tmp_path: pathlib.Path) -> None:
    content = bringback.definition("/x/y.sh", "/x/y.log")
    assert content["AbandonProcessGroup"]
    assert "KeepAlive" not in content
    path = tmp_path / "agents" / "one.plist"
    agents.write_plist(str(path), content)
    assert path.stat().st_mode & 0o777 == 0o644  # launchd ignores agents that others may write
    assert plistlib.loads(path.read_bytes()) == content


def test_agent_with_an_unwritable_value_is_refused_and_the_old_one_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "one.plist"
    agents.write_plist(str(path), {"Label": "one"})
    with pytest.raises(MacError, match=r"one\.plist cannot be written: ProgramArguments\[1\]: the character U\+0000"):
        agents.write_plist(str(path), {"Label": "one", "ProgramArguments": ["/bin/x", "\0"]})
    assert plistlib.loads(path.read_bytes()) == {"Label": "one"}


def test_script_is_written_once_with_private_mode(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "x.sh"
    assert agents.ensure_file(str(path), "text", True)
    assert not path.exists()
    steps: list[t.Any] = [agents.ensure_file(str(path), "text", False), agents.ensure_file(str(path), "text", False)]
    assert steps == [True, False]
    assert path.stat().st_mode & 0o777 == 0o700
    assert agents.ensure_file(str(path), "other", False)
