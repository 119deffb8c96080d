"""data_dirs on the file system of the tests, as whoever runs them. What needs root is in the integration tests."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import stat
import threading

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.dirs import filesystem, walk
from ansible_collections.onebox.stack.plugins.module_utils.dirs.ensure import ensure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


class Stack:
    """A stack's directories below ``tmp_path/srv``."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.base = place / "srv"

    def run(self, *entries: dict, check: bool = False, **options) -> dict:
        options = {
            "base": str(self.base),
            "deploy_dir": None,
            "state_dir": str(self.place / "state"),
            "mounts": filesystem.Mounts(World.real()),
            **options,
        }
        return ensure(entries, check=check, **options)

    def problems(self, *entries: dict, **options) -> list[str]:
        """The messages; that nothing was changed is asserted on the way."""
        before = tree(self.place)
        result = self.run(*entries, **options)
        assert result["problems"]
        assert not result["changed"]
        assert not any(row["changed"] for row in result["directories"])
        assert tree(self.place) == before
        return [row["message"] for row in result["problems"]]


@pytest.fixture
def stack(tmp_path):
    return Stack(tmp_path)


def tree(place: pathlib.Path) -> dict[str, tuple]:
    """Everything below ``place`` with inode, mode, owner and both times, so that any touch shows."""
    found = {}
    for path in [place, *place.rglob("*")]:
        now = path.lstat()
        found[str(path)] = (now.st_ino, now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns, now.st_ctime_ns)
    return found


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_check_run_again(stack):
    entries = [
        {"path": "."},
        {"path": "a/b/journal"},
        {"path": "logs", "class": "log"},
        {"path": "s p\n한 '\"", "class": "secret"},
    ]
    before = tree(stack.place)
    checked = stack.run(*entries, check=True)
    assert tree(stack.place) == before
    done = stack.run(*entries)
    assert checked["changed"]
    assert done["changed"]
    assert checked["diff"] == done["diff"]
    assert done["diff"]["before"][f"{stack.base}/a/b"] == {"state": "absent"}
    assert done["diff"]["after"][f"{stack.base}/a/b"]["mode"] == "0755"
    assert [(row["path"], row["mode"]) for row in checked["directories"]] == [
        (row["path"], row["mode"]) for row in done["directories"]
    ]
    assert mode(stack.base) == 0o750
    assert mode(stack.base / "a") == mode(stack.base / "a" / "b") == 0o755  # parents nobody listed
    assert mode(stack.base / "a" / "b" / "journal") == 0o750
    assert mode(stack.base / "s p\n한 '\"") == 0o700
    after = tree(stack.place)
    again = stack.run(*entries)
    assert not again["changed"]
    assert again["diff"] == {"before": {}, "after": {}}
    assert tree(stack.place) == after


def test_the_umask_decides_nothing(stack):
    before = os.umask(0o077)
    try:
        stack.run({"path": "a/b", "mode": "0775"})
    finally:
        os.umask(before)
    assert (mode(stack.base / "a"), mode(stack.base / "a" / "b")) == (0o755, 0o775)


def test_wrong_mode_is_fixed_and_content_stays(stack):
    journal = stack.base / "journal"
    journal.mkdir(parents=True, mode=0o777)
    (journal / "file").write_text("x")
    inode, inside = journal.stat().st_ino, (journal / "file").stat()
    result = stack.run({"path": "journal"})
    assert result["diff"]["before"][str(journal)]["mode"] != "0750"
    assert result["diff"]["after"][str(journal)]["mode"] == "0750"
    assert (journal.stat().st_ino, (journal / "file").stat()) == (inode, inside)


def test_rows_tell_file_system_and_space(stack):
    (row,) = stack.run({"path": "a"})["directories"]
    assert row["fstype"] not in ("", "unknown")
    assert row["free_bytes"] > 0
    assert row["free_inodes"] is None or row["free_inodes"] > 0
    assert (row["class"], row["changed"], row["mountpoint"]) == ("data", True, False)


def test_links_on_the_way_and_at_the_end_are_refused(stack):
    stack.base.mkdir()
    (stack.place / "elsewhere").mkdir()
    (stack.base / "link").symlink_to(stack.place / "elsewhere")
    (stack.base / "dangling").symlink_to("nowhere")
    on_the_way, at_the_end, dangling = stack.problems(
        {"path": "link/data"}, {"path": "link"}, {"path": "dangling"}
    )  # in the order of their paths
    assert "dangling is a symbolic link" in on_the_way
    assert f"Write {stack.place}/elsewhere instead" in at_the_end
    assert "is a symbolic link" in dangling
    assert list((stack.place / "elsewhere").iterdir()) == []


