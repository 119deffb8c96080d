# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that ``onebox_defaults: derive`` leaves to the compose file are listed as an inventory declares them."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import binds, declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import derived, needs
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from compose_facts import model_of

SERVICES = {
    "web": {
        "image": "acme/web",
        "user": "1000:1000",
        "ports": ["8080:80", "127.0.0.1:9090:9090", "5433:5432"],
        "volumes": ["/srv/shop/files:/files", "./conf:/etc/web", "./uploads:/data", "/etc/localtime:/etc/localtime"],
    },
    "db": {"image": "postgres:16", "volumes": ["/srv/shop/db:/var/lib/postgresql/data"]},
}


@pytest.fixture
def found(tmp_path: pathlib.Path) -> t.Callable[..., dict[str, t.Any]]:
    deploy, staged = tmp_path / "deploy", tmp_path / "staged"
    (deploy / "uploads").mkdir(parents=True)
    (staged / "conf").mkdir(parents=True)
    (staged / "uploads").symlink_to(deploy / "uploads")
    model = model_of(SERVICES, project_dir=str(deploy))
    source = Source("shop", str(deploy), (f"{deploy}/compose.yml",), "", (), staged=str(staged))

    def derive(**changes: t.Any) -> dict[str, t.Any]:
        rules = changes.pop("rules", declaration.Rules(exposure="lan", derive=True))
        request = Request(name="shop", project_dir=str(deploy), rules=rules, **changes)
        missing = binds.missing_directories(model, source, rules.derive, {})
        rows = derived.of(model, source, request, missing)
        assert all(row["reason"] for row in rows)
        result = Result("shop", derived=rows)
        lines = result.lines()
        assert not rows or lines[0].startswith("Derived from the compose file.")
        return yaml.safe_load("\n".join(lines[1:])) or {}

    return derive


def test_values_are_listed_as_a_block_for_the_inventory(
    found: t.Callable[..., dict[str, t.Any]], tmp_path: pathlib.Path
) -> None:
    values = found()
    assert values == {
        "compose_stack_public_ports": [5433, 8080],
        "data_dirs_directories": [
            {"path": "/srv/shop/db", "owner": "999", "group": "999", "mode": "0700"},
            {"path": "/srv/shop/files", "owner": "1000", "group": "1000"},
        ],
        "compose_stack_http_checks": [{"url": "http://127.0.0.1:8080/"}, {"url": "http://127.0.0.1:9090/"}],
        "backups_sources": [
            {"name": "db", "service": "db", "kind": "postgresql"},
            {"name": "web-files", "kind": "directory", "path": "/srv/shop/files"},
            {"name": "web-uploads", "kind": "directory", "path": f"{tmp_path}/deploy/uploads"},
        ],
    }


def test_declared_values_are_not_listed_again(found: t.Callable[..., dict[str, t.Any]]) -> None:
    rules = declaration.Rules(public_ports=(8080, 5433), derive=True)
    values = found(rules=rules, http_checks=[{"url": "http://127.0.0.1:8080/"}], backed_up=("db",))
    assert set(values) == {"data_dirs_directories"}


def test_nothing_is_listed_when_values_are_declared(found: t.Callable[..., dict[str, t.Any]]) -> None:
    assert found(rules=declaration.Rules()) == {}


def test_block_of_a_refusal_has_every_kind_of_value() -> None:
    rows = [needs.check("http://127.0.0.1:80/", "a"), needs.source({"name": "db", "kind": "redis"}, "b")]
    assert yaml.safe_load("\n".join(needs.block(rows))) == {
        "compose_stack_http_checks": [{"url": "http://127.0.0.1:80/"}],
        "backups_sources": [{"name": "db", "kind": "redis"}],
    }
