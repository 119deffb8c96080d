# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of users and processes."""

from __future__ import annotations

import os
import typing as t

from layout_registry import ADMIN, APP, AS_1000, RUN, Made, init, layout
from truth import Lab


def _chain(name: str, good: bool, *argv: str, options: t.Sequence[str] = (), owner: int = 0) -> None:
    """A layout in which the application is started through ``argv``."""

    def make(lab: Lab) -> Made:
        data = lab.directory(owner=owner)
        return lab.run("-v", f"{data}:/data", *options, argv=argv), data, 0

    make.__name__ = name
    layout("ok" if good else "not_writable")(make)


# Users: the process that starts the application. The directory belongs to root or to user 1000 (33: www-data).
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
# The init is root without capabilities and cannot write. It does not have to.
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
def user_logs_in_with_exec(lab: Lab) -> Made:
    """A shell of a user and a healthcheck as another user are not the application."""
    data = lab.directory(owner=1000, mode=0o700)
    name = lab.run("-v", f"{data}:/data", "--user", "1000")
    lab.cli("exec", "-d", "--user", "65534", name, "sleep", "1000")
    return name, data, 0


# Processes with their own root directory or mount namespace.


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
def namespace_without_the_mount(lab: Lab) -> Made:
    data = lab.directory()
    argv = ("sh", "-c", f"unshare -m sh -c 'umount /data && exec {RUN}' & wait")
    return lab.run("-v", f"{data}:/data", *ADMIN, argv=argv), data, 0


@layout("ro_rw_mismatch")
def namespace_with_a_read_only_mount(lab: Lab) -> Made:
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
    """Like the privilege separation of sshd: a child in an empty root directory that does not need data."""
    data = lab.directory()
    locked = (
        "import os, time\nos.makedirs('/empty', exist_ok=True)\n"
        "os.chroot('/empty')\nos.chdir('/')\nos.setuid(99)\ntime.sleep(9999)"
    )
    argv = ("sh", "-c", f'python3 -c "$LOCKED" & exec {RUN}')
    return lab.run("-v", f"{data}:/data", "-e", f"LOCKED={locked}", argv=argv), data, 0
