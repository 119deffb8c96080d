# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of images that no registry has: one for each image id, and none for an image of a registry."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.published import computed
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import image_names

ID = "sha256:" + "2b66fd261ee5" + "0" * 52


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("shop-web", "localhost/onebox/shop/shop-web:2b66fd261ee5"),
        ("shop-web:latest", "localhost/onebox/shop/shop-web:2b66fd261ee5"),
        ("localhost:5000/team/web:3", "localhost/onebox/shop/web:2b66fd261ee5"),
    ],
)
def test_local_image_is_named_by_its_id(image: str, name: str):
    found = image_names.names("shop", {image: {"Id": ID, "RepoDigests": []}})
    assert found == {image: (name, ID)}
    assert image_names.is_of("shop", name)
    assert not image_names.is_of("sho", name)


@pytest.mark.parametrize(
    ("image", "body"),
    [
        ("docker.io/library/redis:7", {"Id": ID, "RepoDigests": ["redis@sha256:aa"]}),
        ("redis@sha256:aa", {"Id": ID, "RepoDigests": ["redis@sha256:aa"]}),
        (ID, {"Id": ID}),
        ("missing:1", None),
    ],
)
def test_other_image_keeps_its_name(image: str, body: dict | None):
    assert image_names.names("shop", {image: body}) == {}


def test_name_of_a_release_is_not_one_of_a_node():
    images = {"web": {"id": ID, "reference": "shop-web", "kept_as": "localhost/onebox/shop/web:good-1"}}
    release = Release(1, "now", "", images, {}, "docker stack")
    assert image_names.of_releases("shop", [release]) == {"localhost/onebox/shop/shop-web:2b66fd261ee5"}
    assert not image_names.is_of("shop", "localhost/onebox/shop/web:good-1")


def test_image_of_containerd_is_local_until_a_registry_has_it():
    known = {"team/web:3": {"Id": ID, "RepoDigests": [f"team/web@{ID}"]}}
    assert image_names.names("shop", known) == {"team/web:3": ("localhost/onebox/shop/web:2b66fd261ee5", ID)}
    assert computed(known) == {"team/web:3": f"team/web:3@{ID}"}
    assert image_names.names("shop", known, {f"team/web:3@{ID}"}) == {}
