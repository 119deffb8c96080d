# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenSSH server on a loopback port, whose sessions tests may cut off. Nothing is installed for it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess

from compose_lab import wait_for
from onebox_testbed import daemons, packages
from onebox_testbed.base import CACHE

_CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
MaxStartups 100
PermitRootLogin prohibit-password
PasswordAuthentication no
Subsystem sftp internal-sftp
"""
# The server wants a user and a directory of its own; both are there for it and its sessions alone.
_START = """
mount --bind "$1/passwd" /etc/passwd
mkdir -p /run/sshd
shift
exec "$@"
"""


class Sshd:
    """One server; ``folder`` gets its keys, ``port`` is free."""

    def __init__(self, folder: pathlib.Path, port: str) -> None:
        self.port = port
        self.key = folder / "key"
        for name in ("key", "host_key"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(words, check=True)
        self._known = folder / "known_hosts"
        self._known.write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
        (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
        (folder / "passwd").write_text(
            pathlib.Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
        )
        unpacked = CACHE / "sshd"
        if not unpacked.is_dir():
            packages.unpack("bookworm", ("openssh-server", "libwrap0"), unpacked)
        self._log = folder / "log"
        libraries = os.pathsep.join(str(place.parent) for place in unpacked.glob("**/libwrap.so.0"))
        server = [str(unpacked / "usr/sbin/sshd"), "-D", "-e", "-f", str(folder / "sshd_config")]
        self._words = ["unshare", "--mount", "--propagation", "slave", "sh", "-ec", _START, "sh", str(folder), *server]
        self._environ = {**os.environ, "LD_LIBRARY_PATH": libraries}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sshd:
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._words, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for(self._answers)
        return self

    def __exit__(self, *unused: object) -> None:
        self.cut_sessions()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.port)), 2) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def variables(self) -> dict[str, str | int | bool]:
        """What an inventory says of a host that is this machine, reached through the server."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": int(self.port),
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self._known} -o IdentitiesOnly=yes",
        }

    def cut_sessions(self) -> None:
        """End every session of the server with SIGKILL, as when the network goes; what runs in them is left alone."""
        if self._process is None:
            return
        for pid in daemons.descendants(self._process.pid):
            if _program(pid) == "sshd":
                _kill(pid)

    def kill_clients(self) -> None:
        """End every client of the server with SIGKILL."""
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                if _program(int(place.name)) == "ssh" and f"Port={self.port}".encode() in words:
                    _kill(int(place.name))


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
