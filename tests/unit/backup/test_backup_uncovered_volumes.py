# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each volume that the stack writes to is in a source, or named as not backed up."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import uncovered
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import parse_volume

ANONYMOUS = "a1" * 32
LABELS = {"com.docker.compose.project": "blog", "com.docker.compose.volume": "data"}


class Volumes(Engine):
    def volumes(self, names):
        return {name: parse_volume({"Name": name, "Labels": LABELS if name == "blog_data" else {}}) for name in names}


class Silent(Engine):
    def volumes(self, names):
        raise EngineError("no answer")


def container(service, *names, image="app:1", writes=True):
    mounts = [{"Type": "volume", "Name": name, "Destination": "/data", "RW": writes} for name in names]
    labels = {"com.docker.compose.project": "blog", "com.docker.compose.service": service}
    config = {"Labels": labels, "Image": image}
    return parse_inspect({"Id": service, "Name": f"/blog-{service}-1", "Config": config, "Mounts": mounts})


def found(*containers, specs=(), engine=None):
    return uncovered.warnings(engine or Volumes(), specs, containers)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("blog_data", "volume blog_data of service app (/data) is not backed up"),
        ("blog_data", "kind: volume, volume: data"),
        ("shared", "kind: volume, volume_name: shared"),
        (ANONYMOUS, "an anonymous volume at /data, which is not backed up and is lost with its container"),
    ],
)
def test_volume_that_no_source_names_is_a_warning(name, words):
    (warning,) = found(container("app", name))
    assert words in warning


@pytest.mark.parametrize(
    "spec",
    [
        SourceSpec("d", "volume", volume="data"),
        SourceSpec("d", "volume", volume_name="blog_data"),
        SourceSpec("d", "redis", service="app"),
        SourceSpec("d", "redis", container="blog-app-1"),
    ],
)
def test_volume_of_a_source_causes_no_warning(spec):
    assert found(container("app", "blog_data"), specs=[spec]) == []


def test_source_of_another_volume_covers_nothing():
    assert len(found(container("app", "blog_data"), specs=[SourceSpec("d", "volume", volume="dat")])) == 1


def test_volume_without_writers_and_those_of_databases_are_left_to_other_checks():
    assert found(container("app", "blog_data", writes=False), container("db", ANONYMOUS, image="postgres:17")) == []


def test_volume_of_two_services_is_one_warning():
    assert len(found(container("app", "blog_data"), container("worker", "blog_data"))) == 1


def test_engine_that_does_not_answer_is_a_warning_and_no_error():
    assert found(container("app", "x"), engine=Silent()) == [
        "could not check for volumes that no source names: no answer"
    ]
