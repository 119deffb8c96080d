"""Which processes of a container count, and how they are found."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import groups
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.control_groups import ControlGroups
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.groups import Member, View
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Identity, Process

VIEW = View("mnt:[1]", (1, 2, 3))
ROOT = Identity(0, 0, (), 0xFF, False)
USER = Identity(1000, 1000, (), 0, False)


def member(pid: int, parent: int, identity: Identity = ROOT, **change: t.Any) -> Member:
    made = Member(pid, parent, "app", False, False, identity, "user:[1]", VIEW)
    return dataclasses.replace(made, **change)


def counted(*members: Member, own: bool = True) -> list[list[int]]:
    return [[one.pid for one in group.members] for group in groups.counted(members, own_pid_namespace=own)]


def test_main_process_alone_counts_even_as_an_init() -> None:
    assert counted(member(10, 1)) == [[10]]
    assert counted(member(10, 1, starter=True)) == [[10]]


def test_init_and_shell_with_a_child_do_not_count() -> None:
    init, shell, app = member(10, 1, starter=True), member(11, 10, starter=True), member(12, 11, USER)
    assert counted(init, shell, app) == [[12]]


def test_shell_answers_for_its_commands_that_end_before_they_are_tried() -> None:
    shell, command, other = member(10, 1, starter=True), member(11, 10), member(12, 10, USER)
    made = groups.counted([shell, command, other], own_pid_namespace=True)
    assert [[one.pid for one in group.waiting] for group in made] == [[10], []]
    assert [[one.pid for one in group.members] for group in made] == [[11], [12]]


def test_master_and_workers_count_by_identity() -> None:
    workers = [member(pid, 10, USER) for pid in (11, 12, 13)]
    assert counted(member(10, 1), *workers) == [[10], [11, 12, 13]]


@pytest.mark.parametrize(
    "change",
    [
        {"view": View("mnt:[2]", (1, 2, 3))},
        {"view": View("mnt:[1]", (1, 9, 3))},
        {"user_namespace": "user:[2]"},
        {"identity": dataclasses.replace(ROOT, capabilities=1)},
        {"identity": dataclasses.replace(ROOT, groups=(5,))},
        {"identity": dataclasses.replace(ROOT, gid=5)},
    ],
)
def test_each_thing_that_decides_makes_a_group_of_its_own(change: dict[str, t.Any]) -> None:
    assert counted(member(10, 1), member(11, 10, **change)) == [[10], [11]]


def test_process_brought_in_by_an_engine_does_not_count_and_any_other_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_is_engine", lambda pid: pid == 900)
    main, looker, unknown = member(10, 1), member(11, 900, USER), member(12, 901, USER)
    assert counted(main, looker) == [[10]]
    assert counted(main, unknown) == [[10], [12]]
    # Where the container has no process namespace of its own, an orphan has the engine for a parent, too.
    assert counted(main, looker, own=False) == [[10], [11]]


def test_group_is_stopped_when_all_of_it_are() -> None:
    one, other = member(10, 1, stopped=True), member(11, 10)
    (group,) = groups.counted([one, other], own_pid_namespace=True)
    assert not group.stopped
    (group,) = groups.counted([one, dataclasses.replace(other, stopped=True)], own_pid_namespace=True)
    assert group.stopped


ID = "ab" * 32
SLEEP = "import time; print(1, flush=True); time.sleep(100)"


@pytest.fixture
def sleeper() -> t.Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


class _Known(Process):
    """A process with given control groups."""

    text = ""

    def read(self, name: str) -> bytes:
        return self.text.encode() if name == "cgroup" else super().read(name)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"0::/system.slice/docker-{ID}.scope", "cgroup2"),
        (f"0::/system.slice/docker-{ID}.scope/init", "cgroup2"),
        (f"1:name=systemd:/docker/{ID}", "cgroup"),
    ],
)
def test_processes_are_found_in_groups_below_the_containers_own(
    tmp_path: t.Any, sleeper: int, line: str, kind: str
) -> None:
    own = tmp_path / (f"docker/{ID}" if kind == "cgroup" else f"system.slice/docker-{ID}.scope")
    for name, pids in (("", []), ("init", [sleeper]), ("worker", [71]), (f"docker/{'cd' * 32}", [72])):
        (own / name).mkdir(parents=True, exist_ok=True)
        (own / name / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    options = "rw,name=systemd" if kind == "cgroup" else "rw"
    table = Table(f"30 1 0:30 / {tmp_path} rw - {kind} none {options}")
    with _Known(sleeper) as process:
        process.text = line + "\n"
        # 72 is of a container inside of this one.
        assert ControlGroups(table).members(process, ID) == [sleeper, 71]


def test_without_a_hierarchy_children_are_found_by_proc(sleeper: int) -> None:
    with Process(os.getpid()) as process:
        assert sleeper in ControlGroups(Table("")).members(process, ID)
