# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that Podman keeps: which are wanted, which are missing, and what a changed one means."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import secrets
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import digests
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory, Record
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from compose_facts import IMAGE_ID, container, driver, model_of

MODEL = model_of(
    {
        "bot": {"image": "shop:1", "secrets": ["token", {"source": "key", "target": "api_key"}]},
        "web": {"image": "shop:1", "secrets": ["token", "cert"]},
    },
    secrets={"token": {"external": True}, "key": {"external": True}, "cert": {"file": "/etc/cert"}},
)


class Keeper(Engine):
    """An engine with these secrets, in the shape ``podman secret inspect`` has."""

    def __init__(self, name: str = "podman", **updated: str) -> None:
        self.name = name
        self._updated = updated

    def secret(self, name):
        at = self._updated.get(name)
        return {"ID": "4f8", "UpdatedAt": at, "Spec": {"Name": name}} if at else None


FULL = {"token": "2026-11-21T09:00:00.5+09:00", "key": "2026-11-21T09:00:00.5+09:00"}


def test_who_wants_what():
    assert secrets.users(MODEL) == {"token": ["bot", "web"], "key": ["bot"]}


def test_existing_secrets_are_accepted():
    assert secrets.problems(MODEL, driver(), Keeper(**FULL)) == []


def test_missing_ones_are_named_with_their_services():
    (problem,) = secrets.problems(MODEL, driver(), Keeper(key=FULL["key"]))
    assert (problem.code, problem.where) == ("no_secret", "secret token")
    assert "service bot, web" in problem.message


@pytest.mark.parametrize(
    ("kind", "engine", "word"),
    [("docker-compose", "podman", "podman-compose"), ("docker-compose", "docker", "Swarm")],
)
def test_where_there_is_no_such_thing(kind, engine, word):
    found = secrets.problems(MODEL, driver(kind), Keeper(engine, **FULL))
    assert [problem.where for problem in found] == ["secret key", "secret token"]
    assert {problem.code for problem in found} == {"external_secret"}
    assert all(word in problem.message for problem in found)


def rows(known: dict[str, str], **updated: str) -> dict[str, plan.Row]:
    reader = digests.Reader(external=secrets.pieces(MODEL, Keeper(**updated)))
    found = {"bot": reader.content(MODEL.services["bot"], {}, "/")}
    bot, web = container("bot"), container("web")
    records = {bot.id: Record("bot", "", known)} if known else {}
    images = {"shop:1": {"Id": IMAGE_ID, "Config": {}}, IMAGE_ID: {"Id": IMAGE_ID, "Config": {}}}
    facts = plan.Facts([bot, web], images, Memory(records), found)
    made = plan.make(MODEL, facts, driver=driver(), remove_orphans=False)
    return {row.service: row for row in made}


def test_secret_that_was_set_again_needs_a_new_container():
    known = {f"secrets/{name}": piece.digest for name, piece in secrets.pieces(MODEL, Keeper(**FULL)).items()}
    assert "secret_changed" not in rows(known, **FULL)["bot"].reasons
    row = rows(known, **{**FULL, "token": "2026-11-22T09:00:00Z"})["bot"]
    assert row.action == "recreate"
    assert "secret_changed" in row.reasons


def test_secret_without_a_record_is_judged_by_its_time():
    # The container was started at 2026-11-21T09:00:00.5Z; the secrets are of nine hours before.
    assert "secret_changed" not in rows({}, **FULL)["bot"].reasons
    assert "secret_changed" in rows({}, **{**FULL, "key": "2026-11-21T09:00:01Z"})["bot"].reasons
