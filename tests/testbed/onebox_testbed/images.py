# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images without a registry: built from Debian packages, kept as tarballs and in the engine's store."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pathlib
import shutil
import tarfile

from onebox_testbed import packages
from onebox_testbed.base import CACHE, TestbedError, run, step
from onebox_testbed.docker import docker

TINY = "localhost/onebox-testbed/tiny:latest"
PYTHON = "docker.io/library/python:3.11-slim"
RECIPE_LABEL = "onebox.testbed.recipe"
TARBALLS = CACHE / "images"

# A container's /proc/sys is read-only; on the machine these hosts stand in for it is not, and Docker inside needs it.
_PROC_SYS_UNIT = """[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/mount -o remount,rw /proc/sys
[Install]
WantedBy=sysinit.target
"""
# Podman of an ordinary user needs a shared root, and the device of its networks, which any user may open on a machine.
_ROOTLESS_UNIT = """[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/mount --make-rshared /
ExecStart=/bin/chmod 666 /dev/net/tun
[Install]
WantedBy=sysinit.target
"""
# The clock's service refuses to run in a container, or without the right to set the clock; these hosts are machines.
_CLOCK = (
    'mkdir -p "$1/etc/systemd/system/systemd-timesyncd.service.d" && printf '
    r"'[Unit]\nConditionVirtualization=\nConditionCapability=\n[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n'"
    ' >"$1/etc/systemd/system/systemd-timesyncd.service.d/testbed.conf"'
)
_APT_INSTALL = r"""FROM {base}
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
 && apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends {packages} \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
"""


@dataclasses.dataclass(frozen=True)
class Image:
    """How an image is made.

    Attributes:
        suite: the Debian release of a root file system built by mmdebstrap.
        base: instead of a suite, the image to install ``packages`` upon.
        hooks: shell commands with ``$1`` as the root, run last.
        changes: Dockerfile instructions of the import.
        pull: whether a registry's own image is taken where one answers.
    """

    tag: str
    packages: tuple[str, ...]
    suite: str = ""
    base: str = ""
    hooks: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    pull: bool = False

    @property
    def recipe(self) -> str:
        """Changes when anything the image is made of changes, its base included."""
        parts = [dataclasses.asdict(self), IMAGES[self.base].recipe if self.base else "", _APT_INSTALL]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _hosts() -> tuple[Image, ...]:
    tag = "onebox-testbed/debian13"
    plain = Image(
        f"{tag}:latest",
        ("systemd", "systemd-sysv", "dbus", "python3", "sudo", "iproute2", "ca-certificates", "procps"),
        suite="trixie",
        hooks=(
            f"printf '%s' '{_PROC_SYS_UNIT}' >\"$1/etc/systemd/system/testbed-proc-sys.service\"",
            'chroot "$1" systemctl enable testbed-proc-sys.service',
            # They wait for hardware or a console that a container has not.
            'chroot "$1" systemctl mask getty.target systemd-networkd-wait-online.service',
        ),
        changes=('CMD ["/sbin/init"]',),
    )
    # What the role container_engine installs: these hosts are for the roles that come after it.
    docker_host = Image(
        f"{tag}-docker:latest",
        ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables", "rsync"),
        base="debian13",
    )
    podman_host = Image(
        f"{tag}-podman:latest",
        ("podman", "runc", "netavark", "aardvark-dns", "nftables", "podman-compose", "rsync"),
        base="debian13",
    )
    return plain, docker_host, podman_host


# By the name the command line uses.
IMAGES: dict[str, Image] = {}
for _name, _image in zip(("debian13", "debian13-docker", "debian13-podman"), _hosts(), strict=True):
    IMAGES[_name] = _image
# For an ordinary user, too.
IMAGES["debian13-podman-user"] = Image(
    "onebox-testbed/debian13-podman-user:latest",
    ("uidmap", "passt", "libpam-systemd", "dbus-user-session"),
    base="debian13-podman",
    hooks=(
        "printf '" + _ROOTLESS_UNIT.replace("\n", "\\n") + "' >/etc/systemd/system/testbed-rootless.service",
        "systemctl enable testbed-rootless.service",
    ),
)
# What a cloud's image brings: cloud-init, SSH, firewall rules that are loaded at boot, and systemd for users.
IMAGES["debian13-cloud"] = Image(
    "onebox-testbed/debian13-cloud:latest",
    ("cloud-init", "openssh-server", "iptables", "iptables-persistent", "libpam-systemd", "dbus-user-session"),
    base="debian13",
    hooks=(_CLOCK,),
)
IMAGES["debian12-cloud"] = Image(
    "onebox-testbed/debian12-cloud:latest",
    (*IMAGES["debian13"].packages, "iptables", "iptables-persistent"),
    suite="bookworm",
    hooks=(*IMAGES["debian13"].hooks, _CLOCK),
    changes=IMAGES["debian13"].changes,
)
IMAGES["debian12-bare"] = Image(
    "onebox-testbed/debian12-bare:latest",
    ("git", "make", "python3"),
    suite="bookworm",
    changes=('CMD ["sleep", "infinity"]',),
)
IMAGES["debian12"] = Image(
    "onebox-testbed/debian12:latest", ("ca-certificates", "python3", "busybox"), suite="bookworm"
)
IMAGES["python"] = Image(
    PYTHON,
    ("python3", "python-is-python3", "ca-certificates"),
    suite="bookworm",
    changes=('CMD ["python3"]', "ENV LANG=C.UTF-8"),
    pull=True,
)
NAMES = (*IMAGES, "tiny")


