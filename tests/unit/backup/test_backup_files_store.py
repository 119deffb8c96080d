# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain-file sets with kills, damage and planted links. Only the time of the kill is simulated."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.authentication import Keys
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.files import FilesStore
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Manifest, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from deaths import lives

SHA = "0" * 64
IMAGE = {"image": "db", "image_id": "sha256:1", "digests": []}
TREE = {"root": "/srv/files", "entries": 2, "bytes": 16384, "list": "files/d.list", "archive": "files/d.tar"}
# Facts and files of a set, for each kind that writes other files.
KINDS: dict[str, tuple[dict[str, t.Any], dict[str, bytes]]] = {
    "postgresql": (
        {"version": "17.2", "user": "postgres", "databases": {}, "image": IMAGE},
        {"pg/db/globals.sql": b"CREATE ROLE x;\n", "pg/db/coin.dump": bytes(range(256)) * 64},
    ),
    "mysql": (
        {
            "version": "11.8.3-MariaDB",
            "image": IMAGE,
            "lower_case": 0,
            "users": {},
            "databases": {
                "coin": {
                    "path": "mysql/db/coin.sql",
                    "create": "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                    "tables": {"t": [1, SHA]},
                    "objects": {"t": SHA},
                }
            },
            "not_compared": [],
        },
        {"mysql/db/coin.sql": b"INSERT INTO t VALUES (1);\n" * 600},
    ),
    "sqlite": (
        {
            "path": "/srv/app.db",
            "file": "sqlite/app.db",
            "uid": 0,
            "gid": 0,
            "mode": 0o600,
            "settings": {},
            "tables": {"t": [1, SHA]},
            "objects": {},
            "broken_references": 0,
            "not_compared": [],
        },
        {"sqlite/app.db": b"SQLite format 3\0" + bytes(range(256)) * 64},
    ),
    "volume": (
        {**TREE, "databases": {"a.db": "sqlite/d/a.db"}, "volume": "s_data", "mapped": False},
        {"files/d.list": b'["a"]\n' * 40, "files/d.tar": bytes(range(256)) * 64, "sqlite/d/a.db": b"SQLite" * 99},
    ),
}
FACTS, CONTENTS = KINDS["postgresql"]
each_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def save(store: FilesStore, seq: int, contents: t.Mapping[str, bytes], kind: str = "postgresql") -> None:
    store.prepare()
    staging = store.stage(seq)
    artefacts = []
    for path, data in contents.items():
        target = trees.private_parents(staging, path)
        artefacts.append(Artefact(path, len(data), files.write_new(target, data, durable=True)))
    source = Source("db", kind, tuple(artefacts), 1, KINDS[kind][0])
    store.commit(staging, Manifest("s", seq, "2026-11-21T02:00:00+01:00", "site", (source,)), (), ())


@pytest.fixture
def store(tmp_path):
    return FilesStore(str(tmp_path / "repo"), "s", "run1", Keys(str(tmp_path / "key"), str(tmp_path)))


def test_saved_set_is_fetched_unchanged(store, tmp_path):
    save(store, 1, CONTENTS)
    save(store, 2, CONTENTS)
    assert [found.seq for found in store.sets()] == [1, 2]
    newest = pick(store.sets(), "latest", store.location)
    assert store.verify(newest) == sum(map(len, CONTENTS.values()))
    target = tmp_path / "out"
    target.mkdir()
    store.fetch(newest, str(target))
    assert (target / "pg/db/coin.dump").read_bytes() == CONTENTS["pg/db/coin.dump"]
    assert store.delete([1]) == [1]
    assert [found.seq for found in store.sets()] == [2]
    with pytest.raises(StoreError, match="no set 1"):
        pick(store.sets(), "1", store.location)


def test_repository_of_another_stack_is_not_changed(store, tmp_path):
    save(store, 1, CONTENTS)
    running = store.stage(2)
    other = FilesStore(store.location, "other", "run2")
    with pytest.raises(StoreError, match="set 1 belongs to the stack s: configure one repository for each stack"):
        other.prepare()
    assert os.path.isdir(running)
    assert [(found.seq, found.manifest) for found in other.sets()] == [(1, None)]
    with pytest.raises(StoreError, match="belongs to the stack s"):
        other.fetch(other.sets()[0], str(tmp_path))


def test_modes_are_private_with_any_umask(store):
    before = os.umask(0)
    try:
        save(store, 1, CONTENTS)
    finally:
        os.umask(before)
    for base, _dirs, names in os.walk(store.location):
        assert os.stat(base).st_mode & 0o077 == 0, base
        for name in names:
            assert os.stat(os.path.join(base, name)).st_mode & 0o777 == 0o600


@each_kind
def test_kill_at_every_step_of_a_run_with_pruning(tmp_path, tally, how_many, kind):
    """Killed before each change to the disk: no committed set is lost, no partial one listed, the next run works."""
    contents = KINDS[kind][1]
    points = 0
    stride = 1 if kind == "postgresql" else how_many(7, 1)
    for step in range(0, 1000, stride):
        place = str(tmp_path / f"repo{step}")
        save(FilesStore(place, "s", "a"), 1, contents, kind)
        save(FilesStore(place, "s", "b"), 2, contents, kind)

        def work(place: str = place) -> None:
            store = FilesStore(place, "s", "killed")
            save(store, 3, contents, kind)
            store.delete([1])

        finished = lives(step, work)
        after = FilesStore(place, "s", "next")
        listed = after.sets()
        assert [found.problem for found in listed] == [""] * len(listed)
        seqs = [found.seq for found in listed]
        assert seqs in ([1, 2], [1, 2, 3], [2, 3]), seqs
        for found in listed:
            after.verify(found)
        save(after, 4, contents, kind)
        assert 4 in [found.seq for found in after.sets()]
        leftovers = [name for name in os.listdir(place) if name.startswith(".")]
        assert leftovers == []
        trees.remove_tree(place)
        if finished:
            break
        points += 1
    tally(f"kill -9 at each change to the disk, the store alone, {kind}: sets lost or partial ones listed", points)
    assert finished
    assert points * stride >= 35


