"""Sources and mounts that change while the container runs; where the fix is a restart, the restart is done."""

from __future__ import annotations

import os
import shutil
import typing as t

import pytest
from mounts_lab import Lab, command


def expect(row: dict[str, t.Any], verdict: str, fix: str) -> None:
    assert (row["verdict"], row["fix"]) == (verdict, fix), row
    if verdict != "ok":
        assert row["destination"] in row["message"] or row["source"] in row["message"]


def test_directory_file_and_volume_are_ok_and_nothing_is_left_behind(lab: Lab) -> None:
    data, readable = lab.directory("data"), lab.directory("readable")
    (lab.folder / "app.conf").write_text("a")
    before = {path: os.stat(path).st_mtime_ns for path in (data, readable, lab.folder / "app.conf")}
    name = lab.run(
        *("-v", f"{data}:/data", "-v", f"{readable}:/ro:ro"),
        *("-v", f"{lab.folder}/app.conf:/etc/app.conf", "-v", f"{lab.volume()}:/vol"),
    )
    result = lab.proof(name)
    assert result["ok"], result["table"]
    assert result["summary"] == {"checked": 4, "ok": 4, "failed": 0, "unverifiable": 0}
    assert {row["proof"] for row in result["containers"][0]["mounts"]} == {"inode"}
    assert {path: os.stat(path).st_mtime_ns for path in before} == before
    assert os.listdir(data) == []
    assert result["containers"][0]["pid"] == lab.pid(name)


