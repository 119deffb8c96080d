# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values with odd characters in environment files: the container gets them, and the next run keeps the container."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from compose_lab import Lab, refused

BACKENDS = ["podman-compose", "docker+2.40"]
VALUES = {
    "APOSTROPHE": "it's",
    "QUOTES": "say \"hi\" 'there'",
    "BACKSLASHES": "C:\\dir\\new \\\\server\\",
    "BACKSLASHES_IN_QUOTES": " 'C:\\dir\\' ",
    "HASH": "a # b #c",
    "DOLLARS": "$HOME $$ 100$ $(date)",
    "SPACES": "  two  ",
    "LINES": 'first line\n  "second" line\n',
    "LINES_WITH_DOLLARS": "$first\n$second's",
    "UNICODE": "한글 ünïcode 🚀\u00a0\u2028x",
    "EMPTY": "",
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_written_values_reach_the_container_and_the_next_plan_keeps_it(make_lab, backend):
    lab: Lab = make_lab(backend)
    own = {f"FILE_{name}": value for name, value in VALUES.items()}
    (lab.folder / "web.env").write_text(dotenv.merge("", own), encoding="utf-8")
    references = {name: f"${{{name}}}" for name in VALUES}
    lab.services["web"] = lab.service(env_file=["web.env"], environment=references)
    lab.services["passed_on"] = lab.service(environment=dict.fromkeys(VALUES))
    lab.write()
    (lab.folder / ".env").write_text(dotenv.merge("", VALUES), encoding="utf-8")

    first = lab.stack().converge()
    assert not first.get("failed"), first["msg"]
    found = {name: dict(pair.partition("=")[::2] for pair in rows[0].env) for name, rows in lab.containers().items()}
    assert {name: found["web"].get(name) for name in {**VALUES, **own}} == {**VALUES, **own}
    assert {name: found["passed_on"].get(name) for name in VALUES} == VALUES

    assert_kept(lab, "web", "passed_on")


BY_HAND = """\ufeff# Written by hand
export TITLE="it's  \\"so\\"" # the title

ROOT = /srv/a
DATA_DIR=${ROOT}/data # below it
LITERAL='it\\'s $ROOT'
LITERAL_BRACES='${ROOT}'
UNUSED= # not used
HASH=a#b
TITLE_AGAIN=$TITLE
KEY="-----BEGIN-----
a+/=
-----END-----"
ROOT=/srv/b
NO_VALUE
COLON: x
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_written_by_hand_are_planned_as_the_tool_reads_them(make_lab, backend):
    lab: Lab = make_lab(backend)
    dialect = dotenv.DOCKER_COMPOSE if lab.backend.docker_compose else dotenv.PODMAN_COMPOSE
    wanted = dotenv.parse(BY_HAND, dialect)
    # In a service's own file docker compose prefers the variables of .env, podman-compose does not know them.
    own = dotenv.parse(BY_HAND, dialect, wanted) if dialect.docker else wanted
    assert "it's" in wanted["LITERAL"]
    lab.services["web"] = lab.service(env_file=["web.env"])
    lab.services["passed_on"] = lab.service(environment=dict.fromkeys(wanted))
    lab.write()
    for name in (".env", "web.env"):
        (lab.folder / name).write_text(BY_HAND, encoding="utf-8")

    first = lab.stack(required_env=["LITERAL", "KEY"]).converge()
    assert not first.get("failed"), first["msg"]
    found = environments(lab)
    assert {name: found["web"].get(name) for name in own} == own
    assert {name: found["passed_on"].get(name) for name in wanted} == wanted
    assert_kept(lab, "web", "passed_on")


def test_file_that_docker_compose_refuses_is_refused_with_its_line_and_without_values(make_lab):
    lab: Lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    (lab.folder / ".env").write_text("A=1\nPASSWORD='hunter22\n", encoding="utf-8")
    (message,) = refused(lab).values()
    assert message.startswith(f"{lab.folder}/.env, line 2: ")
    assert "hunter22" not in message
    assert lab.bare("config", check=False).returncode != 0


def environments(lab: Lab) -> dict[str, dict[str, str]]:
    """The environment of each service's container."""
    return {name: dict(pair.partition("=")[::2] for pair in rows[0].env) for name, rows in lab.containers().items()}


def assert_kept(lab: Lab, *services: str) -> None:
    again = lab.stack().converge()
    plan = {row["service"]: (row["action"], row["reasons"]) for row in again["plan"]}
    assert plan == dict.fromkeys(services, ("keep", []))
    assert not again["changed"]
