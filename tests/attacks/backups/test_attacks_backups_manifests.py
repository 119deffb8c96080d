# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests that an attacker in the repository rewrote: no traceback, no write outside, and backups continue."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shutil
import typing as t

import mutations
import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

IMAGE = {"image": "docker.io/library/x:1", "image_id": f"sha256:{'a' * 64}", "digests": [f"x@sha256:{'b' * 64}"]}


class Site:
    """A stack of a directory and a compose file, backed up once, and a directory that no restore may write to."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.data, self.victim = base / "data", base / "victim"
        self.compose = base / "compose.yml"
        for folder in (self.data, self.victim):
            folder.mkdir(parents=True)
        (self.data / "f").write_text("x", encoding="utf-8")
        (self.victim / "precious").write_text("keep", encoding="utf-8")
        self.compose.write_text("services: {}\n", encoding="utf-8")

    def context(self) -> contexts.Context:
        sources = [{"name": "data", "kind": "directory", "path": str(self.data)}]
        declared = {
            "stack": "unit",
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.base / "repo")},
            "reserve_mib": 0,
            "socket": str(self.base / "no.sock"),
            "sources": [*sources, {"name": "stack", "kind": "compose", "files": [str(self.compose)]}],
        }
        return contexts.make(configuration.parse(declared), World.real())

    def take(self) -> None:
        """A set of a run with an engine. The engine's part is only a list of containers."""
        context = self.context()
        plain = contexts.make(self._only_data(context), World.real())
        report = run.backup(plain)
        assert report["error"] == ""
        (found,) = plain.store.sets()
        sha256 = files.digest(str(self.compose))
        path = f"compose/stack{self.compose}"
        target = trees.private_parents(str(self.place), path)
        shutil.copy(self.compose, target)
        row = {"artefact": path, "mode": 0o644, "uid": os.getuid(), "gid": os.getgid(), "sha256": sha256[0]}
        services = [{"service": "web", "name": "web", **IMAGE}]
        facts = {"files": {str(self.compose): row}, "services": services}
        artefact = manifest.Artefact(path, sha256[1], sha256[0])
        source = manifest.Source("stack", "compose", (artefact,), 1, facts)
        whole = manifest.Manifest("unit", 1, found.manifest.taken, "box", (*found.manifest.sources, source))
        self.write(manifest.dump(whole, plain.keys))

    @staticmethod
    def _only_data(context: contexts.Context) -> configuration.BackupConfig:
        return dataclasses.replace(context.config, sources=context.config.sources[:1])

    @property
    def place(self) -> pathlib.Path:
        return self.base / "repo/sets/000001"

    def write(self, data: bytes) -> None:
        with open(self.place / manifest.NAME, "wb") as file:
            file.write(data)

    def body(self) -> dict[str, t.Any]:
        found = json.loads((self.place / manifest.NAME).read_bytes())
        del found["sha256"]
        return found

    def outside(self) -> list[tuple[str, bytes]]:
        """Everything outside of the restore's targets: a changed byte or a new name is detected."""
        found = []
        for base, folders, names in os.walk(self.base):
            folders[:] = [name for name in folders if os.path.join(base, name) not in self._inside()]
            folders[:] = [name for name in folders if not name.startswith("data.before-")]
            for name in [*names, *folders]:
                path = os.path.join(base, name)
                if ".before-" not in name and path != str(self.compose):
                    found.append((path, pathlib.Path(path).read_bytes() if os.path.isfile(path) else b""))
        return sorted(found)

    def _inside(self) -> list[str]:
        return [str(self.base / name) for name in ("state", "repo", "into", "data")]


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    found = Site(tmp_path / "box")
    found.take()
    return found


def tried(work: t.Callable[[], t.Any]) -> str:
    """The result of a command: "" or the text of one of our errors. Other exceptions are tracebacks."""
    try:
        report = work()
    except OneboxError as error:
        return str(error)
    return str(report.get("error", "")) if isinstance(report, dict) else ""


def test_every_field_with_every_hostile_value_ends_in_a_message_and_writes_nothing_outside(site, tally, how_many):
    body = site.body()
    body.pop("authentication")
    # Like another host, which has not authenticated a set: sets without authentication can be accepted.
    (site.base / "state/authentication.json").unlink()
    before = site.outside()
    count = tracebacks = written = unnamed = used = 0
    for number, (what, data) in enumerate(mutations.of(body, str(site.victim))):
        count += 1
        try:
            manifest.load(data, "m")
        except StoreError as error:
            unnamed += "damaged: " not in str(error)
            if number % how_many(29, 7):
                continue
        except Exception as error:  # a traceback is the finding
            tracebacks += 1
            print(what, repr(error))
        used += 1
        site.write(data)
        into = str(site.base / "into")
        for work in (
            lambda: status.status(site.context()),
            lambda: rehearse.rehearse(site.context(), wanted="1", accepted=1),
            lambda into=into: restore.restore(
                site.context(), restore.Request("1", accepted=1, into=into), confirm="unit"
            ),
            lambda: restore.restore(site.context(), restore.Request("1", accepted=1), confirm="unit"),
        ):
            try:
                tried(work)
            except Exception as error:
                tracebacks += 1
                print(what, repr(error))
        if site.outside() != before:
            written += 1
            print("outside:", what)
            before = site.outside()
    tally("fields of a manifest changed, sealed again and accepted by number: tracebacks", count, tracebacks)
    tally("the same, all that the schema passes and a part of the others: writes outside", used, written)
    tally("the same, refused: without the name of the field", count, unnamed)


