# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to omnivibe, once more: provoked with the real stack, named by the plan, fixed by the next deploy."""

from __future__ import annotations

import pytest
from onebox_testbed import ports
from real_stack import RealStack, ask, eventually

APPS = ("api", "worker", "beat")
ALL = {"api", "worker", "beat", "redis"}


@pytest.fixture
def omnivibe(make_lab, standin_images) -> RealStack:
    """The stack, declared and not yet deployed."""
    stack = make_lab("docker+2.40", RealStack)
    stack.take(
        "omnivibe",
        {"redis": standin_images["redis"]},
        OMNIVIBE_REDIS_DIR=stack.directory("redis", 999),
        OMNIVIBE_OUTPUTS_DIR=stack.directory("outputs", 0),
        OMNIVIBE_PORT=str(ports.claim()),
    )
    # The image has the name of the stack: two test stacks must not share it.
    for file in stack.folder.glob("compose*.yml"):
        file.write_text(file.read_text().replace("omnivibe-backend", f"{stack.project}-backend"))
    return stack


def releases(stack: RealStack) -> dict:
    return ask(stack.variables["OMNIVIBE_PORT"], "/releases")


def release(stack: RealStack, number: str, below: str = "") -> None:
    place = (stack.folder / "backend" if not below else stack.root / below) / "app" / "__init__.py"
    place.write_text(place.read_text().rpartition("RELEASE =")[0] + f'RELEASE = "{number}"\n')


def test_changed_code_does_not_arrive_by_a_restart_and_does_by_a_deploy(omnivibe):
    omnivibe.deploy()
    eventually(lambda: releases(omnivibe), dict.fromkeys(APPS, "1"))
    redis = omnivibe.ids()["redis"]

    release(omnivibe, "2")
    for service in APPS:
        omnivibe.backend.cli("restart", omnivibe.ids()[service])
    eventually(lambda: releases(omnivibe), dict.fromkeys(APPS, "1"))

    rows = omnivibe.rows()
    assert rows["api"] == ("rebuild", ("build_context_changed",))
    # They run the image that the api's build makes.
    assert {rows[name][0] for name in ("worker", "beat")} == {"recreate"}
    assert {rows[name][1] for name in ("worker", "beat")} == {("image_changed",)}
    assert rows["redis"] == ("keep", ())

    omnivibe.deploy()
    eventually(lambda: releases(omnivibe), dict.fromkeys(APPS, "2"))
    assert omnivibe.ids()["redis"] == redis


def test_change_of_an_ignored_file_rebuilds_nothing(omnivibe):
    omnivibe.deploy()
    before = omnivibe.states()
    for clutter in ("app/__pycache__/main.cpython-311.pyc", "app/._main.py", "app/.DS_Store", "outputs/render.mp4"):
        place = omnivibe.folder / "backend" / clutter
        place.parent.mkdir(exist_ok=True)
        place.write_text("clutter")
    assert set(omnivibe.rows().values()) == {("keep", ())}
    assert omnivibe.deploy()["changed"] is False
    assert omnivibe.states() == before


def test_job_survives_the_deploy(omnivibe):
    omnivibe.deploy()
    port = omnivibe.variables["OMNIVIBE_PORT"]
    omnivibe.backend.cli("stop", "-t", "5", omnivibe.ids()["worker"])
    job = ask(port, "/jobs", b"rendered later")["id"]
    assert ask(port, f"/jobs/{job}") == {}
    assert omnivibe.rows()["worker"] == ("start", ("not_running",))
    omnivibe.deploy()
    eventually(lambda: ask(port, f"/jobs/{job}"), {"result": "RENDERED LATER (release 1)"})


def test_mounted_code_costs_a_restart(omnivibe):
    checkout = omnivibe.root / "Extreme SSD"
    (omnivibe.folder / "backend").rename(checkout)
    omnivibe.variables["OMNIVIBE_CODE_DIR"] = str(checkout)
    omnivibe.files.insert(1, "compose.dev.yml")
    omnivibe.deploy()
    eventually(lambda: releases(omnivibe), dict.fromkeys(APPS, "1"))
    before = omnivibe.ids()
    release(omnivibe, "2", "Extreme SSD")
    rows = omnivibe.rows()
    assert {rows[name] for name in APPS} == {("restart", ("code_bind_changed",))}
    assert rows["redis"] == ("keep", ())
    omnivibe.deploy()
    assert omnivibe.ids() == before
    eventually(lambda: releases(omnivibe), dict.fromkeys(APPS, "2"))
