# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of mounts and directories below the destination."""

from __future__ import annotations

import os
import pathlib

from layout_registry import AS_1000, RUN, Made, layout
from truth import Lab, command

# Below the destination.


def _below(lab: Lab, *options: str) -> tuple[str, pathlib.Path]:
    data = lab.directory()
    (data / "sub").mkdir()
    return lab.run("-v", f"{data}:/data", "-e", "D=/data/sub", *options), data / "sub"


@layout("shadowed")
def memory_mounted_below(lab: Lab) -> Made:
    name, sub = _below(lab)
    lab.inside(name, "mount", "-t", "tmpfs", "none", "/data/sub")
    return name, sub, 0


@layout("shadowed")
def memory_mounted_two_levels_below(lab: Lab) -> Made:
    data = lab.directory()
    (data / "a" / "b").mkdir(parents=True)
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/a/b")
    lab.inside(name, "mount", "-t", "tmpfs", "none", "/data/a/b")
    return name, data / "a" / "b", 0


@layout("shadowed")
def other_directory_bound_below(lab: Lab) -> Made:
    name, sub = _below(lab)
    (sub.parent / "other").mkdir()
    lab.inside(name, "mount", "--bind", "/data/other", "/data/sub")
    return name, sub, 0


@layout("shadowed")
def memory_over_a_disk_below(lab: Lab) -> Made:
    data = lab.directory()
    (data / "sub").mkdir()
    lab.disk(data / "sub")
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/sub")
    lab.inside(name, "mount", "-t", "tmpfs", "none", "/data/sub")
    return name, data / "sub", 0


@layout("ok")
def disk_below(lab: Lab) -> Made:
    data = lab.directory()
    (data / "sub").mkdir()
    lab.disk(data / "sub")
    return lab.run("-v", f"{data}:/data", "-e", "D=/data/sub"), data / "sub", 0


@layout("ro_rw_mismatch")
def disk_below_read_only_inside(lab: Lab) -> Made:
    data = lab.directory()
    (data / "sub").mkdir()
    lab.disk(data / "sub")
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/sub")
    lab.inside(name, "mount", "-o", "remount,bind,ro", "/data/sub")
    return name, data / "sub", 0


@layout("shadowed", "ro_rw_mismatch")
def directory_below_read_only_inside(lab: Lab) -> Made:
    name, sub = _below(lab)
    lab.inside(name, "sh", "-c", "mount --bind /data/sub /data/sub && mount -o remount,bind,ro /data/sub")
    return name, sub, 0


@layout("host_mount_changed")
def disk_below_unmounted_on_the_host(lab: Lab) -> Made:
    data = lab.directory()
    (data / "sub").mkdir()
    lab.disk(data / "sub")
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/sub")
    command("umount", "-l", data / "sub")
    return name, data / "sub", 0


@layout("submount_missing")
def disk_mounted_below_after_the_start(lab: Lab) -> Made:
    name, sub = _below(lab)
    lab.disk(sub)
    return name, sub, 0


@layout("anonymous_volume")
def volume_of_the_image_below(lab: Lab) -> Made:
    image = lab.image_with("VOLUME /data/db")
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data", "-e", "D=/data/db", image=image)
    lab.cli("exec", name, "sh", "-c", "echo row > /data/db/row")
    (data / "db").mkdir(exist_ok=True)
    return name, data / "db", 0


@layout("ok")
def empty_volume_of_the_image_below(lab: Lab) -> Made:
    """Like mongo's configdb: no process writes there."""
    image = lab.image_with("VOLUME /data/configdb")
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", image=image), data, 0


@layout("ok")
def anonymous_volume_that_was_declared(lab: Lab) -> Made:
    """Like node_modules below the code."""
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data", "-v", "/data/node_modules")
    lab.cli("exec", name, "sh", "-c", "echo row > /data/node_modules/row")
    return name, data, 0


@layout("ok")
def declared_memory_below(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", "--read-only", "--tmpfs", "/data/cache"), data, 0


@layout("ok")
def declared_bind_below(lab: Lab) -> Made:
    data, other = lab.directory(), lab.directory("other")
    return lab.run("-v", f"{data}:/data", "-v", f"{other}:/data/sub", "-e", "D=/data/sub"), other, 0


@layout("shadowed")
def memory_below_a_declared_bind(lab: Lab) -> Made:
    data, other = lab.directory(), lab.directory("other")
    (other / "deep").mkdir()
    name = lab.run("-v", f"{data}:/data", "-v", f"{other}:/data/sub", "-e", "D=/data/sub/deep")
    lab.inside(name, "mount", "-t", "tmpfs", "none", "/data/sub/deep")
    return name, other / "deep", 0


# Directories below that are closed to the application.


@layout("not_writable")
def subdirectory_of_root(lab: Lab) -> Made:
    data = lab.directory(owner=1000)
    (data / "pg").mkdir(mode=0o700)
    return lab.run("-v", f"{data}:/data", "--user", "1000", "-e", "D=/data/pg"), data / "pg", 0


@layout("not_writable")
def subdirectory_of_root_that_can_be_read(lab: Lab) -> Made:
    data = lab.directory(owner=1000)
    (data / "pg").mkdir()
    return lab.run("-v", f"{data}:/data", "--user", "1000", "-e", "D=/data/pg"), data / "pg", 0


@layout("not_writable")
def subdirectory_of_another_user(lab: Lab) -> Made:
    data = lab.directory(owner=1000)
    (data / "pg").mkdir()
    os.chown(data / "pg", 70, 70)
    return lab.run("-v", f"{data}:/data", "--user", "1000", "-e", "D=/data/pg"), data / "pg", 0


@layout("not_writable")
def deep_subdirectory_that_is_named(lab: Lab) -> Made:
    data = lab.directory(owner=1000)
    (data / "a" / "b").mkdir(parents=True)
    os.chown(data / "a", 1000, 1000)
    return lab.run("-v", f"{data}:/data", "--user", "1000", "-e", "D=/data/a/b"), data / "a" / "b", 0


@layout("ok")
def top_of_a_disk(lab: Lab) -> Made:
    """lost+found belongs to root on each ext4 disk."""
    data = lab.directory()
    lab.disk(data)
    os.chown(data, 1000, 1000)
    return lab.run("-v", f"{data}:/data", "--user", "1000"), data, 0


@layout("ok")
def subdirectory_of_the_other_process(lab: Lab) -> Made:
    data = lab.directory(owner=1000, mode=0o777)
    (data / "mine").mkdir(mode=0o700)
    (data / "theirs").mkdir(mode=0o700)
    os.chown(data / "mine", 1000, 1000)
    os.chown(data / "theirs", 70, 70)
    argv = ("sh", "-c", f"setpriv --reuid=70 --clear-groups sleep 100000 & {' '.join(AS_1000)} {RUN} & wait")
    return lab.run("-v", f"{data}:/data", argv=argv), data, 0
