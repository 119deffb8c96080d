# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real podman command lines of several versions, side by side, without installing anything.

    podman_cli.py [5.4.2|5.8.6|6.1.1 ...]      prints the directory of each; builds what is missing

The packages come from this host's own Debian mirror through apt with its own state below .cache/testbed, so that the
system's package lists and installed packages do not change; they are unpacked, not installed. A wrapper starts each
program with the loader and the libraries that it was built for: no root, no chroot. This tier does not boot machines:
there is no guest image, only an empty disk for ``podman machine init``.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "testbed"

# The Debian suites that contained each version when this was written; the last one has priority for podman itself. If a
# suite has a newer version by now, that one is used, and `ready` names it.
SUITES = {"5.4.2": ["trixie"], "5.8.6": ["sid"], "6.1.1": ["sid", "experimental"]}
PACKAGES = ["podman", "qemu-utils", "openssh-client"]
PROGRAMS = ["podman", "qemu-img", "ssh-keygen", "ssh"]


class Unavailable(Exception):
    """The packages are not available here; the text has the reason."""


def mirror() -> str:
    """The address of this host's Debian mirror."""
    answer = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"],
        capture_output=True,
        text=True,
        check=False,
    )
    for uri in answer.stdout.split():
        if "security" not in uri:
            return uri.rstrip("/")
    raise Unavailable("apt-get names no Debian mirror on this machine")


def _apt(state: pathlib.Path, *words: str) -> list[str]:
    options = {
        "Dir::State": state / "state",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Check-Valid-Until": "false",  # a clock in the future must not fail the download
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    return ["apt-get", "-qq", *[word for key, value in options.items() for word in ("-o", f"{key}={value}")], *words]


def run(argv: list[str], seconds: int) -> str:
    """Run a command that must succeed and return its output."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{argv[0]}: {error}") from error
    if done.returncode:
        raise Unavailable(f"{argv[0]} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def build(version: str) -> pathlib.Path:
    """The directory of podman ``version``: ``bin/`` with the programs, ``ready`` with the version found.

    Raises:
        Unavailable: the packages are not available.
    """
    home = CACHE / f"podman-{version}"
    if (home / "ready").exists():
        return home
    suites = SUITES[version]
    fetch(home, suites, [f"podman/{suites[-1]}", *PACKAGES[1:]])
    (home / "bin").mkdir(exist_ok=True)
    for program in PROGRAMS:
        wrap(home, program, "usr/bin")
    found = run([str(home / "bin" / "podman"), "--version"], 30).split()[-1]
    (home / "ready").write_text(found + "\n")
    return home


def fetch(home: pathlib.Path, suites: list[str], packages: list[str]) -> None:
    """Unpack packages of these suites, with their dependencies, into ``home/root``."""
    state = home / "apt"
    for folder in (state / "state" / "lists" / "partial", state / "cache" / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")
    base = mirror()
    (state / "sources.list").write_text("".join(f"deb {base} {suite} main\n" for suite in suites))
    run(_apt(state, "update"), 300)
    run(_apt(state, "install", "-y", "--download-only", "--no-install-recommends", *packages), 900)
    for package in sorted((state / "cache" / "archives").glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(home / "root")], 120)
        package.unlink()


def wrap(home: pathlib.Path, program: str, folder: str) -> None:
    """A script in ``home/bin`` that starts a program of ``home/root`` with its own loader and libraries."""
    tree = home / "root"
    loader = next(tree.glob("**/ld-linux-*.so.2"))
    libraries = ":".join(str(path) for path in (*tree.glob("usr/lib/*-linux-gnu"), *tree.glob("lib/*-linux-gnu")))
    wrapper = home / "bin" / program
    wrapper.write_text(
        f'#!/bin/sh\nexec "{loader}" --library-path "{libraries}" --argv0 {program} "{tree}/{folder}/{program}" "$@"\n'
    )
    wrapper.chmod(0o755)


def main() -> int:
    for version in sys.argv[1:] or list(SUITES):
        try:
            print(build(version))
        except (Unavailable, KeyError) as error:
            print(f"podman {version} is not available here: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
