# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose tool and the engine are queried side by side: each waits here until the other one was reached."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import gather
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from compose_facts import container

MODEL = {"services": {"web": {"image": "shop:1"}, "new": {"image": "new:1"}}}
PATIENCE = 20.0


class Meeting(Engine):
    """An engine that answers after the compose tool was started, and then lets the tool continue."""

    name, socket, version = "docker", "/nowhere/docker.sock", "28.0.0"

    def __init__(self, broken: bool = False) -> None:
        self.tool, self.engine, self.versions = threading.Event(), threading.Event(), threading.Event()
        self.inspected: list[str] = []
        self._broken = broken

    def containers(self, project=None, names=()):
        if self._broken:
            raise EngineError("the engine is gone")
        return [container("web")]

    def images(self, references):
        self.inspected += references
        return dict.fromkeys(references)

    def networks(self):
        assert self.tool.wait(PATIENCE), "the tool was not started before the engine was asked"
        self.engine.set()
        return []

    def names(self):
        return {}


def look(tmp_path, engine: Meeting, *, rc: int = 0, version: str = "2.40.3", said: str = ""):
    calls: list[str] = []

    def run(argv, **options):
        verb = next(word for word in argv if word in ("version", "config"))
        calls.append(verb)
        if verb == "version":
            assert engine.tool.wait(PATIENCE), "config did not begin before the version was known"
            out, code = version, 0
        else:
            engine.tool.set()
            assert engine._broken or rc or engine.engine.wait(PATIENCE), "the engine was asked after config only"
            out, code = json.dumps(MODEL), rc
        result = process.Result(tuple(argv), code, out, said, 0.0)
        if code and options.get("check", True):
            raise process.CommandError("failed", result)
        return result

    (tmp_path / "compose.yml").write_text("services: {web: {image: 'shop:1'}}")
    source = locate("shop", str(tmp_path), (), None, ())
    request = Request("shop", str(tmp_path), provider="docker-compose", provider_path="/nowhere/docker-compose")
    world = dataclasses.replace(World.real(), run=run, environ={"HOME": "/nowhere"})
    return gather.gather(request, source, engine, Memory(), world), calls


def test_config_runs_once_in_parallel_with_version_and_engine(tmp_path):
    engine = Meeting()
    seen, calls = look(tmp_path, engine)
    assert sorted(calls) == ["config", "version"]
    assert seen.tool.version == (2, 40, 3)
    assert set(seen.model.services) == {"web", "new"}
    # What runs is inspected meanwhile, what is only declared afterwards, nothing twice.
    assert engine.inspected[-1] == "new:1"
    assert len(engine.inspected) == len(set(engine.inspected))


def test_old_tool_is_refused_even_when_its_model_came_first(tmp_path):
    engine = Meeting()
    engine.engine.set()
    with pytest.raises(ComposeError, match="version 1 is too old"):
        look(tmp_path, engine, version="1.29.2")


def test_problem_of_the_stack_is_reported_before_that_of_the_engine(tmp_path):
    with pytest.raises(BadStack, match="imag"):
        look(tmp_path, Meeting(broken=True), rc=15, said="services.web additional properties 'imag' not allowed")
    with pytest.raises(EngineError, match="the engine is gone"):
        look(tmp_path, Meeting(broken=True))
