# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets count. Keeping, restoring and forgetting them with real engines is in the integration tests."""

import dataclasses
import json
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import releases
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release, Releases
from compose_facts import IMAGE_ID, container, model_of

SET = Release(3, "2026-11-21T09:00:00Z", "", {}, {}, "docker-compose 2.40.3")


def test_release_counts_after_its_rename(tmp_path):
    half = tmp_path / "good" / "3.new"
    half.mkdir(parents=True)
    (half / "set.json").write_text(json.dumps(dataclasses.asdict(SET)))
    good = Releases(str(tmp_path), "shop")
    assert good.sets() == []
    half.rename(tmp_path / "good" / "3")
    assert good.sets() == [SET]


def test_damaged_release_is_ignored(tmp_path):
    (tmp_path / "good" / "1").mkdir(parents=True)
    (tmp_path / "good" / "1" / "set.json").write_text("{")
    assert Releases(str(tmp_path), "shop").sets() == []


def test_release_runs_with_its_files_and_images_only():
    release = dataclasses.replace(SET, files={"compose.yml": "x"}, images={"web": {"id": IMAGE_ID}})
    assert release.runs({"compose.yml": "x"}, [container("web")])
    assert release.runs({"compose.yml": "x"}, [])
    assert not release.runs({"compose.yml": "y"}, [container("web")])
    assert not release.runs({"compose.yml": "x"}, [container("web", Image="sha256:" + "5" * 64)])
    # An orphan is in no release.
    assert release.runs({"compose.yml": "x"}, [container("db")])


class Tagger:
    """Names what is there; the real ones are in the integration tests."""

    def tag(self, identity, reference):
        if identity == "gone":
            raise ComposeError(f"no image for {reference}")


def kept(tmp_path, **changes):
    """A set with one file, whose deploy directory has moved on."""
    files = tmp_path / "good" / "3" / "files"
    files.mkdir(parents=True)
    (files / "docker-compose.yml").write_text("good")
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "docker-compose.yml").write_text("bad")
    (tmp_path / "stack" / "compose.yml").write_text("bad too")
    return Releases(str(tmp_path), "shop"), dataclasses.replace(SET, files={"docker-compose.yml": "x"}, **changes)


def test_file_that_would_override_the_release_is_renamed(tmp_path):
    good, wanted = kept(tmp_path)
    good.restore(wanted, str(tmp_path / "stack"), Tagger(), FILE_NAMES)
    there = {path.name: path.read_text() for path in (tmp_path / "stack").iterdir()}
    assert there == {"docker-compose.yml": "good", "compose.yml.not-well": "bad too"}


def test_no_file_is_touched_for_a_set_whose_image_is_gone(tmp_path):
    row = {"id": "gone", "reference": "shop:1", "kept_as": "x"}
    good, wanted = kept(tmp_path, images={"web": row})
    with pytest.raises(ComposeError, match="no image for shop:1"):
        good.restore(wanted, str(tmp_path / "stack"), Tagger(), FILE_NAMES)
    assert (tmp_path / "stack" / "docker-compose.yml").read_text() == "bad"


@pytest.fixture
def stack(tmp_path):
    """A deploy directory with bound files of others and data. Returns what a walk lists."""
    for name in ("deploy/conf/app", "deploy/conf/more/deep", "deploy/conf/theirs", "media/film"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "deploy" / "linked").symlink_to(tmp_path / "media")
    (tmp_path / "deploy" / "conf" / "out").symlink_to(tmp_path / "media" / "film")
    deploy = str(tmp_path / "deploy")
    rows = ["/:/rootfs:ro", f"{tmp_path}:/all:ro", f"{tmp_path}/media:/m:ro", "./conf:/conf:ro", "./linked:/l:ro"]
    model = model_of({"agent": {"image": "a", "volumes": [*rows, f"{deploy}/conf/app:/app:ro"]}}, project_dir=deploy)
    return Source("shop", deploy, (), "", ()), model


def test_only_what_deploys_wrote_is_part_of_a_release_and_nothing_is_walked(stack, monkeypatch):
    walked = []
    monkeypatch.setattr(releases.os, "walk", lambda top: walked.append(top) or iter(()))
    found = releases.declared_files(*stack, {"conf", "conf/app", "conf/more/deep", "conf/gone", "linked"})
    assert list(found) == ["conf/app", "conf/more/deep"]
    assert walked == []


def test_without_a_list_only_trees_below_the_deploy_directory_are_walked(stack, monkeypatch):
    walked, walk = [], os.walk
    monkeypatch.setattr(releases.os, "walk", lambda top: walked.append(top) or walk(top))
    found = releases.declared_files(*stack, None)
    assert list(found) == ["conf/app", "conf/more/deep", "conf/theirs"]
    assert walked == [f"{stack[0].project_dir}/conf"]
