# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian 13 host with an Arm processor, as Oracle's free VM is one, on a machine with another processor.

    arm_vm.py      prints the directory; builds it if it is missing (root, 10 minutes, 3 GB)

Real are kernel, systemd, Docker, Compose and SSH of Debian's arm64 packages. Not real: the processor, which qemu
emulates, and the disk, which has no boot loader. The packages come from this host's Debian mirror and are unpacked, not
installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

TESTBED = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTBED), str(TESTBED / "mac")]

import podman_cli  # noqa: E402
from onebox_testbed import ports  # noqa: E402
from podman_cli import Unavailable  # noqa: E402

FOLDER = podman_cli.CACHE / "arm"
SUITE = "trixie"
USER = "ubuntu"
PACKAGES = ["qemu-system-arm", "qemu-user-static", "qemu-utils"]
GUEST = (
    "systemd-sysv,udev,dbus,libpam-systemd,linux-image-cloud-arm64,initramfs-tools,openssh-server,sudo,iproute2,python3,"
    "ca-certificates,e2fsprogs,kmod,procps,rsync,tzdata,iptables,docker.io,docker-cli,docker-compose,docker-buildx,"
    "busybox-static"
)
# How binfmt_misc recognizes an arm64 program (ELF header), from Debian's qemu-user-binfmt.
_BINFMT = pathlib.Path("/proc/sys/fs/binfmt_misc")
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_FORMAT = "onebox-aarch64"
# On a busy host an emulated guest needs minutes for jobs that systemd limits to 90 seconds.
_FILES = {
    "etc/systemd/network/10-dhcp.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\nIPv6AcceptRA=no\n",
    "etc/systemd/system.conf.d/10-patience.conf": (
        "[Manager]\nDefaultTimeoutStartSec=1200\nDefaultDeviceTimeoutSec=1200\n"
    ),
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
    "etc/hostname": "arm\n",
    "etc/hosts": "127.0.0.1 localhost arm\n",
    "etc/machine-id": "",
    f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
}


def build() -> pathlib.Path:
    """The directory with ``vm/``: kernel, initial RAM disk, disk, key and a static busybox; and ``root/``: qemu.

    Raises:
        Unavailable: packages or permissions are missing.
    """
    recipe = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    ready = FOLDER / "ready"
    if ready.exists() and ready.read_text() == recipe:
        return FOLDER
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "vm").mkdir(parents=True)
    (FOLDER / "bin").mkdir()
    podman_cli.fetch(FOLDER, [SUITE], PACKAGES)
    for program in ("qemu-system-aarch64", "qemu-img"):
        podman_cli.wrap(FOLDER, program, "usr/bin")
    with _arm64_programs():
        _guest(FOLDER / "guest", FOLDER / "vm")
    ready.write_text(recipe)
    return FOLDER


@contextlib.contextmanager
def _arm64_programs() -> t.Iterator[None]:
    """Let this kernel start arm64 programs by qemu. Afterwards the host is as before."""
    if not (_BINFMT / "register").exists():
        podman_cli.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], 30)
    entry = _BINFMT / _FORMAT
    if entry.exists():
        entry.write_text("-1")
    # F: the kernel opens the interpreter now, so that it need not be in the new root.
    interpreter = FOLDER / "root/usr/bin/qemu-aarch64-static"
    (_BINFMT / "register").write_text(f":{_FORMAT}:M::{_MAGIC}:{_MASK}:{interpreter}:F")
    try:
        yield
    finally:
        entry.write_text("-1")


