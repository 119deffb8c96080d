"""Owners set by data_dirs: users of images, recursive changes, callers other than root, and real containers."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.dirs.ensure import ensure
from ansible_collections.onebox.stack.plugins.module_utils.dirs.filesystem import Mounts
from dirs_lab import APP, as_user, kill_when


def owners(place: pathlib.Path) -> set[tuple[int, int]]:
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in [place, *place.rglob("*")]}


def test_numeric_owner_of_an_image_is_set(lab):
    entry = {"path": "journal", "owner": str(APP), "group": "54321"}
    result = lab.run(entry)
    assert (result["directories"][0]["owner"], result["directories"][0]["group"]) == (str(APP), "54321")
    assert owners(lab.place / "srv" / "journal") == {(APP, 54321)}
    assert owners(lab.place / "srv") == {(0, 0), (APP, 54321)}
    assert not lab.run(entry)["changed"]


def test_secrets_are_readable_only_by_the_containers_user(lab):
    entry = {"path": "secrets", "class": "secret", "owner": str(APP), "recursive": True}
    place = lab.place / "srv" / "secrets"
    place.mkdir(parents=True)
    (place / "password").write_text("s3cret")
    (place / "password").chmod(0o644)
    lab.run(entry)

    def content() -> str:
        return (place / "password").read_text()

    assert as_user(APP, APP, content) == "s3cret"
    for other in (1000, 65534):
        assert as_user(other, other, content) == "PermissionError"
    assert as_user(other, APP, content) == "PermissionError"
    assert not lab.run(entry)["changed"]


def test_secret_of_root_is_a_warning(lab):
    """Compose binds file secrets with their owner, so a container's user gets EACCES."""
    entry = {"path": "secrets", "class": "secret", "owner": str(APP)}
    lab.run(entry)
    (lab.place / "srv" / "secrets" / "password").write_text("x")
    (lab.place / "srv" / "secrets" / "password").chmod(0o600)
    (warning,) = lab.run(entry)["warnings"]
    assert f"must be readable by uid {APP} only. These are not: 'password'" in warning


def test_recursive_change_skips_other_disks_and_links(lab):
    srv = lab.place / "srv" / "data"
    (srv / "deep" / "er").mkdir(parents=True)
    (srv / "deep" / "file").touch()
    outside = lab.place / "outside"
    outside.touch()
    (srv / "soft").symlink_to(outside)
    os.link(outside, srv / "hard")
    other = lab.mount("-t", "tmpfs", "tmpfs", at=srv / "other")
    (other / "file").touch()
    entry = {"path": "data", "owner": str(APP), "recursive": True}
    checked = lab.run(entry, check=True)
    assert owners(srv) == {(0, 0)}
    result = lab.run(entry)
    (row,) = result["directories"]
    assert (row["given"], row["left_alone"]) == (4, ["hard"])
    assert (checked["directories"][0]["given"], checked["diff"]) == (4, result["diff"])
    assert (srv / "soft").lstat().st_uid == APP
    assert outside.stat().st_uid == 0
    assert owners(other) == {(0, 0)}
    assert not lab.run(entry)["changed"]


def test_recursive_change_is_made_once_with_a_correct_top_directory(lab):
    srv = lab.place / "srv" / "data"
    srv.mkdir(parents=True, mode=0o750)
    os.chown(srv, APP, -1)
    (srv / "file").touch()
    entry = {"path": "data", "owner": str(APP), "recursive": True}
    assert lab.run(entry)["changed"]
    (srv / "late").touch()  # a container that runs as root created it
    assert not lab.run(entry)["changed"]
    assert (srv / "late").stat().st_uid == 0
    assert lab.run({**entry, "owner": "1000"})["directories"][0]["given"] == 2


def test_killed_recursive_change_is_completed_by_the_next_run(lab):
    srv = lab.place / "srv" / "data"
    srv.mkdir(parents=True)
    for number in range(30000):
        (srv / str(number)).touch()
    first = srv / os.listdir(srv)[0]
    entry = {"path": "data", "owner": str(APP), "recursive": True}
    kill_when(lambda: first.stat().st_uid == APP, lambda: lab.run(entry))
    assert owners(srv) == {(0, 0), (APP, 0)}
    assert lab.run(entry)["changed"]
    assert owners(srv) == {(APP, 0)}