def test_file_at_the_path_is_not_replaced(stack):
    stack.base.mkdir()
    (stack.base / "file").write_text("precious")
    os.mkfifo(stack.base / "pipe")
    for message in stack.problems({"path": "file"}, {"path": "file/below"}, {"path": "pipe"}):
        assert "exists and is not a directory. Move it away" in message
    assert (stack.base / "file").read_text() == "precious"


def test_one_problem_stops_all_and_all_are_reported(stack):
    stack.base.mkdir()
    (stack.base / "file").touch()
    messages = stack.problems(
        {"path": "fine"}, {"path": "file"}, {"path": "x", "mode": "u+x"}, {"path": "/"}, {"path": "y" * 300}
    )
    assert len(messages) == 4
    assert any("name too long" in message for message in messages)
    assert not (stack.base / "fine").exists()


def test_the_deploy_directory_under_another_name(stack):
    """Two names of one directory: a link to it in the deploy path, seen by identity."""
    deploy = stack.place / "deploy"
    deploy.mkdir()
    (stack.place / "current").symlink_to(deploy)
    (message,) = stack.problems({"path": str(deploy / "data")}, deploy_dir=str(stack.place / "current"))
    assert "is in the deploy directory" in message


def test_a_twin_inside_the_deploy_directory_is_a_warning(stack):
    (stack.place / "srv" / "deploy" / "observer").mkdir(parents=True)
    result = stack.run({"path": "observer"}, deploy_dir=str(stack.base / "deploy"))
    assert result["problems"] == []
    (warning,) = result["warnings"]
    assert f"has a look-alike in the deploy directory, {stack.base}/deploy/observer" in warning


def test_path_that_is_not_a_mount_point_is_refused(stack):
    stack.base.mkdir()
    (there,) = stack.problems({"path": ".", "mountpoint": True})
    assert "is not a mount point: the disk is not mounted" in there
    (gone,) = stack.problems({"path": "gone", "mountpoint": True})
    assert "does not exist: the disk is not mounted" in gone


class FakeMounts(filesystem.Mounts):
    """Says what exFAT and tmpfs would: this kernel has no exFAT (the integration test has a real one, by FUSE)."""

    def __init__(self, **facts: object) -> None:
        super().__init__(World.real())
        self._facts = facts

    def space(self, place: walk.Place) -> filesystem.Space:
        return super().space(place)._replace(**self._facts)


@pytest.mark.parametrize("kind", ["data", "secret"])
@pytest.mark.parametrize("fstype", ["exfat", "vfat", "msdos", "fuseblk"])
def test_file_system_without_owners_is_refused_for_data_and_secrets(stack, kind, fstype):
    (message,) = stack.problems({"path": "a", "class": kind}, mounts=FakeMounts(fstype=fstype))
    assert f"is on {fstype}, which stores no owners and modes" in message


def test_logs_may_lie_there_and_are_not_changed_each_run(stack):
    mounts = FakeMounts(fstype="exfat")
    first = stack.run({"path": "logs", "class": "log", "mode": "0700"}, mounts=mounts)
    assert first["changed"]
    assert "where owner, group and mode cannot be set" in first["warnings"][0]
    (stack.base / "logs").chmod(0o777)  # what exFAT shows for everything
    again = stack.run({"path": "logs", "class": "log", "mode": "0700"}, mounts=mounts)
    assert not again["changed"]
    assert again["directories"][0]["mode"] == "0777"


def test_data_on_tmpfs_is_a_warning_once(stack):
    result = stack.run({"path": "a"}, {"path": "b"}, mounts=FakeMounts(fstype="tmpfs"))
    assert ["content is lost at a reboot" in warning for warning in result["warnings"]] == [True]


def test_too_few_inodes_for_all(stack):
    messages = stack.problems({"path": "a"}, {"path": "b/c"}, mounts=FakeMounts(free_inodes=2))
    assert ["b/c cannot be created: its file system has 2 free inodes" in message for message in messages] == [True]
    assert stack.run({"path": "a"}, {"path": "b/c"}, mounts=FakeMounts(free_inodes=4))["changed"]


