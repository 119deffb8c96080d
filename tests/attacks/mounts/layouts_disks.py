# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of disks, of whole mounts, and of processes that do not run."""

from __future__ import annotations

import os
import pathlib

from layout_registry import RUN, Made, layout
from truth import Lab, command

# Disks.


@layout("no_space")
def directory_on_a_full_disk(lab: Lab) -> Made:
    data = lab.directory()
    lab.mount("tmpfs", data, "-o", "size=64k")
    name = lab.run("-v", f"{data}:/data")
    (data / "fill").write_bytes(b"\0" * 65536)
    return name, data, 0


@layout("no_space")
def file_on_a_full_disk(lab: Lab) -> Made:
    data = lab.directory()
    lab.mount("tmpfs", data, "-o", "size=64k")
    (data / "log").touch()
    name = lab.run("-v", f"{data}/log:/data/log", "-e", "D=/data/log")
    (data / "fill").write_bytes(b"\0" * 65536)
    return name, data / "log", 0


@layout("no_space")
def file_on_a_full_disk_as_user(lab: Lab) -> Made:
    """The application cannot use the blocks that a disk reserves for root."""
    data = lab.directory()
    lab.disk(data, "-m", "20")
    (data / "log").touch()
    os.chown(data / "log", 1000, 1000)
    name = lab.run("-v", f"{data}/log:/data/log", "-e", "D=/data/log", "--user", "1000")
    figures = os.statvfs(data)
    with (data / "fill").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, figures.f_bavail * figures.f_frsize)
    return name, data / "log", 0


@layout("no_space")
def full_disk_below(lab: Lab) -> Made:
    data = lab.directory()
    (data / "sub").mkdir()
    lab.mount("tmpfs", data / "sub", "-o", "size=64k")
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/sub")
    (data / "sub" / "fill").write_bytes(b"\0" * 65536)
    return name, data / "sub", 0


@layout("ok")
def full_disk_below_with_its_own_mount(lab: Lab) -> Made:
    data, other = lab.directory(), lab.directory("other")
    name = lab.run("-v", f"{data}:/data", "-v", f"{other}:/data/sub")
    return name, data, 0


@layout("ok")
def file_of_another_directory(lab: Lab) -> Made:
    """The application cannot enter the parent directory, but can write to the file."""
    data = lab.directory(mode=0o700)
    (data / "log").touch()
    os.chown(data / "log", 1000, 1000)
    return lab.run("-v", f"{data}/log:/data/log", "-e", "D=/data/log", "--user", "1000"), data / "log", 0


