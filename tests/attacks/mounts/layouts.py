# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of mounts, processes and users. Each says which verdicts are right; the application says what is true.

A layout returns the container, where on the host its data should arrive, and the process that uses it (0: the last one
started). ``ok`` in its verdicts means that the application can use its data.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import typing as t

from truth import Lab, command

Made = tuple[str, pathlib.Path, int]
# Podman here has no init to put in front of an application.
ONLY_DOCKER = ("init_of_engine", "init_of_engine_owner")
LAYOUTS: dict[str, tuple[t.Callable[[Lab], Made], tuple[str, ...], str]] = {}
APP = ("python3", "-u", "/t/app.py")
RUN = "python3 -u /t/app.py"
AS_1000 = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
ADMIN = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "--security-opt", "seccomp=unconfined")


def init(*argv: str, name: str = "tini") -> tuple[str, ...]:
    """What starts ``argv`` through an init."""
    return (f"/t/{name}", "-c", f"{shlex.join(argv)}; true")


def layout(*verdicts: str, mode: str = "write") -> t.Callable[[t.Callable[[Lab], Made]], t.Callable[[Lab], Made]]:
    def add(make: t.Callable[[Lab], Made]) -> t.Callable[[Lab], Made]:
        LAYOUTS[make.__name__] = (make, verdicts, mode)
        return make

    return add


def _chain(name: str, good: bool, *argv: str, options: t.Sequence[str] = (), owner: int = 0) -> None:
    """A layout in which the application is started through ``argv``."""

    def make(lab: Lab) -> Made:
        data = lab.directory(owner=owner)
        return lab.run("-v", f"{data}:/data", *options, argv=argv), data, 0

    make.__name__ = name
    layout("ok" if good else "not_writable")(make)


# Users: who starts whom. A directory of root's, or of user 1000's (33: www-data).
_chain("control_root", True, *APP)
_chain("user_by_option", False, *APP, options=("--user", "1000"))
_chain("user_by_option_owner", True, *APP, options=("--user", "1000"), owner=1000)
_chain("setpriv_exec", False, *AS_1000, *APP)
_chain("setpriv_exec_owner", True, *AS_1000, *APP, owner=1000)
_chain("su_forks", False, "su", "-m", "-s", "/bin/sh", "www-data", "-c", f"exec {RUN}")
_chain("su_forks_owner", True, "su", "-m", "-s", "/bin/sh", "www-data", "-c", f"exec {RUN}", owner=33)
_chain("su_login_shell", False, "su", "-m", "-s", "/bin/sh", "www-data", "-c", f"{RUN}; true")
_chain("runuser", False, "runuser", "-u", "www-data", "--", *APP)
_chain("runuser_owner", True, "runuser", "-u", "www-data", "--", *APP, owner=33)
_chain("shell_background", False, "sh", "-c", f"{' '.join(AS_1000)} {RUN} & wait")
_chain("shell_background_owner", True, "sh", "-c", f"{' '.join(AS_1000)} {RUN} & wait", owner=1000)
_chain("bash_foreground", False, "bash", "-c", f"{' '.join(AS_1000)} {RUN}; true")
_chain("shell_of_shell", False, "sh", "-c", f"sh -c '{' '.join(AS_1000)} {RUN} & wait' & wait")
_chain("tini_shell_app", False, *init("sh", "-c", f"{' '.join(AS_1000)} {RUN}; true"))
_chain("tini_shell_app_owner", True, *init("sh", "-c", f"{' '.join(AS_1000)} {RUN}; true"), owner=1000)
_chain("tini_app", False, *init(*AS_1000, *APP))
_chain("dumb_init_app", False, *init(*AS_1000, *APP, name="dumb-init"))
_chain("init_of_engine", False, "sh", "-c", f"{' '.join(AS_1000)} {RUN}; true", options=("--init",))
_chain("init_of_engine_owner", True, "sh", "-c", f"{' '.join(AS_1000)} {RUN}; true", options=("--init",), owner=1000)
_chain("master_and_worker", False, "python3", "-c", f"import os\nos.system('{' '.join(AS_1000)} {RUN}')")
_chain("session_of_its_own", False, "sh", "-c", f"setsid {' '.join(AS_1000)} {RUN} & wait")
_chain("orphan", False, "sh", "-c", f"(setsid {' '.join(AS_1000)} {RUN} &); exec sleep 100000")
_chain("without_capabilities", False, *APP, options=("--cap-drop", "ALL"), owner=1000)
_chain("without_capabilities_owner", True, *APP, options=("--cap-drop", "ALL"))
# The init is root without capabilities and may not write; it need not.
_chain(
    "weak_init_strong_app",
    True,
    *init(*AS_1000, *APP),
    options=("--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"),
    owner=1000,
)
_chain(
    "weak_shell_strong_app",
    True,
    *("sh", "-c", f"{' '.join(AS_1000)} {RUN} & wait"),
    options=("--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"),
    owner=1000,
)
_chain("host_pids", False, "sh", "-c", f"{' '.join(AS_1000)} {RUN} & wait", options=("--pid", "host"))
_chain("host_pids_owner", True, *AS_1000, *APP, options=("--pid", "host"), owner=1000)


@layout("ok")
def group_may_write(lab: Lab) -> Made:
    data = lab.directory(mode=0o2770)
    os.chown(data, 0, 4711)
    return lab.run("-v", f"{data}:/data", "--user", "1000", "--group-add", "4711"), data, 0


