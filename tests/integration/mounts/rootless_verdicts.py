"""What rootless_mounts.py must have printed, on this host and in a machine that boots."""

from __future__ import annotations

import typing as t

RESTART, EDIT = "restart", "edit_compose"
BROKEN = {
    "/ok": ("ok", "none"),
    "/deleted": ("stale_deleted", RESTART),
    "/renamed": ("stale_renamed", RESTART),
    "/file": ("stale_file", RESTART),
    "/link": ("symlink_retargeted", RESTART),
    "/covered-on-host": ("host_mount_changed", RESTART),
    "/unmounted-on-host": ("host_mount_changed", "mount_disk"),
    "/sub": ("submount_missing", RESTART),
    "/shadowed": ("shadowed", RESTART),
    "/unmounted": ("unmounted_inside", RESTART),
    "/mode": ("ro_rw_mismatch", RESTART),
    "/declared-mode": ("ro_rw_mismatch", "recreate"),
    "/type": ("type_mismatch", "recreate"),
    "/other": ("wrong_source", "recreate"),
    "/lost": ("missing", "recreate"),
    "/empty": ("empty_unexpected", EDIT),
    "/foreign": ("not_writable", "chown"),
    "/closed": ("not_readable", "chown"),
    "/full": ("no_space", "none"),
}


def hold(told: dict[str, t.Any]) -> None:
    """The verdicts of rootless_mounts.py compared with the expected ones."""
    pairs = {key: tuple(value) for key, value in told.items() if isinstance(value, list) and len(value) == 2}
    places = {
        key: {place: tuple(row) for place, row in value.items()}
        for key, value in told.items()
        if key not in pairs and value
    }
    assert set(places["before"].values()) == {("ok", "none")}, places["before"]
    shared = {place for place, row in places["through a machine"].items() if row[0] != "vm_not_shared"}
    assert shared == {"/full", "/unmounted-on-host"}
    assert {places["through a machine"][place] for place in shared} == {("ok", "none")}
    assert pairs["closed in a machine"] == ("not_readable", EDIT)
    assert places["broken"] == BROKEN
    # Root sees the same, but may act as the user: nothing is hidden from it.
    assert places["by root"] == BROKEN
    restarted = {place for place, (_verdict, fix) in BROKEN.items() if fix == RESTART}
    mended = {place: places["mended"][place] for place in (*restarted, "/unmounted-on-host")}
    assert set(mended.values()) == {("ok", "none")}, mended
    assert pairs["made up by the API"] == ("auto_created", EDIT)
    assert pairs["created only"] == ("not_running", RESTART)
    assert pairs["seen by a stranger"] == ("unverifiable", "none")
    assert pairs["the chown that the message says, done"] == ("ok", "none")
    assert told["left behind"] == []