@layout("not_writable")
def limit_on_the_size_of_files(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", argv=("sh", "-c", f"ulimit -f 1; exec {RUN}")), data, 0


@layout("not_writable", "ro_rw_mismatch")
def read_only_disk(lab: Lab) -> Made:
    data = lab.directory()
    lab.mount("tmpfs", data)
    name = lab.run("-v", f"{data}:/data")
    command("mount", "-o", "remount,ro", data)
    return name, data, 0


@layout("ro_rw_mismatch", mode="exec")
def forbids_programs_since_the_start(lab: Lab) -> Made:
    data = lab.directory()
    (data / "job").write_text("#!/bin/sh\n")
    (data / "job").chmod(0o755)
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/job", "-e", "MODE=exec")
    lab.inside(name, "mount", "-o", "remount,bind,noexec", "/data")
    return name, data, 0


@layout("ok")
def disk_that_forbids_programs(lab: Lab) -> Made:
    data = lab.directory()
    lab.mount("tmpfs", data, "-o", "noexec")
    return lab.run("-v", f"{data}:/data"), data, 0


# The whole mount.


@layout("stale_deleted")
def deleted_and_created_again(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    data.rmdir()
    data.mkdir()
    return name, data, 0


@layout("stale_renamed")
def moved_and_another_under_its_name(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    data.rename(lab.folder / "old")
    data.mkdir()
    return name, data, 0


@layout("stale_renamed")
def parent_moved(lab: Lab) -> Made:
    data = lab.directory("parent/data")
    name = lab.run("-v", f"{data}:/data")
    data.parent.rename(lab.folder / "old")
    lab.directory("parent/data")
    return name, data, 0


@layout("stale_file")
def file_replaced(lab: Lab) -> Made:
    data = lab.directory()
    (data / "log").write_text("old")
    name = lab.run("-v", f"{data}/log:/data/log", "-e", "D=/data/log")
    (data / "new").write_text("new")
    (data / "new").rename(data / "log")
    return name, data / "log", 0


@layout("shadowed")
def covered(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    lab.inside(name, "mount", "-t", "tmpfs", "none", "/data")
    return name, data, 0


@layout("unmounted_inside")
def unmounted(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    lab.inside(name, "umount", "/data")
    return name, data, 0


@layout("ro_rw_mismatch")
def remounted_read_only(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    lab.inside(name, "mount", "-o", "remount,bind,ro", "/data")
    return name, data, 0


@layout("host_mount_changed")
def disk_mounted_over_the_source(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    lab.mount("tmpfs", data)
    return name, data, 0


@layout("host_mount_changed")
def disk_of_the_source_unmounted(lab: Lab) -> Made:
    data = lab.directory()
    lab.mount("tmpfs", data)
    name = lab.run("-v", f"{data}:/data")
    command("umount", "-l", data)
    return name, data, 0


@layout("symlink_retargeted")
def link_changed(lab: Lab) -> Made:
    link = lab.folder / "current"
    link.symlink_to(lab.directory("one"))
    name = lab.run("-v", f"{link}:/data")
    link.unlink()
    link.symlink_to(lab.directory("two"))
    return name, link, 0


@layout("ok")
def link_of_root(lab: Lab) -> Made:
    link = lab.folder / "current"
    link.symlink_to(lab.directory("one"))
    return lab.run("-v", f"{link}:/data"), link, 0


# Podman gives a new volume to the user of the container, Docker does not.
@layout("not_writable", "ok")
def volume_of_root(lab: Lab) -> Made:
    name = lab.run("-v", "/data", "--user", "1000")
    source = '{{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}}'
    return name, pathlib.Path(lab.cli("inspect", "--format", source, name)), 0


@layout("ok")
def odd_names(lab: Lab) -> Made:
    data = lab.directory("it's a\nna me - tmpfs x")
    return lab.run("--mount", f'type=bind,"source={data}",target=/data'), data, 0


@layout("ok")
def same_directory_twice(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", "-v", f"{data}:/again"), data, 0


@layout("not_readable", mode="read")
def secret_of_root(lab: Lab) -> Made:
    data = lab.directory()
    (data / "key").write_text("x")
    (data / "key").chmod(0o600)
    options = ("-e", "D=/run/key", "-e", "MODE=read", "--user", "1000")
    return lab.run("-v", f"{data}/key:/run/key:ro", *options), data / "key", 0


@layout("ok", mode="read")
def secret_of_the_application(lab: Lab) -> Made:
    data = lab.directory(mode=0o700)
    (data / "key").write_text("x")
    (data / "key").chmod(0o400)
    os.chown(data / "key", 1000, 1000)
    options = ("-e", "D=/run/key", "-e", "MODE=read", "--user", "1000")
    return lab.run("-v", f"{data}/key:/run/key:ro", *options), data / "key", 0


@layout("ok", mode="read")
def read_only_of_root(lab: Lab) -> Made:
    """The application only reads, so directories below that it cannot write to do not matter."""
    data = lab.directory()
    (data / "sub").mkdir()
    (data / "sub" / "file").touch()
    return lab.run("-v", f"{data}:/data:ro", "-e", "MODE=read", "--user", "1000"), data, 0


@layout("ok", mode="read")
def whole_host(lab: Lab) -> Made:
    options = ("-v", "/proc:/host/proc:ro", "-v", "/sys:/host/sys:ro", "-v", "/:/rootfs:ro", "--pid", "host")
    return lab.run(*options, "-e", "D=/rootfs/etc", "-e", "MODE=read"), lab.folder, 0


@layout("ok")
def run_of_the_host(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", "/var/run:/var/run:rw", "-v", "/dev:/dev/host:ro", "-v", f"{data}:/data"), data, 0


# Processes that do not run.


@layout("paused")
def paused(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    lab.cli("pause", name)
    return name, data, 0


@layout("paused")
def stopped_by_a_signal(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    os.kill(lab.pid(name), 19)
    return name, data, lab.pid(name)
