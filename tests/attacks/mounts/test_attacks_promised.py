# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy refuses or writes down for the sake of data: promises, disks, links, volumes without a name."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify
from compose_lab import Lab
from shares import HangingShare

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)


def promise_of(lab: Lab) -> pathlib.Path:
    return lab.root / "state" / lab.project / "promised.json"


def refused(lab: Lab) -> dict[str, str]:
    """code -> message of the refusal; no container was touched."""
    lab.write()
    before = lab.states()
    with pytest.raises(BadStack) as caught:
        lab.stack().converge()
    assert lab.states() == before
    return {problem.code: f"{problem.where}: {problem.message}" for problem in caught.value.problems}


def proof(lab: Lab) -> dict[str, t.Any]:
    """What verify.yml and its timer find."""
    world = dataclasses.replace(World.real(), environ=lab.backend.environ)
    engine = discover.find(lab.backend.engine, lab.backend.socket, world=world)
    return verify(engine, Check(project=lab.project, promised=str(promise_of(lab))), world=world)


def mounted(lab: Lab, kind: str, place: pathlib.Path, *options: str) -> None:
    subprocess.run(["mount", "-t", kind, *options, "none", place], check=True)


@pytest.fixture
def disk(lab: Lab) -> t.Iterator[pathlib.Path]:
    place = lab.data / "disk"
    place.mkdir()
    mounted(lab, "tmpfs", place)
    yield place
    subprocess.run(["umount", "-l", place], check=False, capture_output=True)


@TWO
def test_container_made_again_without_its_mount_is_missing(lab: Lab) -> None:
    lab.services["web"] = lab.service(volumes=["${DATA}:/data"], restart="unless-stopped")
    lab.services["job"] = lab.service("true", restart="no")
    lab.deploy()
    known = json.loads(promise_of(lab).read_text())
    assert known["services"] == {"web": {"count": 1, "one_shot": False}, "job": {"count": 1, "one_shot": True}}
    assert [(row["service"], row["destination"], row["kind"]) for row in known["mounts"]] == [("web", "/data", "dir")]
    assert proof(lab)["ok"]
    (web,) = lab.containers()["web"]
    lab.backend.cli("rm", "-f", *(("-t", "0") if lab.backend.engine == "podman" else ()), web.name)
    labels = [f"--label={key}={value}" for key, value in web.labels.items()]
    lab.backend.cli("run", "-d", "--name", web.name, *labels, lab.backend.image, "sleep", "1000")
    result = proof(lab)
    assert not result["ok"]
    assert [row["destination"] for row in result["missing_mounts"]] == ["/data"]


@TWO
def test_service_without_a_container_is_missing_also_when_it_has_no_mounts(lab: Lab) -> None:
    lab.services["web"] = lab.service(volumes=["${DATA}:/data"])
    lab.services["idle"] = lab.service()
    lab.deploy()
    lab.backend.cli("stop", "-t", "0", lab.containers()["idle"][0].name)
    result = proof(lab)
    assert not result["ok"]
    assert [row["service"] for row in result["missing_mounts"]] == ["idle"]
    assert result["services"] == {"running": 1, "promised": 2}


@TWO
def test_no_op_deploy_leaves_the_promise_alone_and_taking_down_ends_it(lab: Lab) -> None:
    lab.services["web"] = lab.service(volumes=["${DATA}:/data"])
    lab.deploy()
    before = promise_of(lab).stat()
    lab.deploy()
    assert promise_of(lab).stat().st_ino == before.st_ino
    lab.deploy(state="absent")
    assert json.loads(promise_of(lab).read_text())["services"] == {}