def test_hostile_tree_does_not_change_files_outside(lab):
    """The container's user replaces a directory by a link to a copy of /etc while the owner is changed."""
    srv, target = lab.place / "srv" / "data", lab.place / "etc"
    (srv / "sub").mkdir(parents=True)
    target.mkdir()
    (target / "shadow").touch()
    stop = lab.place / "stop"

    def swap() -> None:
        while not stop.exists():
            os.rename(srv / "sub", srv / "away")
            os.symlink(target, srv / "sub")
            os.unlink(srv / "sub")
            os.rename(srv / "away", srv / "sub")

    child = os.fork()
    if child == 0:
        try:
            swap()
        finally:
            os._exit(0)
    try:
        for number in range(300):
            lab.run({"path": "data", "owner": str(APP + number % 2), "recursive": True})
    finally:
        stop.touch()
        os.waitpid(child, 0)
    assert owners(target) == {(0, 0)}


def unprivileged(lab, *entries: dict, uid: int = 12345, groups: tuple[int, ...] = ()) -> dict:
    own = lab.place / "own"
    if not own.exists():
        own.mkdir(mode=0o711)
        os.chown(own, uid, uid)

    def run() -> dict:
        state, mounts = str(own / "state"), Mounts(World.real())
        return ensure(entries, base=str(own), deploy_dir=None, state_dir=state, check=False, mounts=mounts)

    return as_user(uid, uid, run, groups)


def test_ordinary_user_creates_own_directories(lab):
    entry = {"path": "a/b", "class": "log"}
    assert unprivileged(lab, entry)["changed"]
    assert not unprivileged(lab, entry)["changed"]
    assert owners(lab.place / "own") == {(12345, 12345)}
    assert unprivileged(lab, {"path": "g", "group": "777"}, groups=(777,))["changed"]
    assert (lab.place / "own" / "g").stat().st_gid == 777


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"path": "/obx-dirs-never"}, "cannot be created in /: uid 12345 cannot write there. Use become"),
        ({"path": "a", "owner": "999"}, "cannot be given to uid 999: only root can do so. Use become"),
        (
            {"path": "a", "group": "999"},
            "cannot be given to gid 999: uid 12345 is not in that group. Use become",
        ),
        ({"path": "roots"}, "belongs to uid 0 and cannot be changed by uid 12345. Use become"),
        ({"path": "/root/x/y"}, "no permission to enter /root/x. Run as root"),
    ],
)
def test_ordinary_user_without_permission_is_refused(lab, entry, says):
    unprivileged(lab)
    (lab.place / "own" / "roots").mkdir(mode=0o700)
    result = unprivileged(lab, entry)
    assert says in result["problems"][0]["message"]
    assert not result["changed"]


def test_directory_without_read_permission_is_passed(lab):
    (lab.place / "own").mkdir()
    (lab.place / "own").chmod(0o711)  # owned by root, cannot be listed
    (lab.place / "own" / "home").mkdir()
    os.chown(lab.place / "own" / "home", 12345, 12345)
    assert unprivileged(lab, {"path": "home/data"})["changed"]


@pytest.mark.parametrize("engine", ["docker_engine", "podman_engine"])
def test_containers_user_writes_to_its_directory_only(lab, engine, request, tiny_image):
    tool = request.getfixturevalue(engine)
    lab.run({"path": "mine", "owner": str(APP)}, {"path": "roots"})
    words = ["run", "--rm", "--network", "none", "--user", str(APP), "--name", f"obx-dirs-{os.getpid()}"]
    binds = ["-v", f"{lab.place}/srv/mine:/mine", "-v", f"{lab.place}/srv/roots:/roots"]
    tool.run(*words, *binds, tiny_image, "touch", "/mine/x")
    assert tool.run(*words, *binds, tiny_image, "touch", "/roots/x", check=False).returncode != 0
    assert (lab.place / "srv" / "mine" / "x").stat().st_uid == APP
    assert not lab.run({"path": "mine", "owner": str(APP)}, {"path": "roots"})["changed"]
