# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that the provider ``quadlet`` installs, and the stacks that it refuses."""

from __future__ import annotations

import dataclasses
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import quadlets
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet import units as units_module
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.commands import QuadletCommands
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import digests, units_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.units import Units
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File
from ansible_collections.onebox.stack.plugins.module_utils.core.process import Result
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from compose_facts import container, driver, model_of, planned

WEB = {"image": "shop:1", "restart": "always"}
OWN = {"PODMAN_SYSTEMD_UNIT": "shop-web.service", "com.docker.compose.config-hash": "one"}


class PodmanOf(Engine):
    """Podman of a version."""

    def __init__(self, version="5.4.2"):
        self.name, self.version, self.socket = "podman", version, ""


@pytest.fixture
def calls():
    return []


@pytest.fixture
def offline():
    """Not empty while nothing starts network-online.target."""
    return []


@pytest.fixture
def world(tmp_path, monkeypatch, calls, offline):
    """A user with a systemd that only records its calls. A real one is in the Molecule scenario."""
    monkeypatch.setattr(units_module, "BOOTED", str(tmp_path))
    monkeypatch.setattr(units_module, "LINGER", str(tmp_path))
    (tmp_path / "anna").touch()

    def run(argv, **_options):
        calls.append(list(argv))
        said = "loaded" if "LoadState" in " ".join(argv) else ""
        return Result(tuple(argv), 3 if offline and "is-active" in argv else 0, said, "", 0.0)

    return World(
        **{**vars(World.real()), "run": run, "uid": 1000, "user": "root", "account": "anna", "home": str(tmp_path)}
    )


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "compose.yml"
    path.write_text("services: {web: {image: shop:1}}\n")
    return Source("shop", str(tmp_path), (str(path),), "", ())


def _lines(model, source, version=(5, 4), path="shop-web.container"):
    text = {each.path: each.content for each in units_of(model, source, "/units", version)}[path]
    return text.splitlines()


def test_unit_has_the_labels_by_which_a_service_is_found(source):
    found = _lines(model_of({"web": WEB}), source)
    for label in (
        "com.docker.compose.project=shop",
        "io.podman.compose.project=shop",
        "com.docker.compose.service=web",
        f"com.docker.compose.project.working_dir={source.project_dir}",
        f"com.docker.compose.project.config_files={source.files[0]}",
    ):
        assert f"Label={label}" in found


def test_digest_changes_with_the_unit_of_its_service_only(source):
    before = digests(model_of({"web": WEB, "db": WEB}), source, "/units", (5, 4))
    after = digests(model_of({"web": {**WEB, "environment": {"A": "1"}}, "db": WEB}), source, "/units", (5, 4))
    assert before["web"] != after["web"]
    assert before["db"] == after["db"]


@pytest.mark.parametrize(("version", "notified"), [((4, 9), False), ((5, 0), True)])
def test_dependency_is_notified_healthy_with_podman_5(source, version, notified):
    web = {**WEB, "depends_on": {"db": {"condition": "service_healthy"}}}
    model = model_of({"web": web, "db": {**WEB, "healthcheck": {"test": "true"}}})
    assert ("Notify=healthy" in _lines(model, source, version, "shop-db.container")) is notified
    # A restart of the database must not restart its dependents.
    assert "Wants=shop-db.service" in _lines(model, source, version)
    said = quadlets.warnings(model, driver("quadlet"), PodmanOf(".".join(map(str, version))))
    assert [text for text in said if "Upgrade to Podman 5.0" in text] == (
        []
        if notified
        else [
            "service db: Podman 4.9 cannot delay the services that depend on its health when the host boots. A deploy "
            "waits for it. Upgrade to Podman 5.0 for Notify=healthy."
        ]
    )


def test_container_of_a_service_that_may_end_is_kept(source):
    found = _lines(model_of({"web": {"image": "shop:1"}}), source)
    assert "RemainAfterExit=yes" in found
    assert any("--rm=false" in line for line in found if line.startswith("PodmanArgs="))


def test_label_that_the_compose_file_does_not_show_is_in_a_private_file(source, world):
    model = model_of({"web": {**WEB, "labels": {"token": "a b"}}})
    units = Units("shop", world)
    rendered = units_of(model, source, units.folder, (5, 4))
    units.write(rendered)
    kept = [each for each in rendered if "a b" in each.content]
    assert [(each.path, each.content) for each in kept] == [("shop-web.labels", "token=a b\n")]
    assert os.stat(units.path("shop-web.labels")).st_mode & 0o777 == 0o600
    assert os.stat(units.path("shop-web.container")).st_mode & 0o777 == 0o644


def test_units_are_written_once_and_removed_with_their_services(world, calls):
    units = Units("shop", world)
    rendered = [File("shop-web.container", "[Container]\n"), File("shop-net-default.network", "[Network]\n")]
    assert units.write(rendered) == ["shop-web.container", "shop-net-default.network"]
    assert units.write(rendered) == []
    assert units.differ([rendered[0]]) == ["shop-net-default.network"]
    units.remove(units.installed())
    assert os.listdir(units.folder) == []
    assert [words[:2] for words in calls] == [["systemctl", "--user"]] * 2
    assert calls[-1][2:] == ["reset-failed", "shop-net-default-network.service", "shop-web.service"]


