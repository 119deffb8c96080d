# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian 13's Podman as an engine of the tests, with a socket, next to the older Podman of this machine."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "testbed" / "mac"))

import podman_cli  # noqa: E402
from onebox_testbed import images, podman  # noqa: E402
from own_docker import left_of, said  # noqa: E402

PACKAGES = ["podman", "conmon", "runc", "netavark", "aardvark-dns", "nftables"]
# From the tree comes what is built for its C library; all else is this machine's, as a container's mounts must be.
FROM_TREE = ("usr", "bin", "sbin", "lib", "lib64")
# A root change and no wrapper with another loader: conmon starts podman again by the name podman knows itself under.
ENTER = """
ip link set lo up
tree=$1; shift
mount --bind "$tree" "$tree"  # podman makes its root private, which must be a mount for that
for place in /*; do
    [ "$place" = /usr ] || [ -L "$place" ] || [ ! -d "$place" ] || mount --rbind "$place" "$tree$place"
done
exec chroot "$tree" "$@"
"""


class OwnPodman:
    """``podman system service`` with a socket and a store of its own below ``root``; ``log`` says what it said.

    ``name``, ``socket`` and ``env`` are those of the fixtures' engines; the ``podman`` of ``env`` talks to the socket.
    """

    name = "podman"

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.socket = str(root / "podman.sock")
        client = podman_cli.build("5.4.2") / "bin"
        self.env = {
            "CONTAINER_HOST": f"unix://{self.socket}",
            "CONTAINERS_CONF": str(root / "containers.conf"),
            "PATH": f"{client}:{os.environ['PATH']}",
        }
        self.environ = {**os.environ, **self.env}
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        tree = _tree()
        # The system's Podman has its locks in shared memory and its networks in /etc: both must stay apart.
        networks = f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{self.root}/networks"\n'
        text = podman.CONF.read_text().replace("[engine]\n", '[engine]\nlock_type = "file"\n')
        (self.root / "containers.conf").write_text(text.partition("[network]")[0] + networks)
        argv = ["unshare", "--net", "--mount", "--propagation", "slave", "sh", "-ec", ENTER, "sh", str(tree), "podman"]
        for option in ("root", "runroot", "tmpdir"):
            argv += [f"--{option}", str(self.root / option)]
        argv += ["system", "service", "--time=0", f"unix://{self.socket}"]
        environ = {**os.environ, "CONTAINERS_CONF": self.env["CONTAINERS_CONF"]}
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, env=environ)
        deadline = time.monotonic() + 60
        while self.cli("version", check=False) is None:
            log_text = (self.root / "log").read_text()
            assert self._process.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.1)

    def cli(self, *words: str, check: bool = True) -> str | None:
        """What a podman command printed; None when it failed and need not succeed."""
        return said(["podman", *words], self.environ, check)

    def load_tiny(self) -> None:
        """Give it the tiny image."""
        self.cli("import", "-c", 'CMD ["sh"]', str(images.tiny_tarball()), images.TINY)

    def clean(self) -> None:
        """End it and everything it started."""
        self.cli("rm", "-fa", "-t", "0")
        self.cli("network", "prune", "-f")
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=60)
        assert left_of(self.root) == []


def _tree() -> pathlib.Path:
    """The unpacked packages, with a directory for each of this machine's."""
    home = podman_cli.CACHE / "podman-engine-trixie"
    tree = home / "root"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)  # what a killed run fetched, if anything
        podman_cli.fetch(home, ["trixie"], PACKAGES)
        for name in FROM_TREE[1:]:
            if not (tree / name).exists():
                (tree / name).symlink_to(f"usr/{name}")
        (home / "ready").touch()
    for place in pathlib.Path("/").iterdir():
        if place.is_dir() and not place.is_symlink() and place.name not in FROM_TREE:
            (tree / place.name).mkdir(exist_ok=True)
    return tree