def ensure(socket: str, name: str) -> str:
    """Make sure the Docker engine at ``socket`` has an image; returns its tag."""
    if name == "tiny":
        return _tiny(socket)
    try:
        image = IMAGES[name]
    except KeyError:
        raise TestbedError(f"there is no image {name!r}; there are {', '.join(NAMES)}") from None
    if has(socket, image):
        return image.tag
    if image.base:
        base = ensure(socket, image.base)
        recipe = _APT_INSTALL.format(base=base, packages=" ".join(image.packages))
        recipe += "".join(f"RUN set -- ''; {hook}\n" for hook in image.hooks)
        with step(f"building {image.tag}: {base} with {' '.join(image.packages)}"):
            label = f"{RECIPE_LABEL}={image.recipe}"
            docker(socket, "build", "-q", "--force-rm", "--label", label, "-t", image.tag, "-", stdin=recipe)
        return image.tag
    if image.pull and _pulled(socket, image.tag):
        return image.tag
    tarball = root_file_system(name)
    with step(f"importing {image.tag}"):
        changes = [*image.changes, f"LABEL {RECIPE_LABEL}={image.recipe}"]
        docker(socket, "import", *(part for change in changes for part in ("-c", change)), str(tarball), image.tag)
    return image.tag


def has(socket: str, image: Image) -> bool:
    """Whether the engine holds the image made by today's recipe, or a registry's own."""
    form = f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}} {{{{len .RepoDigests}}}}'
    try:
        recipe, _space, digests = docker(socket, "image", "inspect", "-f", form, image.tag).rpartition(" ")
    except TestbedError:
        return False
    return recipe == image.recipe or (image.pull and (digests != "0" or not recipe))


def _pulled(socket: str, tag: str) -> bool:
    try:
        docker(socket, "pull", "-q", tag, timeout=120)
    except TestbedError:
        return False
    return True


def root_file_system(name: str) -> pathlib.Path:
    """The tarball of an image's root file system, built when it is not there."""
    image = IMAGES[name]
    tarball = TARBALLS / f"{name}-{image.recipe}.tar"
    if tarball.exists():
        return tarball
    packages.ensure("mmdebstrap", *(() if packages.debian_mirror() else ("debian-archive-keyring",)))
    mirror = packages.debian_mirror()
    argv = ["mmdebstrap", "-q", "--variant=minbase", f"--include={','.join(image.packages)}"]
    argv += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")]
    argv += [f"--customize-hook={hook}" for hook in image.hooks]
    part = tarball.with_suffix(".part.tar")
    TARBALLS.mkdir(parents=True, exist_ok=True)
    with step(f"building a {image.suite} root file system for {image.tag}"):
        # Without a mirror of this machine's own, mmdebstrap knows one.
        run([*argv, image.suite, str(part), *([f"deb {mirror} {image.suite} main"] if mirror else [])])
    for old in TARBALLS.glob(f"{name}-*.tar"):
        if old != part:
            old.unlink()
    part.rename(tarball)
    return tarball


def saved(socket: str, name: str) -> pathlib.Path:
    """The image as an archive any engine loads, for the engines inside the hosts."""
    tag = ensure(socket, name)
    identity = docker(socket, "image", "inspect", "-f", "{{.Id}}", tag).rpartition(":")[2][:12]
    archive = TARBALLS / f"saved-{name}-{identity}.tar"
    if not archive.exists():
        TARBALLS.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part")
        docker(socket, "save", "-o", str(part), tag)
        for old in TARBALLS.glob(f"saved-{name}-*.tar"):
            old.unlink()
        part.rename(archive)
    return archive


def tiny_root() -> bytes:
    """A root file system of busybox alone, 2 MB."""
    busybox = shutil.which("busybox")
    if busybox is None or b"statically linked" not in run(["file", "-b", busybox], check=False).stdout.encode():
        packages.ensure("busybox-static")
        busybox = shutil.which("busybox")
    if busybox is None:
        raise TestbedError("busybox-static is installed and there is no busybox on PATH")
    applets = run([busybox, "--list"]).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "root", "proc", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        program = pathlib.Path(busybox).read_bytes()
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(program), 0o755
        archive.addfile(entry, io.BytesIO(program))
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
        for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
            entry = tarfile.TarInfo(f"etc/{name}")
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def tiny_tarball() -> pathlib.Path:
    tarball = TARBALLS / "tiny.tar"
    if not tarball.exists():
        TARBALLS.mkdir(parents=True, exist_ok=True)
        part = tarball.with_suffix(".part")
        part.write_bytes(tiny_root())
        part.rename(tarball)
    return tarball


def _tiny(socket: str) -> str:
    try:
        docker(socket, "image", "inspect", "-f", "{{.Id}}", TINY)
    except TestbedError:
        docker(socket, "import", "-c", 'CMD ["sh"]', str(tiny_tarball()), TINY)
    return TINY