def test_data_is_durable_before_the_manifest_and_the_manifest_before_the_name(store, monkeypatch):
    store.prepare()
    seen: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        seen.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real_fsync(fd)

    def rename(source: str, target: str) -> None:
        seen.append("rename " + os.path.basename(target))
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    save(store, 1, CONTENTS)
    order = [
        seen.index("sync coin.dump"),
        seen.index("sync db"),
        seen.index("sync manifest.json"),
        seen.index("sync .partial-000001-run1", seen.index("sync manifest.json")),
        seen.index("rename 000001"),
        seen.index("sync sets", seen.index("rename 000001")),
    ]
    assert order == sorted(order)


@each_kind
def test_every_flipped_bit_is_found(store, tally, kind):
    save(store, 1, KINDS[kind][1], kind)
    rng = random.Random(3)
    files = [os.path.join(base, name) for base, _dirs, names in os.walk(store.location) for name in names]
    assert len(files) == len(KINDS[kind][1]) + 1
    caught, tried = 0, 1000 // len(files)
    for path in files * tried:
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            bit = rng.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << bit % 8
            file.seek(0)
            file.write(data)
        found = store.sets()[0]
        if found.manifest is None:
            caught += 1
        else:
            with contextlib.suppress(StoreError):
                store.verify(found)
                caught -= 1
            caught += 1
        with open(path, "r+b") as file:
            data[bit // 8] ^= 1 << bit % 8
            file.write(data)
    store.verify(store.sets()[0])
    tried *= len(files)
    tally(f"bit flips in each file of the store alone, {kind}: not found", tried, tried - caught)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_truncated_file_is_named(store, share):
    save(store, 1, CONTENTS)
    path = os.path.join(store.location, "sets/000001/pg/db/coin.dump")
    os.truncate(path, int(len(CONTENTS["pg/db/coin.dump"]) * share))
    with pytest.raises(StoreError, match=r"pg/db/coin\.dump is damaged"):
        store.verify(store.sets()[0])


def test_unknown_file_in_a_set_is_named(store):
    save(store, 1, CONTENTS)
    files.write_new(os.path.join(store.location, "sets/000001/pg/extra"), b"x", durable=False)
    with pytest.raises(StoreError, match="pg/extra"):
        store.verify(store.sets()[0])


def test_planted_links_are_refused_and_their_targets_untouched(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (victim / "precious").write_text("keep", encoding="utf-8")
    os.symlink(victim, tmp_path / "repo")
    with pytest.raises(FileError, match="link"):
        FilesStore(str(tmp_path / "repo"), "s", "r").prepare()
    store = FilesStore(str(tmp_path / "real"), "s", "r")
    store.prepare()
    os.symlink(victim, os.path.join(store.location, ".partial-000001-r"))
    with pytest.raises(FileError, match="link"):
        store.stage(1)
    os.symlink(victim, os.path.join(store.location, ".trash-000009"))
    store.prepare()
    assert os.listdir(store.location) == ["sets"]
    assert (victim / "precious").read_text(encoding="utf-8") == "keep"


def test_directory_open_to_others_is_refused(tmp_path):
    (tmp_path / "repo").mkdir(mode=0o755)
    os.chmod(tmp_path / "repo", 0o755)
    with pytest.raises(FileError, match="0755"):
        FilesStore(str(tmp_path / "repo"), "s", "r").prepare()


def test_manifest_with_a_path_outside_the_set_is_refused():
    for path in ("../x", "/etc/passwd", "a/../../b", "", "a//b", "a/./b"):
        source = Source("d", "postgresql", (Artefact(path, 1, "0" * 64),), 1, FACTS)
        evil = Manifest("s", 1, "2026-11-21T02:00:00+01:00", "b", (source,))
        with pytest.raises(StoreError, match=r"artefacts\[0\].path leaves its directory"):
            manifest.dump(evil)
        good = manifest.dump(dataclasses.replace(evil, sources=(dataclasses.replace(source, artefacts=()),)))
        body = json.loads(good)
        del body["sha256"]
        body["sources"][0]["artefacts"] = [{"path": path, "size": 1, "sha256": "0" * 64}]
        with pytest.raises(StoreError, match=r"artefacts\[0\].path leaves its directory"):
            manifest.load(manifest._seal(body), "m")


def test_newer_manifest_is_kept_and_not_used(store):
    save(store, 1, CONTENTS)
    place = os.path.join(store.location, "sets/000001/manifest.json")
    with open(place, "rb") as file:
        data = file.read()
    body = json.loads(data)
    del body["sha256"]
    newer = manifest._seal({**body, "version": 2})
    with open(place, "wb") as file:
        file.write(newer)
    (found,) = store.sets()
    assert found.manifest is None
    assert "version 2" in found.problem


def test_twenty_parallel_starts_run_one_at_a_time(tmp_path, tally):
    place, path = str(tmp_path / "repo"), str(tmp_path / "lock")
    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with lock.held(path, purpose="backup", timeout=60, world=World.real()):
                    store = FilesStore(place, "s", str(number))
                    save(store, max([found.seq for found in store.sets()], default=0) + 1, CONTENTS)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 20
    store = FilesStore(place, "s", "x")
    assert [found.seq for found in store.sets()] == list(range(1, 21))
    for found in store.sets():
        store.verify(found)
    tally("parallel starts, the store alone: lost or damaged sets", 20)
