# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ``podman machine`` that boots, on a Linux machine without KVM and without a registry.

    boot_lab.py [5.4.2|5.8.6|6.1.1]      prints the directory; builds it if it is missing (root, 2 minutes, 2 GB)

Real are the podman client with its machine code, gvproxy (API socket, published ports), virtiofsd, ssh, and a guest
with systemd and podman. Not real: the provider is ``qemu`` (a Mac has libkrun or applehv), the guest is Debian instead
of Fedora CoreOS (guest_init.py does Ignition's part), and a wrapper turns KVM into emulation and boots the kernel
directly. Everything comes from Debian packages.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import sys

import podman_cli
from podman_cli import Unavailable

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["gvproxy", "qemu-system-x86", "virtiofsd"]
GUEST = (
    "systemd-sysv,udev,dbus,dbus-user-session,libpam-systemd,linux-image-cloud-amd64,initramfs-tools,openssh-server,"
    "podman,sudo,uidmap,passt,netavark,aardvark-dns,nftables,iproute2,python3,ca-certificates,e2fsprogs,kmod,"
    "procps,tzdata"
)
# Emulation replaces KVM and the host's CPU. A directly booted kernel needs no boot loader. No network boot.
# One processor: with a second emulated one, a kernel that patches its own code sometimes panics.
_QEMU = """\
#!/bin/bash
words=()
while [ $# -gt 0 ]; do
  case $1 in
    -accel) words+=(-accel tcg,thread=multi,tb-size=256); shift 2 ;;
    -cpu) words+=(-cpu max); shift 2 ;;
    *) words+=("$1"); shift ;;
  esac
done
kernel=${ONEBOX_LAB_KERNEL_ARGS:-root=/dev/vda rw quiet console=ttyS0 nr_cpus=1 init=/usr/local/sbin/guest-init}
exec "@REAL@" -L "@ROOT@/usr/share/seabios" -L "@ROOT@/usr/share/qemu" -L "@ROOT@/usr/lib/ipxe/qemu" \\
  "${words[@]}" -global virtio-net-pci.romfile= -kernel "@VM@/vmlinuz" -initrd "@VM@/initrd.img" \\
  -append "$kernel" -serial "file:${ONEBOX_LAB_CONSOLE:-/dev/null}"
"""


def build(version: str) -> pathlib.Path:
    """A client as podman_cli builds it, with the programs of a boot, and ``vm/disk.qcow2`` for ``init --image``.

    Raises:
        Unavailable: packages or permissions are missing.
    """
    client = podman_cli.build(version)
    lab = podman_cli.CACHE / f"boot-{version}"
    if (lab / "ready").exists() and (lab / "recipe").exists() and (lab / "recipe").read_text() == _recipe():
        return lab
    shutil.rmtree(lab, ignore_errors=True)
    (lab / "vm").mkdir(parents=True)
    # Hard links: the client's files are never changed.
    shutil.copytree(client / "root", lab / "root", symlinks=True, copy_function=_link)
    suites = podman_cli.SUITES[version]
    podman_cli.fetch(lab, suites, PACKAGES)
    (lab / "bin").mkdir()
    for program in podman_cli.PROGRAMS:
        podman_cli.wrap(lab, program, "usr/bin")
    podman_cli.wrap(lab, "gvproxy", "usr/bin" if (lab / "root/usr/bin/gvproxy").exists() else "usr/libexec/podman")
    podman_cli.wrap(lab, "virtiofsd", "usr/libexec")
    podman_cli.wrap(lab, "qemu-system-x86_64", "usr/bin")
    (lab / "bin/qemu-system-x86_64").rename(lab / "bin/qemu-real")
    _write(
        lab / "bin/qemu-system-x86_64",
        _QEMU.replace("@REAL@", f"{lab}/bin/qemu-real").replace("@ROOT@", f"{lab}/root").replace("@VM@", f"{lab}/vm"),
    )
    _guest(lab, suites)
    (lab / "recipe").write_text(_recipe())
    (lab / "ready").write_text((client / "ready").read_text())
    return lab


def _recipe() -> str:
    """The digest of the recipe, which changes with the files that build the guest."""
    parts = (pathlib.Path(__file__), HERE / "guest_init.py")
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


def _link(source: str, target: str) -> str:
    pathlib.Path(target).hardlink_to(source)
    return target


def _write(path: pathlib.Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _guest(lab: pathlib.Path, suites: list[str]) -> None:
    """Root file system, kernel and disk of the guest."""
    root, vm = lab / "guest", lab / "vm"
    argv = ["mmdebstrap", "-q", "--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"']
    podman_cli.run([*argv, f"--include={GUEST}", suites[0], str(root)], 900)
    init = root / "usr/local/sbin/guest-init"
    init.write_text("#!/usr/bin/python3\n" + (HERE / "guest_init.py").read_text())
    (root / "usr/local/sbin/guest-init").chmod(0o755)
    network = root / "etc/systemd/network/10-dhcp.network"
    network.parent.mkdir(parents=True, exist_ok=True)
    network.write_text("[Match]\nName=en* eth*\n[Network]\nDHCP=yes\nIPv6AcceptRA=no\n")
    for service in ("systemd-networkd", "ssh"):
        podman_cli.run(["chroot", str(root), "systemctl", "enable", service], 60)
    # podman waits only seconds for ssh after "ready", so on a slow guest "ready" must come after the network.
    ready = root / "etc/systemd/system/ready.service.d/10-network.conf"
    ready.parent.mkdir(parents=True)
    ready.write_text("[Unit]\nWants=network-online.target\nAfter=network-online.target ssh.service\n")
    # On a busy host an emulated guest needs minutes for jobs that systemd limits to 90 seconds.
    patient = root / "etc/systemd/system.conf.d/10-patience.conf"
    patient.parent.mkdir(parents=True)
    patient.write_text("[Manager]\nDefaultTimeoutStartSec=1200\nDefaultDeviceTimeoutSec=1200\n")
    online = root / "etc/systemd/system/systemd-networkd-wait-online.service.d/10-patience.conf"
    online.parent.mkdir(parents=True)
    online.write_text("[Service]\nExecStart=\nExecStart=/usr/lib/systemd/systemd-networkd-wait-online --timeout=1200\n")
    # An emulated guest needs a minute to unpack every driver, and uses only three.
    (root / "etc/initramfs-tools/conf.d/onebox").write_text("MODULES=list\n")
    (root / "etc/initramfs-tools/modules").write_text("virtio_pci\nvirtio_blk\next4\n")
    podman_cli.run(["chroot", str(root), "update-initramfs", "-u"], 300)
    resolv = root / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.write_text("nameserver 192.168.127.1\n")
    (root / "etc/hostname").write_text("podvm\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost podvm\n")
    (root / "etc/machine-id").write_text("")
    podman_cli.run(["chroot", str(root), "ssh-keygen", "-A"], 60)
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), vm / "vmlinuz")
    shutil.copy(next((root / "boot").glob("initrd.img-*")), vm / "initrd.img")
    podman_cli.run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(root), str(vm / "root.raw"), "2G"], 300)
    podman_cli.run(
        [str(lab / "bin/qemu-img"), "convert", "-O", "qcow2", str(vm / "root.raw"), str(vm / "disk.qcow2")], 300
    )
    (vm / "root.raw").unlink()
    shutil.rmtree(root)


def main() -> int:
    version = sys.argv[1] if len(sys.argv) > 1 else "5.8.6"
    try:
        print(build(version))
    except (Unavailable, OSError, subprocess.SubprocessError, StopIteration) as error:
        print(f"the lab cannot be built here: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
