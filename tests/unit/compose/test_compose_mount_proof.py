"""The proof of a stack in a virtual machine goes through it, and says so when it does not answer."""

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import mounts
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect


class FakeEngine(Engine):
    name, socket = "podman", "/nowhere"

    def containers(self, project=None, names=()):
        bound = [{"Type": "bind", "Source": "/Users/me/app", "Destination": "/app", "RW": True}]
        state = {"Status": "running", "Running": True, "Pid": 4711}
        return [parse_inspect({"Id": "a" * 64, "Name": "web", "State": state, "Mounts": bound})]


def world_of(run) -> World:
    return dataclasses.replace(World.real(), run=run, environ={})


def test_stopped_machine_does_not_count_as_a_proof():
    asked = []

    def run(argv, **options):
        asked.append(list(argv[:4]))
        raise process.CommandError(
            "podman failed", process.Result(tuple(argv), 125, "", "Error: vm is not running", 0.0)
        )

    request = Request("97layer", "/deploy", vm="podman", vm_name="97layerOS")
    with pytest.raises(ComposeError, match="97layer cannot be proven.*podman machine start 97layerOS"):
        mounts.prove(FakeEngine(), request, world_of(run), project="97layer")
    assert ["podman", "machine", "ssh", "97layerOS"] in asked


@pytest.mark.parametrize(("seconds_later", "waited"), [(0.1, 0.4), (0.6, 0.0), (-1.0, 0.0)])
def test_new_directory_is_waited_for_and_no_other(tmp_path, seconds_later, waited):
    (tmp_path / "old").mkdir()
    (tmp_path / "young").mkdir()
    made = (tmp_path / "young").stat().st_ctime
    slept = [0.0]
    world = dataclasses.replace(World.real(), epoch=lambda: made + seconds_later, sleep=slept.append)
    mounts.wait_out_ctime_ambiguity([str(tmp_path / "old"), str(tmp_path / "young"), str(tmp_path / "gone")], world)
    assert sum(slept) == pytest.approx(waited, abs=0.001)


def report(*places, checked=1, good=1):
    return {
        "containers": [{}],
        "summary": {"checked": checked, "ok": good},
        "label_mismatch": [],
        "data_places": [{"service": name, "fails": fails, "message": f"{name} loses data"} for name, fails in places],
    }


def test_database_without_a_mount_fails_the_first_deploy_only():
    found = report(("db", True), ("app", False))
    assert mounts.proven(found)
    assert mounts.data_failure("shop", found, set()) == (
        "stack shop runs, but its data would be lost:\n- db loses data"
    )
    assert mounts.data_failure("shop", found, {"db"}) == ""


def test_mount_that_is_not_proven_is_the_failure_whatever_the_data():
    assert not mounts.proven(report(("db", True), checked=2))