def test_read_only_file_systems(stack):
    for kind in ("data", "log"):
        (message,) = stack.problems({"path": "a", "class": kind}, mounts=FakeMounts(read_only=True))
        assert "mounted read-only" in message
    (message,) = stack.problems({"path": "a", "class": "config"}, mounts=FakeMounts(read_only=True))
    assert "cannot be created" in message


def test_secrets_that_others_can_read_or_the_owner_cannot(stack):
    place = stack.base / "secrets"
    place.mkdir(parents=True, mode=0o700)
    for name, bits in (("good", 0o400), ("also good", 0o600), ("open", 0o644), ("locked", 0o200)):
        (place / name).touch()
        (place / name).chmod(bits)
    before = tree(place)
    (warning,) = stack.run({"path": "secrets", "class": "secret"})["warnings"]
    assert "These are not: 'locked', 'open' " in warning
    assert tree(place) == before
    mine = str(os.getuid())
    result = stack.run({"path": "secrets", "class": "secret", "owner": mine, "recursive": True})
    assert (result["changed"], result["directories"][0]["given"]) == (True, 3)
    assert {path.name: mode(path) for path in place.iterdir()} == dict.fromkeys(
        ("good", "also good", "open", "locked"), 0o400
    )


def test_recursive_is_done_once_and_again_when_the_directory_is_another(stack):
    entry = {"path": "s", "class": "secret", "recursive": True}
    place = stack.base / "s"
    place.mkdir(parents=True)
    (place / "file").touch(0o644)
    assert stack.run(entry, check=True)["directories"][0]["given"] == 1
    assert stack.run(entry)["directories"][0]["given"] == 1
    (place / "file").chmod(0o644)
    assert not stack.run(entry)["changed"]
    assert mode(place / "file") == 0o644
    place.rename(stack.base / "old")
    place.mkdir(0o700)
    (place / "file").touch(0o644)
    assert stack.run(entry)["directories"][0]["given"] == 1


@pytest.mark.parametrize("unreadable", [False, True])
def test_state_that_cannot_be_kept_is_a_problem_that_names_its_file(stack, unreadable):
    entry = {"path": "a", "owner": str(os.geteuid()), "recursive": True}
    if unreadable:
        stack.run(entry)
        (kept,) = (stack.place / "state" / "owned").iterdir()
        kept.write_bytes(b"\xff\xfe")
    else:
        (stack.place / "state").write_text("a file")
    (row,) = stack.run(entry)["problems"]
    assert row["path"] == f"{stack.base}/a"
    assert f"{stack.place}/state/owned" in row["message"]


def test_recursive_does_not_follow_links_and_leaves_hard_links(stack):
    place = stack.base / "s"
    place.mkdir(parents=True)
    outside = stack.place / "outside"
    outside.touch(0o644)
    (place / "soft").symlink_to(outside)
    os.link(outside, place / "hard")
    stack.run({"path": "s", "class": "secret", "recursive": True})
    assert mode(outside) == 0o644


def test_link_inserted_between_check_and_change_is_refused(stack, monkeypatch):
    """The race is provoked at the moment of creation: what is made is swapped for a link at once."""
    (stack.place / "target").mkdir(0o777)
    (stack.place / "target").chmod(0o777)
    real = os.mkdir

    def swapped(name, *rest, dir_fd=None, **more):
        real(name, *rest, dir_fd=dir_fd, **more)
        if name == "a":
            os.rmdir(name, dir_fd=dir_fd)
            os.symlink(stack.place / "target", name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", swapped)
    result = stack.run({"path": "a", "mode": "0700"}, {"path": "b"})
    assert "a is a symbolic link" in result["problems"][0]["message"]
    assert mode(stack.place / "target") == 0o777
    assert [row["changed"] for row in result["directories"]] == [False, True]
    assert (stack.base / "b").is_dir()


def test_made_by_somebody_else_meanwhile(stack, monkeypatch):
    real = os.mkdir

    def late(name, *rest, **more):
        real(name, 0o777, **more)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "mkdir", late)
    assert stack.run({"path": "a"})["problems"] == []
    assert mode(stack.base / "a") == 0o750


