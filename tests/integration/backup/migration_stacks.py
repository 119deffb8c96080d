# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An old stack as the source of data, and helpers for the target stack."""

from __future__ import annotations

import os
import pathlib
import shutil

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import migrations as sql_migrations
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import ROOT, Stack

FACTS_SQL = ROOT / "playbooks/files/onebox-facts.sql"


class Old(Stack):
    """The old server, and the files copied from it."""

    def take(self, place: pathlib.Path) -> None:
        self.place = place
        place.mkdir()
        words = ["-U", "coin", "-d", "coin"]
        self.do("exec", self.db, "pg_dump", "-Fc", "-f", "/tmp/c.dump", *words)
        self.do("exec", self.db, "pg_dump", "-f", "/tmp/c.sql", *words)
        self.do("exec", self.db, "pg_dumpall", "-U", "coin", "--globals-only", "-f", "/tmp/globals.sql")
        for name in ("c.dump", "c.sql", "globals.sql"):
            self.do("cp", f"{self.db}:/tmp/{name}", str(place / name))
        facts = self.do(
            "exec", "-i", self.db, "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *words, text=FACTS_SQL.read_text()
        )
        (place / "c.facts").write_text(facts, encoding="utf-8")
        self.redis("--rdb", "/tmp/c.rdb")
        self.do("cp", f"{self.cache}:/tmp/c.rdb", str(place / "c.rdb"))
        for name in os.listdir(place):
            os.chown(place / name, 0, 0)
        shutil.copytree(self.files, place / "uploads", symlinks=True)


def databases(stack):
    return set(stack.sql("SELECT datname FROM pg_database WHERE NOT datistemplate;", "postgres").split())


def make(stack):
    return contexts.make(configuration.read(stack.config()), World.real())


def dump(old, name="c.dump", **more):
    return migrate.Datum("db", str(old.place / name), database="coin", **more)


def everything(old):
    return migrate.Request(
        (
            dump(old, owners=False, facts_file=str(old.place / "c.facts")),
            migrate.Datum("cache", str(old.place / "c.rdb")),
            migrate.Datum("uploads", str(old.place / "uploads")),
        )
    )


def untouched(stack):
    return (
        stack.sql("SELECT a FROM mine;") == "1"
        and stack.redis("GET", "mine") == "1"
        and (stack.files / "mine").read_text(encoding="utf-8") == "1"
        and databases(stack) == {"postgres", "coin"}
    )


def moved(stack):
    return (
        stack.sql("SELECT count(*) FROM trades;") == "20000"
        and stack.redis("DBSIZE") == "5001"
        and (stack.files / "a file").stat().st_size == 300_000
    )


def sql(*files, **more):
    made = []
    for number, text in enumerate(files):
        options = {"required": True, "transaction": True, **more.get(f"m{number}", {})}
        made.append(sql_migrations.Migration("db", "coin", f"{number}.sql", text, **options))
    return migrate.Request((), tuple(made))


def fresh(new):
    """The new stack with its own data, which must not be lost."""
    for name in databases(new) - {"postgres"}:
        new.sql(f'DROP DATABASE "{name}" WITH (FORCE);', "postgres")
    new.sql("CREATE DATABASE coin;", "postgres")
    new.sql("ALTER DATABASE coin SET work_mem = '7MB'; CREATE TABLE mine (a int); INSERT INTO mine VALUES (1);")
    new.redis("FLUSHALL")
    new.redis("SET", "mine", "1")
    shutil.rmtree(new.base / "srv", ignore_errors=True)
    shutil.rmtree(new.state, ignore_errors=True)
    new.files.mkdir(parents=True)
    (new.files / "mine").write_text("1", encoding="utf-8")
    (new.base / "compose.yml").write_text("services: {}\n", encoding="utf-8")
    (new.base / ".env").write_text("A=1\n", encoding="utf-8")
    return new
