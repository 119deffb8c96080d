"""Links that others made on the way of a source, volumes without a name, and commands a rootless user can type."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import anonymous_volumes
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.mounts import source_links
from ansible_collections.onebox.stack.plugins.module_utils.mounts.by_group import RootlessChown, _rootless_id
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import Host
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.syscalls import Node

WORLD = World.real()
NAME = "ab" * 32


def container(*mounts: dict[str, t.Any], **more: t.Any) -> Container:
    return parse_inspect({"Id": "c", "Name": "/db", "State": {}, "Mounts": list(mounts), **more})


def bind(source: pathlib.Path, *, writable: bool = True) -> dict[str, t.Any]:
    return {"Type": "bind", "Source": str(source), "Destination": "/data", "RW": writable}


def links(*mounts: dict[str, t.Any]) -> source_links.ForeignLinks:
    return source_links.ForeignLinks(lambda: [container(*mounts)], WORLD)


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "real").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "uploads").symlink_to(tmp_path / "real")
    return tmp_path


def test_link_in_a_directory_that_a_container_can_write_to_is_found(place: pathlib.Path) -> None:
    source = str(place / "shared" / "uploads")
    real = os.path.realpath(source)
    assert links(bind(place / "shared")).find(source, real) == source
    assert links(bind(place / "shared")).find(f"{source}/below", f"{real}/below") == source
    assert links(bind(place / "shared", writable=False)).find(source, real) == ""
    assert links(bind(place / "real")).find(source, real) == ""
    # Whoever has the whole host needs no link.
    assert links(bind(pathlib.Path("/"))).find(source, real) == ""


def test_writable_directory_is_also_known_by_its_real_name(place: pathlib.Path) -> None:
    (place / "alias").symlink_to(place / "shared")
    source = str(place / "shared" / "uploads")
    assert links(bind(place / "alias")).find(source, os.path.realpath(source)) == source


def test_engine_is_queried_only_for_a_link(place: pathlib.Path) -> None:
    def fail() -> t.NoReturn:
        raise AssertionError("asked")

    plain = str(place / "real")
    assert source_links.ForeignLinks(fail, WORLD).find(plain, plain) == ""


def test_source_below_a_writable_directory_is_known_as_one(place: pathlib.Path) -> None:
    found = links(bind(place / "shared"))
    assert found.lies_in(str(place / "shared" / "x")) == str(place / "shared")
    assert found.lies_in(str(place / "shared")) == ""
    assert found.lies_in(str(place / "shared2" / "x")) == ""


def volume(source: pathlib.Path, name: str = NAME) -> dict[str, t.Any]:
    return {"Type": "volume", "Name": name, "Source": str(source), "Destination": "/data/db", "RW": True}


def test_only_volumes_without_a_name_of_the_image_are_of_the_image(tmp_path: pathlib.Path) -> None:
    image = {"Config": {"Volumes": {"/data/db/": {}}}}
    assert len(anonymous_volumes.of_image(container(volume(tmp_path)), image)) == 1
    assert anonymous_volumes.of_image(container(volume(tmp_path, "db")), image) == []
    assert anonymous_volumes.of_image(container(volume(tmp_path)), {"Config": {"Volumes": None}}) == []
    assert anonymous_volumes.of_image(container(volume(tmp_path)), None) == []


def test_content_is_what_the_image_does_not_have(tmp_path: pathlib.Path) -> None:
    layer, data = tmp_path / "layer", tmp_path / "volume"
    for folder in (layer / "data/db/sub", data / "sub"):
        folder.mkdir(parents=True)
        (folder / "shipped").write_text("of the image")
        os.utime(folder / "shipped", (1000, 1000))
    there = container(volume(data), GraphDriver={"Data": {"LowerDir": f"{tmp_path}/none:{layer}"}})
    (mount,) = there.mounts
    assert not anonymous_volumes.has_content(there, mount)
    (data / "sub" / "empty").mkdir()
    assert not anonymous_volumes.has_content(there, mount)
    (data / "sub" / "shipped").write_text("changed here")
    assert anonymous_volumes.has_content(there, mount)
    (data / "sub" / "shipped").unlink()
    (data / "row").touch()
    assert anonymous_volumes.has_content(there, mount)


@pytest.mark.parametrize(
    ("uid_map", "wanted", "inside"),
    [
        ("0 1000 1\n1 100000 65536", 1000, 0),
        ("0 1000 1\n1 100000 65536", 100998, 999),
        # keep-id: the user is 1000 in the container, too.
        ("0 100000 1000\n1000 1000 1\n1001 101000 64536", 1000, 0),
        ("0 100000 1000\n1000 1000 1\n1001 101000 64536", 100032, 33),
    ],
)
def test_ids_of_podman_unshare(uid_map: str, wanted: int, inside: int) -> None:
    assert _rootless_id(uid_map, wanted, 1000) == inside


def test_file_of_root_is_not_for_a_rootless_user_to_give_away() -> None:
    chown = RootlessChown("podman unshare chown 999:999", ((1000, 1), (100000, 65536)))
    node = Node(1, 2, 0o40755, 1000, 1000, 1, None, 3, False)
    assert chown.of(Host(node=node)) == "podman unshare chown 999:999"
    assert chown.of(Host(node=Node(1, 2, 0o40755, 0, 0, 1, None, 3, False))) == ""
    assert RootlessChown("", ()).of(Host(node=node)) == ""
