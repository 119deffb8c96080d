# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic and its REST server out of Debian's packages, unpacked next to the tests and not installed.

    python tests/testbed/backup/restic.py [suite]

bookworm has restic 0.14, which the runner must refuse; trixie has 0.18 and rest-server 0.13.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tarfile

CACHE = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "testbed"


def ensure(suite: str = "trixie") -> pathlib.Path:
    """The directory with the programs of a suite."""
    target = CACHE / f"restic-{suite}"
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    packages = "restic" if suite == "bookworm" else "restic,restic-rest-server"
    scratch = CACHE / f"restic-{suite}.partial.tar"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", f"--include={packages}", suite, str(scratch)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    partial = CACHE / f"restic-{suite}.partial"
    partial.mkdir(exist_ok=True)
    with tarfile.open(scratch) as tar:
        for member in tar:
            name = pathlib.PurePosixPath(member.name)
            if member.isreg() and name.parent == pathlib.PurePosixPath("usr/bin") and "rest" in name.name:
                source = tar.extractfile(member)
                assert source is not None
                (partial / name.name).write_bytes(source.read())
                (partial / name.name).chmod(0o755)
    scratch.unlink()
    partial.rename(target)
    return target


if __name__ == "__main__":
    print(ensure(*sys.argv[1:2]))