def _guest(root: pathlib.Path, vm: pathlib.Path) -> None:
    """Root file system, kernel and disk of the guest."""
    argv = ["mmdebstrap", "-q", "--arch=arm64", "--variant=minbase", "--skip=check/qemu"]
    # Without this, each build of the initial RAM disk packs every driver, which takes minutes in emulation.
    few = "etc/initramfs-tools/conf.d"
    argv += [f'--essential-hook=mkdir -p "$1/{few}" && echo MODULES=list >"$1/{few}/onebox"']
    argv += ['--aptopt=Acquire::Check-Valid-Until "false"', f"--include={GUEST}", SUITE, str(root), podman_cli.mirror()]
    podman_cli.run(argv, 3600)
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    # The name server of qemu's user network.
    (root / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")
    podman_cli.run(["chroot", str(root), "systemctl", "enable", "systemd-networkd", "ssh", "docker"], 300)
    podman_cli.run(["chroot", str(root), "update-initramfs", "-u"], 1800)
    podman_cli.run(["chroot", str(root), "ssh-keygen", "-A"], 300)
    podman_cli.run(["chroot", str(root), "useradd", "-m", "-s", "/bin/bash", "-G", "docker", USER], 60)
    podman_cli.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(vm / "key")], 60)
    keys = root / "home" / USER / ".ssh" / "authorized_keys"
    keys.parent.mkdir(mode=0o700)
    shutil.copy(vm / "key.pub", keys)
    podman_cli.run(["chroot", str(root), "chown", "-R", f"{USER}:{USER}", f"/home/{USER}/.ssh"], 60)
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), vm / "vmlinuz")
    shutil.copy(next((root / "boot").glob("initrd.img-*")), vm / "initrd.img")
    shutil.copy(root / "bin/busybox", vm / "busybox")
    podman_cli.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(root), str(vm / "root.raw"), "4G"], 600)
    podman_cli.run(
        [str(FOLDER / "bin/qemu-img"), "convert", "-O", "qcow2", str(vm / "root.raw"), str(vm / "disk.qcow2")], 600
    )
    (vm / "root.raw").unlink()
    shutil.rmtree(root)


class Guest:
    """A running guest. Its disk is a layer above the built one, which does not change.

    Args:
        built: the directory of :func:`build`.
        folder: an empty directory for the disk and the console.
    """

    def __init__(self, built: pathlib.Path, folder: pathlib.Path) -> None:
        self.key = folder / "key"
        shutil.copy(built / "vm/key", self.key)
        self.key.chmod(0o600)
        self.console = folder / "console.log"
        self._known = folder / "known_hosts"
        disk = folder / "disk.qcow2"
        base = str(built / "vm/disk.qcow2")
        podman_cli.run(
            [str(built / "bin/qemu-img"), "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, str(disk)], 60
        )
        self.port = ports.claim()
        argv = [str(built / "bin/qemu-system-aarch64"), "-L", str(built / "root/usr/share/qemu"), "-display", "none"]
        argv += ["-machine", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "2048"]
        argv += ["-accel", "tcg,thread=multi,tb-size=512", "-serial", f"file:{self.console}", "-monitor", "none"]
        argv += ["-drive", f"file={disk},if=none,id=disk", "-device", "virtio-blk-pci,drive=disk"]
        argv += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        argv += ["-device", "virtio-net-pci,netdev=net,romfile=", "-kernel", str(built / "vm/vmlinuz")]
        argv += ["-initrd", str(built / "vm/initrd.img"), "-append", "root=/dev/vda rw quiet console=ttyAMA0"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def ssh_options(self) -> list[str]:
        """Options of ssh, also for Ansible."""
        return ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self._known}", "-o", "ConnectTimeout=60"]

    def run(self, command: str, seconds: int = 300) -> subprocess.CompletedProcess[str]:
        """Run a shell command as USER."""
        argv = ["ssh", "-i", str(self.key), "-p", str(self.port), *self.ssh_options(), f"{USER}@127.0.0.1", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)

    def wait(self, seconds: int) -> float:
        """Wait until a command runs by SSH. Returns the seconds since the call.

        Raises:
            Unavailable: qemu ended, or the time was up; the text ends with the console's last lines.
        """
        began = time.monotonic()
        while time.monotonic() - began < seconds and self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self.run("true", 120).returncode == 0:
                    return time.monotonic() - began
            time.sleep(2)
        said = self.console.read_text(errors="replace")[-2000:] if self.console.exists() else ""
        raise Unavailable(f"the Arm guest does not answer by SSH after {time.monotonic() - began:.0f} s:\n{said}")

    def stop(self) -> None:
        """End the guest as a power cut does."""
        self._process.kill()
        self._process.wait(30)


def main() -> int:
    try:
        print(build())
    except (Unavailable, OSError, subprocess.SubprocessError, StopIteration) as error:
        print(f"the Arm guest cannot be built here: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
