# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images with real databases from Debian packages, for machines that reach no registry.

    python tests/testbed/backup/images.py [--save] [pg15 redis7 …]

The file systems are kept as tarballs in .cache/testbed; the images are called obx-backup-<part>:1. They behave like the
official images where it matters to backups: the data directory is a volume, POSTGRES_PASSWORD/USER/DB count, the local
socket trusts, other connections require the password.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "testbed"
# What runs in an image: suite, packages, where the programs lie.
PARTS = {
    "redis6": ("bullseye", "redis-server", ""),
    "pg15": ("bookworm", "postgresql-15", "/usr/lib/postgresql/15/bin"),
    "redis7": ("bookworm", "redis-server", ""),
    "pg17": ("trixie", "postgresql-17", "/usr/lib/postgresql/17/bin"),
    "redis8": ("trixie", "redis-server", ""),
    "valkey8": ("trixie", "valkey-server", ""),
    "valkey9": ("forky", "valkey-server", ""),
    "mariadb10": ("bookworm", "mariadb-server-core,mariadb-client", ""),
    "mariadb11": ("trixie", "mariadb-server-core,mariadb-client", ""),
    "mysql9": ("sid", "mysql-server-core,mysql-client", ""),
}
# The entry points of the substitute images.
ENTRIES = ROOT / "tests" / "testbed" / "standins"


def _is_mysql(part: str) -> bool:
    return part.startswith(("mariadb", "mysql"))


def tarball(part: str) -> pathlib.Path:
    """The file system of a part, built when it is not cached."""
    suite, package, unused = PARTS[part]
    target = CACHE / f"backup-{part}.tar"
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = CACHE / f"backup-{part}.partial.tar"
    extra = []
    if part.startswith("pg"):
        # Debian's package would make a cluster of its own; the entry point makes the one that counts.
        extra = [
            "--essential-hook=mkdir -p $1/etc/postgresql-common; "
            "echo create_main_cluster=false > $1/etc/postgresql-common/createcluster.conf"
        ]
    entry = CACHE / f"backup-{part}.entry"
    server = "postgres" if part.startswith("pg") else "mariadb" if _is_mysql(part) else "redis"
    if _is_mysql(part):
        # The user and the directories come with the packages that also start a server.
        extra = ["--customize-hook=chroot $1 useradd --system --no-create-home mysql; mkdir -p $1/var/lib/mysql"]
    entry.write_bytes((ENTRIES / server / "docker-entrypoint.sh").read_bytes())
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={package}",
            '--aptopt=Apt::Install-Recommends "false"',
            # A mirror of a suite that still moves may lag behind the week its index promises.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            *extra,
            "--customize-hook=mkdir -p $1/data $1/var/lib/postgresql/data",
            f"--customize-hook=copy-in {entry} /usr/local/bin",
            f"--customize-hook=cd $1/usr/local/bin; mv {entry.name} entry; chmod 755 entry",
            "--customize-hook=rm -rf $1/usr/share/doc $1/usr/share/man $1/usr/share/locale $1/var/cache/apt",
            suite,
            str(scratch),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    entry.unlink()
    scratch.rename(target)
    return target


def ensure(part: str, engine: str = "docker") -> str:
    """The reference of the image of a part in the engine, imported when it is not there."""
    reference = f"obx-backup-{part}:1"
    if engine == "podman":
        reference = f"localhost/{reference}"
    found = subprocess.run([engine, "image", "inspect", reference], capture_output=True, check=False)
    if found.returncode == 0:
        return reference
    binaries = PARTS[part][2]
    path = (binaries + ":" if binaries else "") + "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if part.startswith("pg"):
        words = ["VOLUME /var/lib/postgresql/data", 'CMD ["postgres"]']
    elif _is_mysql(part):
        words = ["VOLUME /var/lib/mysql", 'CMD ["%s"]' % ("mysqld" if part.startswith("mysql") else "mariadbd")]
    else:
        server = "valkey-server" if part.startswith("valkey") else "redis-server"
        words = [
            "VOLUME /data",
            "WORKDIR /data",
            f'CMD ["{server}","--bind","* -::*","--protected-mode","no","--dir","/data"]',
        ]
    changes = [f"ENV PATH={path}", 'ENTRYPOINT ["/usr/local/bin/entry"]', *words]
    command = [engine, "import"]
    for change in changes:
        command += ["--change", change]
    subprocess.run([*command, str(tarball(part)), reference], check=True, capture_output=True)
    return reference


def save(part: str) -> pathlib.Path:
    """The image as an archive next to those of the testbed, for the engines inside Molecule's hosts."""
    archive = CACHE / "images" / f"backup-{part}.saved.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        scratch = archive.with_suffix(".partial")
        subprocess.run(["docker", "save", "-o", str(scratch), ensure(part)], check=True)
        scratch.rename(archive)
    return archive


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--save"]
    for asked in words or ("pg15", "redis7"):
        print(save(asked) if "--save" in sys.argv else ensure(asked), flush=True)
