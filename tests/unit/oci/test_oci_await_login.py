"""The wait for a login, with a program in place of ssh that prints ssh's recorded output."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "roles" / "oci_instance" / "files" / "await_login.sh"
CHANGED = "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed."


def wait(folder: pathlib.Path, seconds: int, *answers: tuple[int, str]) -> tuple[int, str, int]:
    """Exit code, output, and how often ssh was called. After the last answer, that answer is repeated."""
    lines = ["#!/bin/sh", 'n=$(cat "$0.count" 2>/dev/null || echo 0)', 'echo $((n + 1)) >"$0.count"', "case $n in"]
    for number, (code, text) in enumerate(answers):
        pattern = str(number) if number < len(answers) - 1 else "*"
        (folder / f"answer{number}").write_text(text + "\n")
        lines.append(f'{pattern}) cat "{folder}/answer{number}" >&2; exit {code} ;;')
    ssh = folder / "ssh"
    ssh.write_text("\n".join([*lines, "esac", ""]))
    ssh.chmod(0o755)
    argv = [SCRIPT, str(seconds), ssh, "-p", "22", "host"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip(), int((folder / "ssh.count").read_text())


def test_login_succeeds_on_a_ready_host(tmp_path: pathlib.Path) -> None:
    assert wait(tmp_path, 0, (0, "")) == (0, "", 1)


def test_login_waits_for_a_host_that_boots(tmp_path: pathlib.Path) -> None:
    refused = (255, "ssh: connect to host 203.0.113.10 port 22: Connection refused")
    assert wait(tmp_path, 30, refused, (255, "Permission denied (publickey)."), (1, ""), (0, "")) == (0, "", 4)


@pytest.mark.parametrize("text", CHANGED.splitlines())
def test_login_with_another_host_key_fails_at_once(tmp_path: pathlib.Path, text: str) -> None:
    assert wait(tmp_path, 600, (255, text)) == (3, text, 1)


def test_last_output_of_ssh_is_reported_after_the_timeout(tmp_path: pathlib.Path) -> None:
    assert wait(tmp_path, 0, (255, "Permission denied (publickey).")) == (4, "Permission denied (publickey).", 1)


def test_login_fails_if_the_first_boot_does_not_end(tmp_path: pathlib.Path) -> None:
    assert wait(tmp_path, 0, (1, ""))[:2] == (5, "")
