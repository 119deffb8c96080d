"""data_dirs on real file systems: full, without inodes, read-only, immutable, not mounted, the wrong one, exFAT."""

from __future__ import annotations

import contextlib
import os
import uuid

import pytest


def test_missing_inodes_are_reported_before_the_change(lab):
    at = lab.mount("-o", "loop", lab.disk("small", "8M", "-N", "32"), at=lab.place / "m")
    many = [{"path": f"{at}/{number}"} for number in range(40)]
    result = lab.run(*many)
    assert len(result["problems"]) == 40 - result["directories"][0]["free_inodes"]
    assert "free inodes. Delete files there" in result["problems"][0]["message"]
    assert os.listdir(at) == ["lost+found"]
    done = lab.run(*many[:10])
    assert done["problems"] == []
    assert done["directories"][0]["free_inodes"] == result["directories"][0]["free_inodes"]
    assert lab.run(*many[:10])["directories"][0]["free_inodes"] == result["directories"][0]["free_inodes"] - 10


def fill(path) -> None:
    """Write until the disk has no free block."""
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
        os.fsync(file.fileno())
    os.sync()
    assert os.statvfs(path).f_bavail == 0


def test_full_disk_is_reported(lab):
    at = lab.mount("-o", "loop", lab.disk("full", "8M"), at=lab.place / "m")
    lab.run({"path": f"{at}/there"})
    fill(at / "filler")
    assert "cannot be created: its file system is full" in lab.refused({"path": f"{at}/new"})
    again = lab.run({"path": f"{at}/there"})
    assert (again["changed"], again["problems"], again["directories"][0]["free_bytes"]) == (False, [], 0)
    assert "is full" in again["warnings"][0]


def test_inodes_used_up_after_the_inspection_are_reported(lab, monkeypatch):
    at = lab.mount("-t", "tmpfs", "-o", "nr_inodes=4", "tmpfs", at=lab.place / "m")
    real = os.mkdir

    def late(name, *rest, **more):
        for number in range(4):
            if not (at / f"taken{number}").exists():
                try:
                    (at / f"taken{number}").touch()
                except OSError:
                    break
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "mkdir", late)
    result = lab.run({"path": f"{at}/a"})
    assert "no space or inodes left" in result["problems"][0]["message"]
    assert not result["changed"]


@pytest.mark.parametrize("kind", ["data", "log"])
def test_disk_remounted_read_only_is_refused(lab, kind):
    at = lab.mount("-o", "loop", lab.disk("ro"), at=lab.place / "m")
    lab.run({"path": f"{at}/there", "class": kind})
    lab.mount("-o", "remount,ro", at=at)
    lab._mounted.remove(at)
    assert "read-only, which the kernel also does after a disk" in lab.refused({"path": f"{at}/there", "class": kind})
    assert "read-only" in lab.refused({"path": f"{at}/new", "class": kind})


def test_configuration_on_a_read_only_disk_is_accepted_without_a_change(lab):
    at = lab.mount("-o", "loop", lab.disk("ro"), at=lab.place / "m")
    entry = {"path": f"{at}/etc", "class": "config"}
    lab.run(entry)
    lab.mount("-o", "remount,ro", at=at)
    lab._mounted.remove(at)
    assert lab.run(entry)["problems"] == []
    assert "cannot be changed: its file system is mounted read-only" in lab.refused({**entry, "mode": "0755"})


def test_immutable_directory_is_reported_with_the_fix(lab):
    at = lab.mount("-o", "loop", lab.disk("i"), at=lab.place / "m")
    (at / "parent").mkdir(0o755)
    (at / "itself").mkdir(0o755)
    for path in (at / "parent", at / "itself"):
        lab.freeze(path)
    assert f"Check whether it is immutable (lsattr -d {at}/parent; chattr -i {at}/parent)" in lab.refused(
        {"path": f"{at}/parent/new"}
    )
    assert f"{at}/itself cannot be changed: root cannot write there" in lab.refused({"path": f"{at}/itself"})
    assert lab.run({"path": f"{at}/itself", "mode": "0755"})["problems"] == []