def test_source_deleted_and_created_again(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    shutil.rmtree(data)
    expect(lab.verdict(name), "stale_deleted", "none")  # nothing to restart into yet
    lab.directory("data")
    expect(lab.verdict(name), "stale_deleted", "restart")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_source_moved_away_and_another_in_its_place(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    data.rename(lab.folder / "data.old")
    row = lab.verdict(name)
    expect(row, "stale_renamed", "none")
    assert f"mv {lab.folder}/data.old {data}" in row["message"]
    lab.directory("data")
    row = lab.verdict(name)
    expect(row, "stale_renamed", "restart")
    assert f"{lab.folder}/data.old" in row["message"]
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_parent_of_the_source_replaced(lab: Lab) -> None:
    data = lab.directory("app/data")
    name = lab.run("-v", f"{data}:/data")
    (lab.folder / "app").rename(lab.folder / "app.old")
    lab.directory("app/data")
    expect(lab.verdict(name), "stale_renamed", "restart")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_file_written_in_place_is_ok_and_replaced_is_stale(lab: Lab) -> None:
    conf = lab.folder / "app.conf"
    conf.write_text("one")
    name = lab.run("-v", f"{conf}:/app.conf")
    conf.write_text("two")
    expect(lab.verdict(name, "/app.conf"), "ok", "none")
    (lab.folder / "new").write_text("three")
    (lab.folder / "new").rename(conf)
    expect(lab.verdict(name, "/app.conf"), "stale_file", "restart")
    lab.restart(name)
    expect(lab.verdict(name, "/app.conf"), "ok", "none")


def test_symbolic_link_turned_to_another_release(lab: Lab) -> None:
    lab.directory("v1")
    lab.directory("v2")
    link = lab.folder / "current"
    link.symlink_to("v1")
    name = lab.run("-v", f"{link}:/data")
    expect(lab.verdict(name), "ok", "none")
    link.unlink()
    link.symlink_to("v2")
    row = lab.verdict(name)
    expect(row, "symlink_retargeted", "restart")
    assert "/v1" in row["message"]
    assert "/v2" in row["message"]
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_disk_mounted_on_the_source_too_late(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    lab.mount("tmpfs", data)
    expect(lab.verdict(name), "host_mount_changed", "restart")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_disk_under_the_source_unmounted(lab: Lab) -> None:
    disk = lab.directory("disk")
    lab.mount("tmpfs", disk)
    data = lab.directory("disk/data")
    name = lab.run("-v", f"{data}:/data")
    expect(lab.verdict(name), "ok", "none")
    lab.unmount(disk)
    lab.directory("disk/data")
    expect(lab.verdict(name), "host_mount_changed", "mount_disk")
    lab.mount("tmpfs", disk)  # the fix, done: mount the disk, then restart
    lab.directory("disk/data")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_another_disk_in_the_place_of_the_first(lab: Lab) -> None:
    """The root of each new tmpfs has the same inode number: only the device differs."""
    disk = lab.directory("disk")
    lab.mount("tmpfs", disk)
    name = lab.run("-v", f"{disk}:/data")
    before = os.stat(disk)
    lab.unmount(disk)
    lab.mount("tmpfs", disk)
    assert os.stat(disk).st_ino == before.st_ino
    row = lab.verdict(name)
    expect(row, "host_mount_changed", "mount_disk")
    assert "another file system" in row["message"]
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_disk_of_fstab_that_was_never_mounted(lab: Lab) -> None:
    data = lab.directory("disk/data")
    fstab = lab.folder / "fstab"
    fstab.write_text(f"# disks\n/dev/sdz1 {lab.folder}/disk ext4 defaults,nofail 0 2\n")
    name = lab.run("-v", f"{data}:/data")
    row = lab.verdict(name, fstab=str(fstab))
    expect(row, "host_mount_changed", "mount_disk")
    assert f"mount {lab.folder}/disk" in row["message"]
    lab.mount("tmpfs", lab.folder / "disk")
    lab.directory("disk/data")
    lab.restart(name)
    expect(lab.verdict(name, fstab=str(fstab)), "ok", "none")


def test_mount_below_the_source_too_late(lab: Lab) -> None:
    data = lab.directory("data")
    lab.directory("data/sub")
    name = lab.run("-v", f"{data}:/data")
    lab.mount("tmpfs", data / "sub")
    row = lab.verdict(name)
    expect(row, "submount_missing", "restart")
    assert f"{data}/sub" in row["message"]
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_mount_below_the_source_arrives_by_propagation(lab: Lab) -> None:
    shared = lab.directory("shared")
    lab.mount("tmpfs", shared)
    command("mount", "--make-shared", shared)
    lab.directory("shared/sub")
    name = lab.run("-v", f"{shared}:/data:rslave")
    lab.mount("tmpfs", shared / "sub")
    expect(lab.verdict(name), "ok", "none")


@pytest.mark.parametrize("point", ["/data", "/real"])
def test_destination_covered_inside_is_shadowed(lab: Lab, point: str) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/real/data" if point == "/real" else f"{data}:/data")
    lab.inside(name, "mount", "-t", "tmpfs", "none", point)
    place = "/real/data" if point == "/real" else "/data"
    expect(lab.verdict(name, place), "shadowed", "restart")
    lab.restart(name)
    expect(lab.verdict(name, place), "ok", "none")


def test_destination_unmounted_inside_is_reported(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('data')}:/data")
    lab.inside(name, "umount", "/data")
    expect(lab.verdict(name), "unmounted_inside", "restart")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_remounted_with_another_mode_inside(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data:ro", "-v", f"{data}:/rw")
    lab.inside(name, "mount", "-o", "remount,bind,rw", "/data")
    lab.inside(name, "mount", "-o", "remount,bind,ro", "/rw")
    expect(lab.verdict(name), "ro_rw_mismatch", "restart")
    expect(lab.verdict(name, "/rw"), "ro_rw_mismatch", "restart")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")
    expect(lab.verdict(name, "/rw"), "ok", "none")


def test_read_only_with_a_writable_mount_below(lab: Lab) -> None:
    data = lab.directory("data")
    lab.directory("data/sub")
    lab.mount("tmpfs", data / "sub")
    name = lab.run("-v", f"{data}:/data:ro")
    row = lab.verdict(name)
    # Docker 25 and newer makes the mounts below read-only too; older ones and Podman do not.
    if "rw" in lab.inside(name, "grep", " /data/sub ", "/proc/self/mountinfo").split(" - ")[0]:
        expect(row, "ro_rw_mismatch", "edit_compose")
        assert "/data/sub" in row["message"]
    else:
        expect(row, "ok", "none")


def test_destination_behind_an_absolute_link_of_the_image(lab: Lab) -> None:
    """/link leads to /real in the image; a directory /real of the host must not be mistaken for it."""
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/link/data")
    expect(lab.verdict(name, "/link/data"), "ok", "none")
    shutil.rmtree(data)
    lab.directory("data")
    expect(lab.verdict(name, "/link/data"), "stale_deleted", "restart")
    lab.restart(name)
    expect(lab.verdict(name, "/link/data"), "ok", "none")
