# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal: restore a set into throwaway containers of the recorded image, without network, and compare all of it.

A checksum says that the bytes are the bytes; only a restore says that they are a database. Nothing of the running stack
is touched: the containers are new, carry our label and no compose project, and are removed with their volumes.
"""

from __future__ import annotations

import os
import secrets
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import guard, sources, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import extract
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MismatchError,
    SourceError,
    StoreError,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import load
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql.throwaway import throwaway
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import load as redis_load
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.run import Report
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet, passed_over, pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import of_set
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError


def rehearse(
    context: Context, *, wanted: str = "latest", where: str = "local", wait: float = 0.0, accepted: int = 0
) -> Report:
    """Rehearse a set and keep the evidence; ``error`` in the report is "" when everything was equal.

    When the newest set fails, the one before is tried, so that the report also says whether there is a way back.

    Args:
        wanted: sequence number, or latest.
        where: local or offsite.
        accepted: the number of a set that its owner accepts without authentication, 0 for none.

    Raises:
        Busy: another run holds the lock.
        StoreError: there is no such repository or set, or it is not authentic.
    """
    store: Store | None = context.store if where == "local" else context.offsite
    if store is None:
        raise StoreError("there is no off-site repository in the declaration")
    with context.locked("rehearsal", wait):
        there = store.sets()
        chosen = pick(there, wanted, store.place, accepted)
        report = _try(context, store, chosen, where)
        report["warnings"] += passed_over(there, chosen)
        if report["error"] and wanted == "latest":
            older = [found for found in there if found.seq < chosen.seq and found.manifest and not found.doubt]
            if older:
                context.log(f"set {chosen.seq} failed; trying set {older[-1].seq}")
                fallback = _try(context, store, older[-1], where)
                report["fallback"] = {key: fallback[key] for key in ("seq", "ok", "error")}
        context.state.write(f"last-rehearsal-{where}", report)
        status.finish(context, "rehearsal", report)
        return report


def _try(context: Context, store: Store, chosen: StoredSet, where: str) -> Report:
    began = context.world.monotonic()
    report: Report = {
        "stack": context.declaration.stack,
        "where": where,
        "seq": chosen.seq,
        "set": chosen.id,
        "at": context.now().timestamp(),
        "ok": False,
        "sources": [],
        "warnings": [],
        "error": "",
        "exit_code": 0,
        "restore_seconds": 0.0,
    }
    judged = True  # an engine that is down, a full disk or a missing image says nothing of the set
    try:
        with guard.everything():
            report["restore_seconds"] = round(_all_sources(context, store, chosen, report), 3)
        failed = [row for row in report["sources"] if not row["ok"]]
        codes = [row.pop("exit_code") for row in failed]
        if failed:
            # What differs says more of the set than what could not be tried.
            report["exit_code"] = max(codes, key=lambda code: code == MismatchError.exit_code)
            report["error"] = "; ".join(f"{row['name']}: {row['error']}" for row in failed)
        report["ok"] = not failed
    except BackupError as error:
        report["error"] = str(error)
        report["exit_code"] = error.exit_code
    except (FileError, OSError) as error:
        report["error"] = str(error)
        report["exit_code"] = of_files(error).exit_code
        judged = False
    if report["error"]:
        differs = report["exit_code"] == MismatchError.exit_code
        what = "did not come back as it was" if differs else "could not be restored here"
        report["error"] = f"set {chosen.seq} ({where}) {what}: {report['error']}"
    report["seconds"] = round(context.world.monotonic() - began, 3)
    judged = judged and report["exit_code"] in (0, MismatchError.exit_code, StoreError.exit_code)
    report["evidence"] = context.state.add_evidence(where, chosen.seq, report, keep_good=not judged)
    return report


def _all_sources(context: Context, store: Store, chosen: StoredSet, report: Report) -> float:
    manifest = chosen.understood()
    scratch = os.path.join(context.declaration.state_dir, "scratch")
    trees.remove_tree(scratch)
    # One directory after the other is restored there, and removed.
    sizes = [int(source.facts["bytes"]) for source in manifest.sources if source.kind == "directory"]
    context.require_room(scratch, manifest.size + max(sizes, default=0), "a rehearsal")
    trees.private_dir(scratch)
    if any(source.kind in ("postgresql", "redis") for source in manifest.sources):
        context.open_cli().remove_leftovers(context.declaration.stack)
    restoring = 0.0
    try:
        began = context.world.monotonic()
        staged = os.path.join(scratch, "set")
        trees.private_dir(staged)
        context.log(f"fetching set {chosen.seq} from {store.place}")
        store.fetch(chosen, staged)
        restoring += context.world.monotonic() - began
        for source in manifest.sources:
            context.log(f"restoring {source.kind} {source.name}")
            began = context.world.monotonic()
            row: Report = {"name": source.name, "kind": source.kind, "ok": False, "error": "", "count": source.count}
            report["sources"].append(row)
            try:
                with of_set(f"set {chosen.seq}: source {source.name}"):
                    facts = check_source(context, store, chosen, source, staged, scratch)
                row.update(ok=True, found=facts)
                report["warnings"] += [f"{source.name}: {warning}" for warning in facts.pop("warnings", ())]
            except BackupError as error:
                row.update(error=str(error), exit_code=error.exit_code)
            except FileError as error:
                row.update(error=str(error), exit_code=of_files(error).exit_code)
            row["seconds"] = round(context.world.monotonic() - began, 3)
            restoring += row["seconds"]
    finally:
        trees.remove_tree(scratch)
    return restoring


def check_source(
    context: Context,
    store: Store,
    chosen: StoredSet,
    source: Source,
    staged: str,
    scratch: str,
    tamper: t.Callable[[t.Any], None] | None = None,
) -> dict[str, t.Any]:
    """Restore one source of fetched files somewhere harmless and compare it. Returns what was found.

    Args:
        tamper: what a negative control does to the restored PostgreSQL or Redis before the comparison.

    Raises:
        MismatchError: it is not what was backed up.
        BackupError: it could not be restored.
    """
    if source.kind == "postgresql":
        return _postgresql(context, source, staged, tamper)
    if source.kind == "redis":
        return _redis(context, source, staged, tamper)
    if source.kind == "directory":
        return _directory(context, store, chosen, source, staged, scratch)
    if source.kind == "compose":
        return {"files": len(source.facts["files"])}  # plain copies: fetching compared their checksums
    raise SourceError(f"source {source.name} is of the unknown kind {source.kind!r}")


def image_of(cli: Cli, facts: t.Mapping[str, t.Any]) -> str:
    """The image a source was taken from: by id when it is here, else by a digest the engine can pull.

    A dump of Redis 8 does not load on Redis 7 or Valkey, so "the same name" is not good enough.
    """
    image = facts["image"]
    if sources.image(cli.engine, image["image_id"]):
        return str(image["image_id"])
    for digest in image["digests"]:
        if cli.call("pull", "--quiet", digest, check=False, timeout=900).rc == 0:
            return str(digest)
    raise SourceError(
        f"the image {image['image']} ({image['image_id'][:19]}) is not here and cannot be pulled by its digest; "
        "bring it back with the engine's load, or take a new backup of the stack as it runs now"
    )


def _postgresql(
    context: Context, source: Source, staged: str, tamper: t.Callable[[postgresql.Server], None] | None
) -> dict[str, t.Any]:
    cli = context.open_cli()
    stack = context.declaration.stack
    facts = source.facts
    with throwaway(
        cli,
        stack,
        name=throwaway_name(stack, source.name),
        image=image_of(cli, facts),
        user=facts["user"],
        initdb_args=facts.get("initdb_args") or "",
        carried=(facts.get("settings") or {}).get("carried")
        or {"shared_preload_libraries": "".join(facts.get("preload") or ())},
    ) as server:
        kept = server.roles()
        load.restore_globals(server, os.path.join(staged, f"pg/{source.name}/globals.sql"))
        there = server.databases()
        for name, database in facts["databases"].items():
            if name in there:
                postgresql.drop(server, name)
            load.restore_database(server, name, os.path.join(staged, database["path"]), create=True)
        if tamper is not None:
            tamper(server)
        problems, notes = load.judge(server, facts, kept)
        load.require_equal(problems)
        found = {"databases": len(facts["databases"]), "rows": source.count, "warnings": notes}
        return {**found, "not_compared": list(facts.get("not_compared") or ())}


def _redis(
    context: Context, source: Source, staged: str, tamper: t.Callable[[redis.Server], None] | None
) -> dict[str, t.Any]:
    cli = context.open_cli()
    stack = context.declaration.stack
    path = os.path.join(staged, source.facts["path"])
    redis_load.require_as_dumped(source, path)
    image = image_of(cli, source.facts)
    container = cli.throwaway(
        image, throwaway_name(stack, source.name), stack, entrypoint="sleep", command=["infinity"]
    )
    try:
        cli.run(container, ["mkdir", "-p", "/tmp/obx"])
        cli.copy_in(path, container, "/tmp/obx/dump.rdb")
        found = redis_load.load(redis_load.ThrowawayServer(cli, container, "/tmp/obx"), source.facts, tamper)
        return {**found, "not_compared": list(source.facts.get("not_compared") or ())}
    finally:
        cli.remove(container)


def _directory(
    context: Context, store: Store, chosen: StoredSet, source: Source, staged: str, scratch: str
) -> dict[str, t.Any]:
    target = os.path.join(scratch, f"tree-{source.name}")
    owners = context.world.is_root
    try:
        lost = put_directory(store, chosen, source, staged, target, owners, context.declaration.reserve_mib << 20)
        problems, moved = directories.check(source.facts, staged, target, owners, lost)
        if problems:
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise MismatchError("; ".join(problems[:5]) + more)
        warnings = [f"{len(moved)} files changed during the backup: {', '.join(moved[:5])}"] if moved else []
        warnings += not_kept("attributes", lost, scratch)
        return {"entries": source.facts["entries"], "bytes": source.facts["bytes"], "warnings": warnings}
    finally:
        trees.remove_tree(target)


def put_directory(
    store: Store, chosen: StoredSet, source: Source, staged: str, target: str, owners: bool, reserve: int = 0
) -> list[str]:
    """Restore a directory source into ``target``, which must not exist yet, in a directory only this user can enter.

    Args:
        reserve: bytes that must stay free.

    Returns:
        Names of attributes that could not be set there.
    """
    trees.private_dir(target)
    facts = source.facts
    lost: list[str] = []
    if facts["archive"]:
        limits = Limits(target, writes_to=target, reserve=reserve)
        lost = extract.extract(os.path.join(staged, facts["archive"]), target, owners, limits)
    else:
        store.fetch_tree(chosen, facts["root"], target)
    extract.overlay_databases(facts, staged, target, owners)
    extract.dress_root(facts, staged, target, owners)
    return lost


def not_kept(name: str, lost: t.Sequence[str], where: str) -> list[str]:
    """A warning for attributes that could not be set."""
    return [f"{name}: {where} cannot keep {', '.join(lost)}; not compared"] if lost else []


def throwaway_name(stack: str, source: str) -> str:
    """A name that no container has."""
    return f"onebox-rehearsal-{stack}-{source}-{secrets.token_hex(3)}".lower()