def test_disk_is_recognized_by_its_mark(lab):
    first, second = lab.disk("first"), lab.disk("second")
    at = lab.place / "archive"
    entry = {"path": str(at), "mountpoint": True}
    at.mkdir()
    assert "is not a mount point: the disk is not mounted." in lab.refused(entry)
    lab.mount("-o", "loop", first, at=at)
    assert lab.run(entry, check=True)["changed"]
    assert not (at / ".onebox-disk").exists()
    assert lab.run(entry)["changed"]
    assert not lab.run(entry)["changed"]
    identity = (at / ".onebox-disk").read_text().strip()
    lab.unmount(at)
    assert f"not mounted (at the last run it held the disk {identity})" in lab.refused(entry)
    assert os.listdir(at) == []
    lab.mount("-o", "loop", second, at=at)
    message = lab.refused(entry)
    assert f"another disk is mounted on {at}: it is a disk without our mark instead of {identity}" in message
    assert not (at / ".onebox-disk").exists()
    record = message.rstrip(".").rsplit(" ", 1)[1]
    os.unlink(record)  # replaced on purpose
    assert lab.run(entry)["changed"]
    other = (at / ".onebox-disk").read_text().strip()
    assert other != identity
    lab.unmount(at)
    lab.mount("-o", "loop", first, at=at)
    assert f"it is the disk {identity}" in lab.refused(entry)
    lab.unmount(at)
    lab.mount("-o", "loop", second, at=at)
    assert not lab.run(entry)["changed"]


def test_disk_of_another_host_keeps_its_identity(lab):
    at = lab.mount("-o", "loop", lab.disk("moved"), at=lab.place / "archive")
    entry = {"path": str(at), "mountpoint": True}
    lab.run(entry)
    identity = (at / ".onebox-disk").read_text()
    assert lab.run(entry, state_dir=str(lab.place / "other state"))["changed"]
    assert (at / ".onebox-disk").read_text() == identity


@pytest.mark.parametrize("damage", ["link", "text", "directory", "pipe"])
def test_foreign_mark_of_a_disk_is_refused(lab, damage):
    at = lab.mount("-t", "tmpfs", "tmpfs", at=lab.place / "archive")
    mark = at / ".onebox-disk"
    if damage == "link":
        (at / "valid").write_text(str(uuid.uuid4()))
        mark.symlink_to("valid")
    elif damage == "text":
        mark.write_text("hello")
    elif damage == "directory":
        mark.mkdir()
    else:
        os.mkfifo(mark)
    assert ".onebox-disk in its root " in lab.refused({"path": str(at), "mountpoint": True})


def test_directory_below_an_unmounted_disk_is_not_created(lab):
    at = lab.place / "archive"
    at.mkdir()
    result = lab.run({"path": str(at), "mountpoint": True}, {"path": f"{at}/snapshots"})
    assert len(result["problems"]) == 1
    assert os.listdir(at) == []


def test_bind_mount_of_the_same_disk_is_a_mount_point(lab):
    (lab.place / "real").mkdir()
    at = lab.mount("--bind", lab.place / "real", at=lab.place / "bound")
    assert lab.run({"path": str(at), "mountpoint": True})["problems"] == []


def test_deploy_directory_with_the_name_of_a_bind_mount_is_recognized(lab):
    deploy = lab.place / "deploy"
    (deploy / "sub").mkdir(parents=True)
    for source, at in ((deploy, lab.place / "alias"), (deploy / "sub", lab.place / "deeper")):
        lab.mount("--bind", source, at=at)
    message = lab.refused({"path": f"{lab.place}/alias/data"}, deploy_dir=str(deploy))
    assert f"is in the deploy directory {deploy}" in message


def test_tmpfs_is_reported_as_volatile(lab):
    at = lab.mount("-t", "tmpfs", "tmpfs", at=lab.place / "m")
    result = lab.run({"path": f"{at}/a"}, {"path": f"{at}/b"})
    assert (result["directories"][0]["fstype"], result["problems"]) == ("tmpfs", [])
    assert len([warning for warning in result["warnings"] if "content is lost at a reboot" in warning]) == 1


def test_exfat_is_accepted_for_logs_only(lab):
    at = lab.exfat(lab.place / "stick")
    for kind in ("data", "secret"):
        assert "stores no owners and modes" in lab.refused({"path": f"{at}/a", "class": kind, "owner": "999"})
    entry = {"path": f"{at}/logs", "class": "log", "owner": "999"}
    first = lab.run(entry)
    assert (first["changed"], first["problems"]) == (True, [])
    again = lab.run(entry)
    assert not again["changed"]
    assert again["directories"][0]["fstype"] in ("exfat", "fuseblk")
    assert again["directories"][0]["mode"] == f"{(at / 'logs').stat().st_mode & 0o7777:04o}"


def test_names_with_any_character_are_created(lab):
    names = ["with space", "new\nline", "한글", "quote'\"", "back\\slash", "-rf", "*", "$HOME", "\x1b[31m", "a" * 255]
    entries = [{"path": name, "owner": "999"} for name in names]
    assert lab.run(*entries)["problems"] == []
    assert sorted(os.listdir(lab.place / "srv")) == sorted(names)
    assert not lab.run(*entries)["changed"]
