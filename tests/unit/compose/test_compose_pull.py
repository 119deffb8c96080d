# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``pull``: present images that the registry has in another version, and a registry that does not answer."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import image_tags
from paper_engine import IMAGE, Paper

OTHER = "sha256:" + "b" * 64
ALL_DAY = ({"start": "00:00", "end": "00:00"},)


class Registry(Paper):
    """A host whose images come from a registry: reference -> id, on both sides."""

    def __init__(self, root, monkeypatch) -> None:
        super().__init__(root, monkeypatch)
        self.present = {"shop:1": IMAGE, "own:1": IMAGE}
        self.offered = {"shop:1": IMAGE}
        self.online = True
        self.pulled: list[str] = []
        monkeypatch.setattr(self.engine, "image", self._image)
        monkeypatch.setattr(self.engine, "image_id", lambda reference: self.present.get(reference, ""))

    def _image(self, reference: str) -> dict | None:
        found = reference if reference.startswith("sha256:") else self.present.get(reference)
        return {"Id": found, "Config": {}} if found else None

    def _container(self, name: str, service: dict) -> dict:
        row = super()._container(name, service)
        row["Image"] = self.present[service["image"]]
        return row

    def _pull(self, words) -> tuple[int, str, str]:
        names = [word for word in words[words.index("pull") + 1 :] if not word.startswith("-")]
        self.pulled += names
        if not self.online:
            return 1, "", "connection refused"
        for name in names:
            image = self.services[name]["image"]
            self.present[image] = self.offered[image]
        return 0, "", ""


@pytest.fixture
def host(tmp_path, monkeypatch) -> Registry:
    """A deployed stack."""
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    found = Registry(tmp_path, monkeypatch)
    found.write()
    assert not found.deploy().get("failed")
    found.pulled.clear()
    return found


def plan(result: dict) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {row["service"]: (row["action"], tuple(row["reasons"])) for row in result["plan"]}


def test_missing_pulls_no_present_image(host: Registry):
    host.offered["shop:1"] = OTHER
    result = host.deploy(pull="missing")
    assert (result["changed"], result["pulls"], host.pulled) == (False, [], [])


@pytest.mark.parametrize("policy", ["always", "newer"])
def test_pulled_version_is_in_the_plan_of_the_same_run(policy: str, host: Registry):
    host.offered["shop:1"] = OTHER
    result = host.deploy(pull=policy)
    assert plan(result) == {"web": ("recreate", ("image_changed",))}
    assert result["pulls"] == [{"service": "web", "image": "shop:1"}]
    assert [row.image_id for row in host.engine.containers()] == [OTHER]
    host.pulled.clear()
    result = host.deploy(pull=policy)
    assert (result["changed"], result["pulls"], host.pulled) == (False, [], ["web"])


def test_registry_offline_newer_uses_the_present_image_with_a_warning(host: Registry):
    host.online = False
    result = host.deploy(pull="newer")
    assert not result.get("failed")
    assert (result["changed"], result["pulls"]) == (False, [])
    (warning,) = (each for each in result["warnings"] if "service web: could not pull shop:1" in each)
    assert warning.endswith("connection refused. The present image is used.")


def test_registry_offline_always_fails_before_a_change_and_names_the_service(host: Registry):
    host.online = False
    host.services["web"]["environment"]["MORE"] = "1"
    host.write()
    before, running = host.texts(), host.running()
    with pytest.raises(ComposeError, match="service web: could not pull shop:1 .*connection refused"):
        host.deploy(pull="always")
    assert (host.texts(), host.running()) == (before, running)


def test_registry_offline_newer_fails_for_a_missing_image(host: Registry):
    host.online = False
    host.services["new"] = {"image": "new:1"}
    host.write()
    with pytest.raises(ComposeError, match="service new: could not pull new:1"):
        host.deploy(pull="newer")


def test_check_mode_and_info_return_the_images_and_pull_nothing(host: Registry):
    host.offered["shop:1"] = OTHER
    for result in (host.stack(pull="always").preview(), host.stack(pull="always").info()):
        assert result["pulls"] == [{"service": "web", "image": "shop:1"}]
        assert plan(result) == {"web": ("keep", ())}
    assert "web: pulls shop:1 before it compares" in result["text"]
    assert host.pulled == []
    assert host.stack(pull="missing").info()["pulls"] == []


def test_built_image_is_not_pulled(host: Registry):
    host.services["own"] = {"image": "own:1", "build": {"context": "."}}
    host.services["same"] = {"image": "own:1"}
    host.write()
    assert [row["service"] for row in host.stack(pull="always").info()["pulls"]] == ["web"]


def test_freeze_suspends_the_pull_unless_forced(host: Registry):
    host.offered["shop:1"] = OTHER
    result = host.deploy(pull="always", freeze=ALL_DAY)
    assert (result["changed"], host.pulled) == (False, [])
    assert any(
        each.startswith("No image was pulled, because a change freeze lasts until") for each in result["warnings"]
    )
    assert host.deploy(pull="always", freeze=ALL_DAY, force=True)["pulls"] == [{"service": "web", "image": "shop:1"}]


def test_refused_stack_pulls_nothing(host: Registry):
    host.services["web"]["ports"] = [{"target": 80, "published": "8080", "host_ip": "0.0.0.0", "protocol": "tcp"}]
    host.write()
    with pytest.raises(BadStack):
        host.deploy(pull="always")
    assert host.pulled == []