def test_several_runs_at_once_agree(stack):
    entries = [{"path": f"{letter}/{number}"} for letter in "abcdef" for number in range(20)]
    results: list[dict] = []
    threads = [threading.Thread(target=lambda: results.append(stack.run(*entries))) for unused in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result["problems"] for result in results] == [[]] * 6
    assert not stack.run(*entries)["changed"]


def test_no_descriptor_is_left_open(stack):
    before = len(os.listdir("/proc/self/fd"))
    stack.run(*[{"path": f"{n}/{n}/{n}", "class": "secret"} for n in range(50)])
    stack.run({"path": "1" * 400}, {"path": "2/2/2/2"})
    assert len(os.listdir("/proc/self/fd")) == before


def test_more_directories_than_descriptors(stack):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Earlier tests of the same process may have left descriptors open.
    limit = max(int(name) for name in os.listdir("/dev/fd")) + 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        result = stack.run(*[{"path": f"{n}/data"} for n in range(300)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result["problems"] == []
    assert len(list(stack.base.iterdir())) == 300


MODES = st.sampled_from(["0700", "0750", "0755", "1777", "2770"])
NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..") and not name.startswith("~")
)
ENTRIES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), MODES, min_size=1, max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(existing=ENTRIES, entries=ENTRIES, files=st.lists(NAMES, max_size=2))
def test_any_layout_ends_as_wanted_or_untouched(tmp_path_factory, existing, entries, files):
    """What was there before is arbitrary, files in the way included."""
    stack = Stack(tmp_path_factory.mktemp("layout"))
    stack.base.mkdir()
    for name in files:
        (stack.base / name).write_text("kept")
    for path, bits in existing.items():
        if not any((stack.base / path.split("/")[0]).name == name for name in files):
            (stack.base / path).mkdir(parents=True, exist_ok=True)
            (stack.base / path).chmod(int(bits, 8))
    inodes = {path: path.lstat().st_ino for path in stack.base.rglob("*")}
    wanted = [{"path": path, "mode": bits} for path, bits in entries.items()]
    blocked = [path for path in entries if path.split("/")[0] in files]
    before = tree(stack.place)
    checked = stack.run(*wanted, check=True)
    assert tree(stack.place) == before
    done = stack.run(*wanted)
    assert bool(done["problems"]) == bool(blocked)
    assert (checked["changed"], checked["diff"], checked["problems"]) == (
        done["changed"],
        done["diff"],
        done["problems"],
    )
    if blocked:
        assert tree(stack.place) == before
        return
    for path, bits in entries.items():
        assert mode(stack.base / path) == int(bits, 8)
    assert {path: path.lstat().st_ino for path in inodes} == inodes
    assert not stack.run(*wanted)["changed"]


def test_file_systems_without_proc_are_read(stack):
    """macOS: ``mount`` is asked, once. Lines as its manual shows them; the paths are of this machine."""
    odd = stack.place / "DATA (old) on x"
    odd.mkdir()
    asked = []

    def run(argv, **more):
        asked.append(argv)
        lines = [
            "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)",
            "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)",
            f"/dev/disk4s1 on {odd} (exfat, local, nodev, nosuid, noowners)",
        ]
        return process.Result(tuple(argv), 0, "\n".join(lines), "", 0.0)

    mounts = filesystem.Mounts(dataclasses.replace(World.real(), run=run), proc="/nonexistent")
    entries = [{"path": str(odd / name), "class": "log"} for name in "ab"]
    result = stack.run(*entries, mounts=mounts)
    assert [row["fstype"] for row in result["directories"]] == ["exfat", "exfat"]
    assert asked == [["mount"]]
    (message,) = stack.problems({"path": str(odd / "c"), "mountpoint": True, "class": "log"}, mounts=mounts)
    assert "does not exist: the disk is not mounted" in message


def test_a_link_put_there_in_the_middle_of_recursive_work(stack, monkeypatch):
    """The race is provoked at the moment of opening: what was a directory when looked at is a link by then."""
    place, outside = stack.base / "s", stack.place / "outside"
    (place / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "file").touch(0o644)
    real = os.open

    def swapped(name, *rest, **more):
        if name == "sub" and not (place / "sub").is_symlink():
            (place / "sub").rename(place / "away")
            (place / "sub").symlink_to(outside)
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", swapped)
    result = stack.run({"path": "s", "class": "secret", "recursive": True})
    assert "Not a directory" in result["problems"][0]["message"]
    assert mode(outside / "file") == 0o644
