"""The state file on a real disk: atomic, private, and refused if it is incomplete, foreign or from the future."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import state as states
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.launcher import new_state
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known, Pending, State

NOW = 1_780_000_000.0


def make() -> State:
    state = new_state("vm", "ocid1.compartment.oc1..a", "ap-chuncheon-1", NOW)
    state.intent = "intent1"
    state.pending = Pending(token="t1", body={"availabilityDomain": "AD-1"}, sent_at=NOW, verdict="doubt", looks=2)
    state.instance = Known("ocid1.instance.oc1..i", "AD-1", NOW, True)
    state.skipped = {"AD-2": NOW + 5}
    state.last_error = {"status": 500}
    return state


def load(path: pathlib.Path, now: float = NOW, **changes: str) -> State | None:
    values = {"name": "vm", "compartment_id": "ocid1.compartment.oc1..a", "place": "ap-chuncheon-1", **changes}
    return states.load(str(path), now=now, **values)


def test_state_is_the_same_after_save_and_load(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new folder" / "vm.json"
    states.save(str(path), make())
    assert load(path) == make()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["vm.json"]


# Keys and values as the first release wrote them.
FIRST_RELEASE = """{
 "kind": "onebox.stack oci_capacity_launch", "format": 1, "name": "vm", "compartment_id": "ocid1.compartment.oc1..a",
 "place": "ap-chuncheon-1", "intent": "intent1", "created_at": 1780000000.0, "updated_at": 1780000000.0, "attempts": 3,
 "round": 1, "turn": 0, "not_before": 1780000300.0, "wait": 300.0, "why": "doubt", "throttle_level": 0,
 "network_failures": 0, "busy": 0, "settling": 0, "accepted": 2, "limit_since": null, "last_doubt_at": 1780000000.0,
 "skipped": {}, "instance": null, "discard": "", "last_error": null, "notified": {},
 "pending": {"token": "t1", "body": {}, "sent_at": 1780000000.0, "verdict": "doubt", "doubt_since": 1780000000.0,
             "looks": 2, "replays": 0}
}"""


def test_state_file_of_the_first_release_is_read_and_written_alike(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    path.write_text(FIRST_RELEASE)
    state = load(path)
    assert state is not None
    assert state.pending is not None
    assert state.pending.verdict == errors.UNKNOWN_OUTCOME
    states.save(str(path), state)
    assert json.loads(path.read_text()) == json.loads(FIRST_RELEASE)


def test_later_fields_are_optional_and_written_only_with_a_value(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    data = {**json.loads(FIRST_RELEASE), "pending": None}
    data["instance"] = {"id": "ocid1.instance.oc1..i", "availability_domain": "AD-1", "since": NOW, "running": True}
    path.write_text(json.dumps(data))
    state = load(path)
    assert state is not None
    assert state.instance == Known("ocid1.instance.oc1..i", "AD-1", NOW, True)
    states.save(str(path), state)
    assert json.loads(path.read_text()) == data
    state.instance.only_one, state.ended = True, "refused"
    states.save(str(path), state)
    assert load(path) == state
    written = json.loads(path.read_text())
    assert written == {**data, "ended": "refused", "instance": {**data["instance"], "only_one": True}}


def test_missing_file_has_no_state(tmp_path: pathlib.Path) -> None:
    assert load(tmp_path / "vm.json") is None


def test_file_cut_at_any_byte_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    states.save(str(path), make())
    whole = path.read_text()
    for length in range(0, len(whole.rstrip()) - 1, 7):
        path.write_text(whole[:length])
        with pytest.raises(OciError, match="damaged or cut off"):
            load(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "something else"}, "not a state file of this launcher"),
        ({"format": 2}, "newer than this version"),
        ({"format": "1"}, "newer than this version"),
        ({"attempts": "many"}, "damaged: attempts is 'many'"),
        ({"attempts": True}, "damaged: attempts is True"),
        ({"surprise": 1}, "unknown field surprise"),
        ({"pending": {"token": "t"}}, "missing field"),
        ({"pending": []}, "pending is not a mapping"),
        ({"name": "other"}, "its name is 'other', yours is 'vm'"),
        ({"compartment_id": "ocid1.compartment.oc1..b"}, "its compartment_id is"),
        ({"place": "eu-frankfurt-1"}, "its region or endpoint is 'eu-frankfurt-1'"),
    ],
)
def test_foreign_or_damaged_file_is_refused(tmp_path: pathlib.Path, change: dict[str, object], says: str) -> None:
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({**states.encode(make()), **change}))
    with pytest.raises(OciError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "Nothing was sent" in str(caught.value)


def test_missing_field_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    data = states.encode(make())
    del data["throttle_level"]
    path.write_text(json.dumps(data))
    with pytest.raises(OciError, match="missing field throttle_level"):
        load(path)


def test_file_from_the_future_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    state = make()
    state.updated_at = NOW + 7200
    states.save(str(path), state)
    with pytest.raises(OciError, match=r"2\.0 hours in the future.*clock"):
        load(path)
    assert load(path, now=NOW + 7000) is not None


def test_file_that_is_not_utf8_and_a_directory_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OciError, match="cannot be read"):
        load(path)
    with pytest.raises(OciError, match="cannot be read"):
        load(tmp_path)


def test_full_disk_prevents_the_request(tmp_path: pathlib.Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(OciError, match="No request is sent without the state file"):
        states.save(str(blocker / "vm.json"), make())


def test_failed_save_keeps_the_previous_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vm.json"
    states.save(str(path), make())

    def no_sync(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_sync)
    changed = make()
    changed.attempts = 99
    with pytest.raises(OciError, match="No space left"):
        states.save(str(path), changed)
    assert load(path) == make()
    assert os.listdir(tmp_path) == ["vm.json"]


HOLDER = """
import fcntl, sys, time
stream = open(sys.argv[1], "a+")
fcntl.flock(stream, fcntl.LOCK_EX)
stream.truncate(0)
stream.write('{"pid": 4711}')
stream.flush()
print("held", flush=True)
time.sleep(60)
"""


def test_second_launcher_is_refused_while_the_lock_is_held(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vm.json"
    with subprocess.Popen([sys.executable, "-c", HOLDER, f"{path}.lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        world = dataclasses.replace(World.real(), monotonic=lambda: now[0], sleep=sleep)
        with (
            pytest.raises(OciError, match=r"process 4711.*at work.*it can be resumed at any time"),
            states.locked(str(path), world, timeout=1),
        ):
            pytest.fail("two launchers at once")
        assert now == [pytest.approx(1)]
        other.kill()
        other.wait()
        with states.locked(str(path), World.real(), timeout=5):  # the system released it
            assert json.loads((tmp_path / "vm.json.lock").read_text())["pid"] == os.getpid()


def test_lock_file_that_cannot_be_created_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "vm.json.lock").mkdir()
    blocker = tmp_path / "file"
    blocker.write_text("")
    for path in (tmp_path / "vm.json", blocker / "vm.json"):
        with (
            pytest.raises(OciError, match=rf"{path.parent}.*[^.]\. Set another state_file"),
            states.locked(str(path), World.real()),
        ):
            pytest.fail("locked without a lock")


def test_clock_set_back_does_not_extend_a_wait() -> None:
    state = make()
    state.wait_for(900, NOW, "capacity")
    assert state.remaining(NOW) == 900
    assert state.remaining(NOW + 899) == 1
    assert state.remaining(NOW + 5000) == 0
    assert state.remaining(NOW - 10**9) == 900
