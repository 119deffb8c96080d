# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine that belongs to the tests: one may kill it or fill its disk, or it is another version."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import typing as t

from onebox_testbed import images


class OwnDocker:
    """dockerd with a socket and a store of its own below ``root``; ``log`` says what it said.

    ``name``, ``socket`` and ``env`` are those of the fixtures' engines.

    Args:
        root: a directory on a file system overlay2 works on.
        environ: what the docker command needs.
        programs: folders to take dockerd and its containerd from before the system's.
        containerd_store: whether containerd keeps the images, as in new installations of Docker 29.
    """

    name = "docker"

    def __init__(
        self, root: pathlib.Path, environ: dict[str, str], programs: str = "", *, containerd_store: bool = False
    ) -> None:
        self.root = root
        self._features = {"containerd-snapshotter": containerd_store}
        self.socket = str(root / "docker.sock")
        self.env = {"DOCKER_HOST": f"unix://{self.socket}"}
        path = os.pathsep.join(filter(None, [programs, environ["PATH"]]))
        self.environ = {**environ, **self.env, "PATH": path}
        self._process: subprocess.Popen | None = None

    @property
    def namespace(self) -> list[str]:
        """The start of a command that runs in the network of this engine."""
        return ["nsenter", f"--net=/proc/{(self.root / 'docker.pid').read_text().strip()}/ns/net"]

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.root / "docker.pid").unlink(missing_ok=True)
        (self.root / "daemon.json").write_text(json.dumps({"features": self._features}))
        # In a network of its own: in the machine's, it would take the other engine's bridge and rules for its own.
        argv = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        argv += ["dockerd", "--host", f"unix://{self.socket}", "--pidfile", str(self.root / "docker.pid")]
        argv += ["--config-file", str(self.root / "daemon.json")]
        argv += ["--exec-root", str(self.root / "exec"), "--data-root", str(self.root / "data")]
        argv += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, env=self.environ)
        self._await(lambda: self.cli("version", check=False) is not None)

    def _await(self, condition: t.Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self._process is None or self._process.poll() is None, (self.root / "log").read_text()
            assert time.monotonic() < deadline, (self.root / "log").read_text()
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, as a restart or an out-of-memory killer does, and wait until it has ended."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None
            # Its containerd goes with it, as when both are restarted; the containers' own shims stay.
            for pid in left_of(self.root / "exec", "containerd"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._await(lambda: not left_of(self.root / "exec", "containerd"))
            # Where no process reaps orphans, a pid stays in use and dockerd believes that it still runs.
            (self.root / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def cli(self, *words: str, check: bool = True) -> str | None:
        """What a docker command printed; None when it failed and need not succeed."""
        return said(["docker", *words], self.environ, check)

    def load_tiny(self) -> None:
        """Give it the tiny image."""
        self.cli("import", "-c", 'CMD ["sh"]', str(images.tiny_tarball()), images.TINY)

    def clean(self) -> None:
        """End it and everything it started."""
        if self._process is None:
            self.start()
        ids = (self.cli("ps", "-aq") or "").split()
        if ids:
            self.cli("rm", "-f", *ids, check=False)
        for network in (self.cli("network", "ls", "-q", "--filter", "type=custom") or "").split():
            self.cli("network", "rm", network, check=False)
        self.stop()
        # One that was killed left its mounts, and each start has put one more upon them.
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(f"{self.root}/"):
                subprocess.run(["umount", "-l", line.split()[4]], check=True)


def said(argv: t.Sequence[str], environ: t.Mapping[str, str], check: bool) -> str | None:
    """What a command printed; None when it failed and need not succeed."""
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{argv}: {done.stderr}"
    return done.stdout.strip() if done.returncode == 0 else None


def left_of(root: pathlib.Path, program: str = "") -> list[int]:
    """Processes that name ``root`` on their command line, all or only those of one program."""
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        named = any(os.fsencode(root) in word for word in words)
        if named and program in ("", os.path.basename(os.fsdecode(words[0]))):
            found.append(int(place.name))
    return found