@layout("ok")
def somebody_looks_in_with_exec(lab: Lab) -> Made:
    """A shell of a person, and a healthcheck as another user, are not the application."""
    data = lab.directory(owner=1000, mode=0o700)
    name = lab.run("-v", f"{data}:/data", "--user", "1000")
    lab.cli("exec", "-d", "--user", "65534", name, "sleep", "1000")
    return name, data, 0


# File systems of a process's own.


@layout("unmounted_inside", "shadowed")
def chroot_behind_tini(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", argv=init("python3", "-u", "/t/chroot.py")), data, 0


@layout("unmounted_inside", "shadowed")
def chroot_of_main(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", argv=("python3", "-u", "/t/chroot.py")), data, 0


@layout("unmounted_inside", "shadowed")
def chroot_of_worker(lab: Lab) -> Made:
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", argv=("sh", "-c", "python3 -u /t/chroot.py & wait")), data, 0


@layout("shadowed", "unmounted_inside")
def namespace_behind_tini(lab: Lab) -> Made:
    data = lab.directory()
    argv = init("unshare", "-m", "sh", "-c", f"mount -t tmpfs none /data && exec {RUN}")
    return lab.run("-v", f"{data}:/data", *ADMIN, argv=argv), data, 0


@layout("shadowed", "unmounted_inside")
def namespace_of_worker(lab: Lab) -> Made:
    data = lab.directory()
    argv = ("sh", "-c", f"unshare -m sh -c 'mount -t tmpfs none /data && exec {RUN}' & wait")
    return lab.run("-v", f"{data}:/data", *ADMIN, argv=argv), data, 0


@layout("shadowed", "unmounted_inside")
def namespace_that_unmounted_it(lab: Lab) -> Made:
    data = lab.directory()
    argv = ("sh", "-c", f"unshare -m sh -c 'umount /data && exec {RUN}' & wait")
    return lab.run("-v", f"{data}:/data", *ADMIN, argv=argv), data, 0


@layout("ro_rw_mismatch")
def namespace_with_it_read_only(lab: Lab) -> Made:
    data = lab.directory()
    argv = ("sh", "-c", f"unshare -m sh -c 'mount -o remount,bind,ro /data && exec {RUN}' & wait")
    return lab.run("-v", f"{data}:/data", *ADMIN, argv=argv), data, 0


@layout("ok")
def namespace_with_a_private_tmp(lab: Lab) -> Made:
    data = lab.directory()
    argv = init("unshare", "-m", "sh", "-c", f"mount -t tmpfs none /tmp && exec {RUN}")
    return lab.run("-v", f"{data}:/data", *ADMIN, argv=argv), data, 0


@layout("ok")
def helper_in_an_empty_root(lab: Lab) -> Made:
    """As the privilege separation of sshd: a child is locked into an empty directory and needs no data."""
    data = lab.directory()
    locked = (
        "import os, time\nos.makedirs('/empty', exist_ok=True)\n"
        "os.chroot('/empty')\nos.chdir('/')\nos.setuid(99)\ntime.sleep(9999)"
    )
    argv = ("sh", "-c", f'python3 -c "$LOCKED" & exec {RUN}')
    return lab.run("-v", f"{data}:/data", "-e", f"LOCKED={locked}", argv=argv), data, 0


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
    """As mongo's configdb: nobody writes there."""
    image = lab.image_with("VOLUME /data/configdb")
    data = lab.directory()
    return lab.run("-v", f"{data}:/data", image=image), data, 0


@layout("ok")
def anonymous_volume_that_was_declared(lab: Lab) -> Made:
    """As node_modules below the code."""
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
    """lost+found is root's on each ext4 disk."""
    data = lab.directory()
    lab.disk(data)
    os.chown(data, 1000, 1000)
    return lab.run("-v", f"{data}:/data", "--user", "1000"), data, 0


@layout("ok")
def subdirectory_the_other_process_has(lab: Lab) -> Made:
    data = lab.directory(owner=1000, mode=0o777)
    (data / "mine").mkdir(mode=0o700)
    (data / "theirs").mkdir(mode=0o700)
    os.chown(data / "mine", 1000, 1000)
    os.chown(data / "theirs", 70, 70)
    argv = ("sh", "-c", f"setpriv --reuid=70 --clear-groups sleep 100000 & {' '.join(AS_1000)} {RUN} & wait")
    return lab.run("-v", f"{data}:/data", argv=argv), data, 0


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
    """The blocks that a disk reserves for root are of no use to the application."""
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
def full_disk_below_that_is_declared_apart(lab: Lab) -> Made:
    data, other = lab.directory(), lab.directory("other")
    name = lab.run("-v", f"{data}:/data", "-v", f"{other}:/data/sub")
    return name, data, 0


@layout("ok")
def file_of_another_directory(lab: Lab) -> Made:
    """The directory beside is closed to the application, and the file is not."""
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
def deleted_and_made_anew(lab: Lab) -> Made:
    data = lab.directory()
    name = lab.run("-v", f"{data}:/data")
    data.rmdir()
    data.mkdir()
    return name, data, 0


@layout("stale_renamed")
def moved_and_another_in_its_place(lab: Lab) -> Made:
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
def link_turned(lab: Lab) -> Made:
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


@layout("not_writable")
def volume_of_root(lab: Lab) -> Made:
    name = lab.run("-v", "/data", "--user", "1000")
    return name, lab.folder, 0


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
    """Nothing is written there, so directories below that are closed to writers do not matter."""
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


# Processes that cannot do anything.


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