def test_stopped_stack_keeps_no_unit_of_a_service_without_a_container(world, calls):
    units = Units("shop", world)
    units.write([File(f"shop-{name}", "[Container]\n") for name in ("web.container", "web.env", "net-default.network")])
    target = Target(PodmanOf(), "shop", None, world)
    QuadletCommands(driver("quadlet"), target, lambda source: model_of({})).stop({})
    assert os.listdir(units.folder) == ["shop-net-default.network"]
    assert ["systemctl", "--user", "stop", "shop-web.service"] in calls


def test_container_of_another_tool_is_recreated():
    made = planned(
        model_of({"web": WEB}), [container("web", HostConfig__RestartPolicy={"Name": "always"})], kind="quadlet"
    )
    assert made["web"].action == "recreate"
    assert made["web"].diff["unit"] == {"before": None, "after": "shop-web.service"}


@pytest.mark.parametrize(("digest", "action"), [("one", "keep"), ("two", "recreate")])
def test_container_of_a_changed_unit_is_recreated(digest, action):
    row = container("web")
    row.labels.update(OWN)
    assert planned(model_of({"web": WEB}), [row], kind="quadlet", units={"web": digest})["web"].action == action


def _problems(model, source, world, kind="quadlet", images=None):
    return quadlets.problems(model, source, driver(kind), PodmanOf(), images or {}, world)


def test_other_provider_is_refused_while_quadlets_are_installed(source, world):
    assert _problems(model_of({"web": WEB}), source, world, "podman-compose") == []
    Units("shop", world).write([File("shop-web.container", "[Container]\n")])
    (problem,) = _problems(model_of({"web": WEB}), source, world, "podman-compose")
    assert problem.code == "quadlets_installed"
    assert "compose_stack_state: absent" in problem.message


def test_unit_of_somebody_else_is_not_replaced(source, world):
    units = Units("shop", world)
    os.makedirs(units.folder)
    with open(units.path("shop-web.container"), "w", encoding="utf-8") as stream:
        stream.write("[Container]\n")
    assert [each.code for each in _problems(model_of({"web": WEB}), source, world)] == ["quadlet_taken"]
    assert units.installed() == {}


def test_volume_of_an_image_must_be_declared(source, world):
    images = {"shop:1": {"Config": {"Volumes": {"/var/lib/db": {}}}}}
    (problem,) = _problems(model_of({"web": WEB}), source, world, images=images)
    assert (problem.code, problem.where) == ("image_volume", "service web, /var/lib/db")
    kept = model_of({"web": {**WEB, "volumes": ["data:/var/lib/db/"]}}, volumes={"data": {}})
    assert _problems(kept, source, world, images=images) == []


def test_host_without_systemd_is_refused(source, world, monkeypatch):
    monkeypatch.setattr(units_module, "BOOTED", "/nowhere")
    (problem,) = _problems(model_of({"web": WEB}), source, world)
    assert problem.code == "no_systemd"


def test_user_whose_services_would_wait_for_the_network_is_refused(source, world, offline):
    assert _problems(model_of({"web": WEB}), source, world) == []
    offline.append(True)
    (problem,) = _problems(model_of({"web": WEB}), source, world)
    assert "systemctl add-wants multi-user.target network-online.target" in problem.message
    assert Units("shop", dataclasses.replace(world, uid=0)).missing() == ""


@pytest.mark.parametrize("name", ["shop-web.container", "shop-web.env", "shop-web.labels"])
def test_edited_file_of_a_service_is_found(source, world, name):
    web = {**WEB, "environment": {"TOKEN": "a b"}, "labels": {"token": "a b"}}
    model = model_of({"web": web, "db": WEB})
    units = Units("shop", world)
    units.write(units_of(model, source, units.folder, (5, 4)))
    assert quadlets.edited(model, driver("quadlet"), world) == set()
    with open(units.path(name), "a", encoding="utf-8") as stream:
        stream.write("# mine\n")
    assert quadlets.edited(model, driver("quadlet"), world) == {"web"}
    (said,) = quadlets.edited_warnings(model, {"web"}, world)
    assert f"{units.folder}/shop-web.container" in said
    assert "systemctl edit shop-web" in said


def test_container_of_an_edited_unit_is_recreated():
    row = container("web")
    row.labels.update(OWN)
    made = planned(model_of({"web": WEB}), [row], kind="quadlet", units={"web": "one"}, edited={"web"})
    assert (made["web"].action, made["web"].diff["unit"]["before"]) == ("recreate", "edited by hand")


def test_stack_that_no_unit_can_have_is_refused(source, world):
    (problem,) = _problems(model_of({"web": {**WEB, "scale": 2}}), source, world)
    assert problem.code == "no_quadlet"
    assert "a quadlet runs one container, not 2" in problem.message
