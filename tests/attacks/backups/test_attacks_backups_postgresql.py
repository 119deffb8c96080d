# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a restored PostgreSQL: each is found by the comparison, or named in the set as not compared."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import ServerFacts
from databases import ServerStack

HERE = pathlib.Path(__file__).parent


def changes() -> list[tuple[str, str, str]]:
    """An entry of changes.sql: the name of the change, its SQL, and the SQL that undoes it, "" for none."""
    found = []
    for block in (HERE / "changes.sql").read_text(encoding="utf-8").split("\n--: ")[1:]:
        name, unused, sql = block.partition("\n")
        done, unused, undone = sql.partition("--<\n")
        found.append((name, done, undone))
    return found


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    with ServerStack(tmp_path_factory.mktemp("pg")) as srv:
        srv.postgres("postgres", "-c", "wal_level=logical")
        srv.sql((HERE / "zoo.sql").read_text(encoding="utf-8"))
        yield srv


def test_each_change_of_a_restored_database_is_found_or_named(srv, tally):
    taken = srv.backup()
    assert taken["error"] == ""
    seen: dict[str, str] = {}
    not_done: list[str] = []

    def tamper(server) -> None:
        def judged(everything: bool = False) -> list[str]:
            some = dataclasses.replace(facts, databases={"coin": facts.databases["coin"]})
            return load.judge(server, facts if everything else some, ["coin"])[0]

        def run_sql(sql: str) -> str:
            return server.script("coin", f"SET search_path = public;\n{sql}").stderr

        assert judged(everything=True) == []
        left: list[str] = []  # the difference after a change that is not undone
        for name, done, undone in changes():
            said = run_sql(done)
            new = [problem for problem in judged(everything="another database" in name) if problem not in left]
            seen[name] = new[0] if new else ""
            if undone:
                said += run_sql(undone)
                if judged() != left:
                    said += "is not undone"
            else:
                left = judged()
            if "ERROR" in said or "not undone" in said:
                not_done.append(f"{name}: {said}")
        # The comparison of the rehearsal must fail because of the rest.
        assert left

    with srv.fetched() as (context, chosen, source, staged):
        facts = ServerFacts.from_dict(source.facts)
        assert {"coin", "tmpl", "postgres", "we\"ird=x/y'z"} == set(facts.databases)
        assert "SECRETsub" not in json.dumps(source.facts)
        with pytest.raises(rehearse.MismatchError):
            rehearse.check_source(context, context.store, chosen, source, str(staged), str(srv.base / "x"), tamper)
    assert not_done == []
    missed = [name for name, said in seen.items() if not said]
    assert missed == []
    tally("changes of a restored PostgreSQL that the comparison finds", len(seen), len(missed))


def test_zoo_of_objects_is_restored_equal(srv):
    report = srv.rehearse()
    assert report["error"] == ""
    (row,) = report["sources"]
    assert "planner statistics" in row["found"]["not_compared"]


def test_zoo_of_objects_is_restored_over_itself(srv):
    report = srv.restore()
    assert report["error"] == ""
    assert "sub is disabled" not in "".join(report["warnings"])
    assert srv.sql("SELECT count(*) FROM gen") == "100"