def test_no_changed_manifest_stops_the_next_backup_nor_retention(site, tally, how_many):
    body = site.body()
    plain = contexts.make(site._only_data(site.context()), World.real())
    count = bad = 0
    shutil.copytree(site.base / "repo", site.base / "kept")
    for number, (what, data) in enumerate(mutations.of(body, str(site.victim))):
        if number % how_many(60, 6):
            continue
        trees.remove_tree(str(site.base / "repo"))
        shutil.copytree(site.base / "kept", site.base / "repo")
        site.write(data)
        context = contexts.make(plain.config, World.real())
        report = run.backup(context)
        count += 1
        foreign = "belongs to the stack" in report["error"]
        if (report["error"] and not foreign) or not (foreign or report["prune_plan"]["reason"] == ""):
            bad += 1
            print(what, report["error"], report["prune_plan"])
    tally("backups beside a set with a changed manifest: not taken, or retention stopped", count, bad)


@pytest.mark.parametrize("work", ["restore", "restore into", "rehearse"])
@pytest.mark.parametrize("before", [False, True], ids=["since authentication", "on another host"])
def test_changed_set_with_a_valid_checksum_is_not_used(site, tally, work, before):
    body = site.body()
    count = used = 0
    if before:
        (site.base / "state/authentication.json").unlink()
    for way in [("sources", 0, "count"), ("sources", 1, "facts", "files", str(site.compose), "mode"), ("host",)]:
        for strip in ("", "authentication", "key"):
            value = "x" if way == ("host",) else 7
            data = mutations.changed(body, way, functools.partial(mutations.put, value))
            if strip == "authentication":
                del data["authentication"]
            elif strip:
                data["authentication"]["key"] = "0" * 16
            site.write(mutations.store(data))
            into = str(site.base / "into") if work == "restore into" else ""
            count += 1
            if work == "rehearse":
                said = tried(lambda: rehearse.rehearse(site.context()))
            else:
                said = tried(
                    lambda into=into: restore.restore(site.context(), restore.Request("1", into=into), confirm="unit")
                )
            used += not any(word in said for word in ("authenticat", "no usable set"))
    tally(f"{work} of a set that was changed, or whose authentication was removed: used", count, used)
    # The unchanged one is accepted.
    site.write(mutations.store(body))
    assert restore.restore(site.context(), restore.Request("1"), confirm="unit")["error"] == ""


