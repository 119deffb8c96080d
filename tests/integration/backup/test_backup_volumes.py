# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of real engines: found, backed up, rehearsed, damaged, and restored, also into the other engine."""

from __future__ import annotations

import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore, run, selftest
from backup_stack import restic_programs
from volume_stack import VolumeStack


def request(**more):
    return restore.Request(**more)


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def other(engine, request):
    return request.getfixturevalue("podman_engine" if engine.name == "docker" else "docker_engine")


@pytest.fixture
def make(engine, tiny_image, tmp_path):
    made = []

    def create(which=engine, name=""):
        stack = VolumeStack(which.run, which.name, tiny_image, tmp_path, name)
        made.append(stack)
        return stack

    yield create
    for stack in made:
        stack.down()


@pytest.fixture
def stack(make):
    found = make()
    found.start()
    return found


def restic(stack):
    key = stack.base / "key"
    key.write_text("secret", encoding="utf-8")
    os.chmod(key, 0o600)
    program = str(restic_programs() / "restic")
    return {"engine": "restic", "path": str(stack.base / "restic"), "password_file": str(key), "program": program}


@pytest.mark.parametrize("store", ["files", "restic"])
def test_volume_round_trip_is_equal(stack, store):
    more = {"repository": restic(stack)} if store == "restic" else {}
    before = stack.content()
    report = run.backup(stack.context(**more))
    assert report["error"] == ""
    assert report["sources"][0]["count"] == 7
    assert rehearse.rehearse(stack.context(**more))["error"] == ""
    stack.run("exec", stack.app, "sh", "-c", "cd /data; rm -rf sub; echo changed > a; echo new > later")
    plan = restore.preview(stack.context(**more), request(), "")
    assert stack.app in plan["steps"][0]
    report = restore.restore(stack.context(**more), request(), confirm=stack.name)
    assert report["error"] == ""
    assert stack.content() == before
    (aside,) = report["aside"]
    assert sorted(os.listdir(aside)) == ["-dash", "a", "b c", "hard", "later", "link"]
    assert run.backup(stack.context(**more))["error"] == ""


def test_volume_of_a_lost_host_is_created_in_the_other_engine(stack, make, other):
    before = stack.content()
    assert run.backup(stack.context())["error"] == ""
    stack.down()
    new = make(other, stack.name)
    report = restore.restore(new.context(), request(), confirm=new.name)
    assert report["error"] == ""
    assert f"created in {other.name}" in report["steps"][0]
    new.up()
    assert new.content() == before
    # compose of the new engine finds it by its labels.
    assert run.backup(new.context())["error"] == ""


def test_damage_of_a_volume_is_found(stack):
    assert run.backup(stack.context())["error"] == ""
    report = selftest.self_test(stack.context())
    assert report["error"] == ""
    assert "one altered file" in [row["damage"] for row in report["controls"] if row["caught"]]


def test_empty_volume_fails_the_first_run(make):
    stack = make()
    stack.start(fill=False)
    report = run.backup(stack.context())
    assert (report["exit_code"], report["snapshot"]) == (4, {})
    assert "source data is empty" in report["error"]


def test_volume_of_another_project_fails_the_first_run(stack):
    stack.run("volume", "create", *stack.labels(project="elsewhere"), f"{stack.name}-foreign")
    try:
        report = run.backup(
            stack.context(sources=[{"name": "d", "kind": "volume", "volume_name": f"{stack.name}-foreign"}])
        )
    finally:
        stack.run("volume", "rm", f"{stack.name}-foreign")
    assert (report["exit_code"], report["snapshot"]) == (4, {})
    assert "belongs to the project elsewhere" in report["error"]
    report = run.backup(stack.context(sources=[{"name": "d", "kind": "volume", "volume": "dat"}]))
    assert f"project {stack.name} has no volume dat" in report["error"]
    assert "its volumes are data" in report["error"]


def test_volume_declared_by_name_needs_no_labels(stack):
    name = f"{stack.name}-external"
    stack.run("volume", "create", name)
    try:
        stack.run("run", "--rm", "--network", "none", "-v", f"{name}:/d", stack.image, "sh", "-c", "echo x > /d/x")
        sources = [{"name": "d", "kind": "volume", "volume_name": name}]
        assert run.backup(stack.context(sources=sources))["error"] == ""
        assert rehearse.rehearse(stack.context(sources=sources))["error"] == ""
    finally:
        stack.run("volume", "rm", name)


def test_failed_restore_starts_the_containers_again(stack, monkeypatch):
    before = stack.content()
    assert run.backup(stack.context())["error"] == ""
    context = stack.context()
    # The set on the disk is damaged after it was fetched: the comparison finds it.
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import restore as put

    real = put.put_directory

    def spoil(*given):
        lost = real(*given)
        with open(os.path.join(given[4], "b c"), "a", encoding="utf-8") as file:
            file.write("more")
        return lost

    monkeypatch.setattr(put, "put_directory", spoil)
    report = restore.restore(context, request(), confirm=stack.name)
    assert report["exit_code"] == 8
    assert "is untouched" in report["error"]
    assert stack.content() == before