@TWO
def test_disk_that_is_not_mounted_is_refused_before_anything_is_touched(lab: Lab, disk: pathlib.Path) -> None:
    lab.services["web"] = lab.service(volumes=["${DATA}/disk:/data"])
    lab.deploy()
    name = lab.containers()["web"][0].name
    lab.backend.cli("stop", "-t", "0", name)
    subprocess.run(["umount", "-l", disk], check=True)
    lab.backend.cli("start", name)
    (row,) = proof(lab)["containers"][0]["mounts"]
    assert (row["verdict"], row["fix"]) == ("host_mount_changed", "mount_disk")
    before = lab.states()
    assert str(promise_of(lab)) in refused(lab)["host_mount_changed"]
    assert lab.states() == before
    # The data was moved on purpose.
    promise_of(lab).unlink()
    lab.deploy()
    assert proof(lab)["ok"]


@TWO
def test_directory_in_the_place_of_a_file_is_refused(lab: Lab) -> None:
    config = lab.data / "app.conf"
    config.write_text("x")
    lab.services["web"] = lab.service(volumes=["${DATA}/app.conf:/etc/app.conf"])
    lab.deploy()
    lab.deploy(state="absent")
    config.unlink()
    config.mkdir()
    assert "was a file" in refused(lab)["type_mismatch"]


@TWO
def test_link_of_somebody_else_is_refused_and_never_restarted_on(lab: Lab) -> None:
    """The container replaced a directory below its other mount by a link to one of the host."""
    secret = lab.root / "secret"
    secret.mkdir()
    (lab.data / "uploads").mkdir()
    lab.services["web"] = lab.service(volumes=["${DATA}:/all", "${DATA}/uploads:/uploads"])
    lab.deploy()
    before = lab.states()
    name = lab.containers()["web"][0].name
    lab.backend.cli("exec", name, "sh", "-c", f'mv /all/uploads /all/.old && ln -s "{secret}" /all/uploads')
    message = refused(lab)["source_is_a_link"]
    assert str(secret) not in message
    assert lab.states() == before
    row = next(row for row in proof(lab)["containers"][0]["mounts"] if row["destination"] == "/uploads")
    assert (row["verdict"], row["fix"]) == ("source_is_a_link", "none")
    assert str(secret) not in row["message"]
    # Put back by root, it is restarted on.
    (lab.data / "uploads").unlink()
    (lab.data / ".old").rename(lab.data / "uploads")
    lab.deploy()


@TWO
def test_source_that_a_container_can_replace_is_never_restarted_on(lab: Lab, tally: t.Any) -> None:
    """The container puts directories and links there in turn: a check sees a directory, a restart might see a link."""
    secret = lab.root / "secret"
    secret.mkdir()
    (lab.data / "uploads").mkdir()
    swap = (
        f'while :; do mv /all/uploads /all/.a; mkdir /all/uploads; rmdir /all/uploads; ln -s "{secret}" /all/uploads; '
    )
    swap += "rm /all/uploads; mv /all/.a /all/uploads; done 2>/dev/null"
    lab.services["web"] = lab.service(volumes=["${DATA}:/all", "${DATA}/uploads:/uploads"])
    lab.deploy()
    before = lab.states()
    lab.backend.cli("exec", "-d", lab.containers()["web"][0].name, "sh", "-c", swap)
    restarted = 0
    rounds = 5
    for _number in range(rounds):
        lab.stack().info()
        with contextlib.suppress(BadStack):
            lab.stack().converge()
        restarted += lab.states() != before
    tally(f"{lab.backend.name}: deploys beside a container that swaps its source: restarts", rounds, restarted)


@TWO
def test_link_of_root_is_trusted(lab: Lab) -> None:
    (lab.data / "v1").mkdir()
    (lab.data / "current").symlink_to(lab.data / "v1")
    lab.services["web"] = lab.service(volumes=["${DATA}/current:/data"])
    lab.deploy()
    assert proof(lab)["ok"]


def with_volume(lab: Lab) -> str:
    """An image with VOLUME /var/lib/db."""
    tag = f"localhost/{lab.project}-volume:1"
    folder = lab.root / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {lab.backend.image}\nRUN mkdir -p /var/lib/db\nVOLUME /var/lib/db\n")
    lab.backend.cli("build", "-q", "-t", tag, str(folder))
    return tag


def row_in_volume(lab: Lab) -> str:
    name = lab.containers()["db"][0].name
    return lab.backend.cli("exec", name, "sh", "-c", "cat /var/lib/db/row 2>/dev/null || true")