def test_list_of_files_with_every_hostile_value_ends_in_a_message(site, tally, how_many):
    body = site.body()
    body.pop("authentication")
    (site.base / "state/authentication.json").unlink()
    listed = site.place / "files/data.list"
    rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    before = site.outside()
    count = tracebacks = written = 0
    for number in range(len(rows)):
        for what, data in mutations.of(rows[number], str(site.victim)):
            if count % how_many(5, 1) == 0:
                row = json.loads(data)
                del row["sha256"]  # of the seal
                if "sha256" in rows[number] and "('sha256',)" not in what:
                    row["sha256"] = rows[number]["sha256"]
                lines = [json.dumps(row if other == number else rows[other]) for other in range(len(rows))]
                listed.unlink()
                text = "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"
                listed.write_bytes(text)
                artefact = next(each for each in body["sources"][0]["artefacts"] if each["path"] == "files/data.list")
                artefact.update(size=len(text), sha256=hashlib.sha256(text).hexdigest())
                site.write(mutations.store(body))
                into = restore.Request("1", accepted=1, into=str(site.base / "into"))
                for work in (
                    lambda: rehearse.rehearse(site.context(), wanted="1", accepted=1),
                    lambda into=into: restore.restore(site.context(), into, confirm="unit"),
                ):
                    try:
                        tried(work)
                    except Exception as error:
                        tracebacks += 1
                        print(what, repr(error))
                if site.outside() != before:
                    written += 1
                    print("outside:", what)
                    before = site.outside()
            count += 1
    tally("lines of the list of a directory changed: tracebacks", count // how_many(5, 1), tracebacks)
    tally("the same: writes outside", count // how_many(5, 1), written)


DATABASE = {
    "path": "pg/db/coin.dump",
    "tables": {'["public", "t"]': [5, "77"]},
    "extensions": {"plpgsql": "1.0"},
    "sequences_before": {'["public", "s"]': [5, False]},
    "sequences_after": {'["public", "s"]': [None, True]},
    "schema": ["CREATE TABLE public.t (a integer);"],
    "large_objects": [0, "0"],
}
DIGEST = "9" * 64
# The facts of a present set, which has more than one of the first release.
FULL = {
    **{key: DATABASE[key] for key in ("tables", "extensions", "large_objects")},
    "path": "pg/db/full.dump",
    "sequences_before": {'["public", "s"]': [5, True, False]},
    "sequences_after": {'["public", "s"]': [-5, False, True]},
    "entries": [["TABLE public.t", DIGEST]],
    "config_tables": {'["public", "c"]': [1, "7"]},
    "views": {'["public", "v"]': [1, "7"]},
    "extension_updates": {"plpgsql": "1.1"},
    "catalogue": {"database": {"properties": {"owner": "coin", "privileges": ["coin CONNECT"], "comment": None}}},
}
SERVERS = (
    manifest.Source(
        "db",
        "postgresql",
        (
            manifest.Artefact("pg/db/globals.sql", 9, "1" * 64),
            manifest.Artefact("pg/db/coin.dump", 99, "2" * 64),
            manifest.Artefact("pg/db/full.dump", 99, "4" * 64),
        ),
        5,
        {
            "version": "17.2 (Debian 17.2-1)",
            "user": "postgres",
            "preload": [""],
            "initdb_args": "",
            "image": IMAGE,
            "databases": {"coin": DATABASE, "full": FULL},
            "settings": {
                "carried": {"shared_preload_libraries": "x", "x.y": "1"},
                "in_data_directory": {"work_mem": ["4MB", True]},
            },
            "catalogue": {"roles": {"role coin": {"rolsuper": True, "rolconnlimit": -1}}},
            "not_compared": ["planner statistics"],
        },
    ),
    manifest.Source(
        "cache",
        "redis",
        (manifest.Artefact("redis/cache.rdb", 99, "3" * 64),),
        5,
        {
            "version": "8.1.1",
            "config": {
                "appendonly": "yes",
                "appendfilename": "a.aof",
                "appenddirname": "d",
                "dir": "/data",
                "dbfilename": "dump.rdb",
            },
            "keyspace": {"0": [5, 1]},
            "path": "redis/cache.rdb",
            "keys": 5,
            "expires": 1,
            "expired": 0,
            "magic": "REDIS0012",
            "image": IMAGE,
            "functions": {"library": DIGEST},
            "modules": [["/opt/module.so", "word"]],
            "acl_users": ["app"],
            "not_compared": ["users and passwords (ACL)"],
        },
    ),
)


def leads_astray(source: manifest.Source) -> bool:
    """Whether a field of a source would be a path or an option of a program of the restore."""
    facts, known = source.facts, {artefact.path for artefact in source.artefacts}
    image = [facts["image"]["image_id"], *facts["image"]["digests"]]
    paths = [each["path"] for each in facts["databases"].values()] if source.kind == "postgresql" else [facts["path"]]
    words = [facts["user"]] if source.kind == "postgresql" else []
    config = facts["config"] if source.kind == "redis" else {}
    names = [config.get(key) or "x" for key in ("appendfilename", "appenddirname", "dbfilename")]
    modules = facts.get("modules") or [] if source.kind == "redis" else []
    carried = (facts.get("settings") or {}).get("carried", {}) if source.kind == "postgresql" else {}
    return (
        "/" in source.name
        or any(each.startswith("-") or not each.strip() for each in [*image, *words])
        or any(path not in known or ".." in path.split("/") or path.startswith("/") for path in paths)
        or any(not module[0].startswith("/") for module in modules)
        or any(argument.startswith("-") for module in modules for argument in module)
        or any(not name or name.startswith("-") or "=" in name for name in carried)
        or any("/" in name or name in (".", "..") or name.startswith("-") for name in names)
        or ".." in (config.get("dir") or "").split("/")
    )


def test_every_field_of_databases_is_refused_with_its_name_or_leads_nowhere_else(site, tally):
    whole = manifest.Manifest("unit", 1, "2026-01-01T02:00:00+00:00", "box", SERVERS)
    body = json.loads(manifest.dump(whole))
    del body["sha256"]
    count = tracebacks = astray = passed = unnamed = 0
    for what, data in mutations.of(body, str(site.victim)):
        count += 1
        try:
            found = manifest.load(data, "m")
        except StoreError as error:
            unnamed += "damaged: " not in str(error)
            continue
        except Exception as error:
            tracebacks += 1
            print(what, repr(error))
            continue
        passed += 1
        for source in found.sources:
            if leads_astray(source):
                astray += 1
                print("astray:", what)
    tally("fields of PostgreSQL's and Redis' facts changed: tracebacks", count, tracebacks)
    tally("the same, refused: without the name of the field", count - passed, unnamed)
    tally("the same, all that the schema passes: names that are paths or options", passed, astray)