@TWO
def test_volume_without_a_name_survives_a_recreate_or_the_recreate_is_refused(lab: Lab) -> None:
    lab.services["db"] = lab.service(image=with_volume(lab), environment={"A": "1"})
    lab.deploy()
    lab.services["db"]["environment"] = {"A": "2"}
    lab.deploy()  # an empty one may be lost
    name = lab.containers()["db"][0].name
    lab.backend.cli("exec", name, "sh", "-c", "echo precious > /var/lib/db/row")
    lab.services["db"]["environment"] = {"A": "3"}
    if lab.backend.docker_compose:
        lab.deploy()
    else:
        before = lab.states()
        message = refused(lab)["anonymous_volume_lost"]
        assert "cp -a" in message
        assert lab.states() == before
    assert row_in_volume(lab) == "precious"


@TWO
def test_volume_without_a_name_is_not_hidden_by_an_empty_mount(lab: Lab) -> None:
    """The mount that was forgotten is added: without the data it would start empty."""
    lab.services["db"] = lab.service(image=with_volume(lab))
    lab.deploy()
    (db,) = lab.containers()["db"]
    lab.backend.cli("exec", db.name, "sh", "-c", "echo precious > /var/lib/db/row")
    (lab.data / "db").mkdir()
    lab.services["db"]["volumes"] = ["${DATA}/db:/var/lib/db"]
    assert "cp -a" in refused(lab)["anonymous_volume_lost"]
    source = next(row.source for row in db.mounts if row.destination == "/var/lib/db")
    shutil.copy(os.path.join(source, "row"), lab.data / "db" / "row")  # what it says to type
    lab.deploy()
    assert row_in_volume(lab) == "precious"


@TWO
def test_exporters_deploy_as_everybody_writes_them(lab: Lab) -> None:
    lab.services["node-exporter"] = lab.service(
        volumes=["/proc:/host/proc:ro", "/sys:/host/sys:ro", "/:/rootfs:ro"], pid="host"
    )
    lab.services["cadvisor"] = lab.service(
        volumes=["/:/rootfs:ro", "/var/run:/var/run:rw", "/sys:/sys:ro", "/dev:/dev/host:ro"]
    )
    result = lab.deploy()
    assert result["mounts"]["ok"], result["mounts"]["table"]
    assert proof(lab)["ok"]
    assert {action for action, _reasons in lab.plan().values()} == {"keep"}


@TWO
def test_share_that_hangs_or_is_dead_is_named_in_time_and_alone(lab: Lab, tally: t.Any) -> None:
    for name in ("share", "other"):
        (lab.data / name).mkdir()
    lab.services["web"] = lab.service(volumes=["${DATA}/share:/share", "${DATA}/other:/other"])
    lab.deploy()
    bad = []
    with HangingShare(lab.data / "share") as share:
        began = time.monotonic()
        bad += ["hangs: not said"] if "umount -l" not in refused(lab).get("source_hangs", "") else []
        bad += ["hangs: plan too late"] if time.monotonic() - began > 30 else []
        began = time.monotonic()
        found = verdicts(lab)
        bad += ["hangs: proof too late"] if time.monotonic() - began > 45 else []
        bad += [f"hangs: {found}"] if found != {"/share": "unverifiable", "/other": "ok"} else []
        share.die()
        bad += ["dead: not said"] if "umount -l" not in refused(lab).get("source_dead", "") else []
        found = verdicts(lab)
        bad += [f"dead: {found}"] if found != {"/share": "host_mount_changed", "/other": "ok"} else []
    bad += [f"back: {found}"] if (found := verdicts(lab)) != {"/share": "ok", "/other": "ok"} else []
    print(bad)
    tally(f"{lab.backend.name}: looks at a share that hangs, is dead, is back: not named, or late", 7, len(bad))


def verdicts(lab: Lab) -> dict[str, str]:
    return {row["destination"]: row["verdict"] for row in proof(lab)["containers"][0]["mounts"]}
