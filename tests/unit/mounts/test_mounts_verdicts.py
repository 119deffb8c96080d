"""The pure decisions: properties of all facts, and cases that no engine can provoke."""

from __future__ import annotations

import errno
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Row
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import Below, Host, Inside
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.access import Outcome
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Identity
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.syscalls import Node
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import FIXES, VERDICTS, Declared, Finding, Times
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.access import judge
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.decide import decide
from hypothesis import given, settings
from hypothesis import strategies as st

ROW = Row(30, 1, "8:1", "/srv/data", "/data", ("rw",), (), "ext4", "/dev/sda1", ("rw",), False)
HOST_ROW = replace(ROW, mount_id=20, root="/", point="/")
NODE = Node(2049, 77, 0o040700, 0, 0, 2, 100.0, 30, True)
DECLARED = Declared("docker", "web", "bind", "/srv/data", "/data", True)
HOST = Host(node=NODE, row=HOST_ROW, real="/srv/data", inner="/srv/data")
INSIDE = Inside(node=NODE, row=ROW, stack=1, listed=True)
TIMES = Times(created=1000.0, finished=0.0, started=1001.0)

names = st.text(min_size=1, max_size=12).map(lambda text: "/" + text.replace("\0", ""))
errors = st.sampled_from([0, 0, 0, errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EIO])
nodes = st.builds(
    Node,
    device=st.integers(1, 2),
    inode=st.integers(1, 2),
    mode=st.sampled_from([0o040755, 0o040700, 0o100644, 0o140755, 0o010644, 0o020600, 0o120777]),
    uid=st.integers(0, 1),
    gid=st.integers(0, 1),
    links=st.integers(0, 2),
    birth=st.one_of(st.none(), st.floats(990, 1010)),
    mount_id=st.just(30),
    mount_root=st.booleans(),
)
rows = st.builds(
    replace,
    st.just(ROW),
    device=st.sampled_from(["8:1", "8:2"]),
    root=names,
    point=names,
    options=st.sampled_from([("rw",), ("ro", "nosuid")]),
    deleted=st.booleans(),
)
relative = st.sampled_from(["/a", "/b"])
devices = st.sampled_from(["8:1", "8:2"])
belows = st.lists(
    st.builds(Below, relative, devices, st.just("/"), st.booleans(), st.sampled_from(["ext4", "tmpfs"])), max_size=2
).map(tuple)
hosts = st.builds(
    Host,
    error=errors,
    node=st.one_of(st.none(), nodes),
    row=st.one_of(st.none(), rows),
    real=names,
    inner=names,
    link_birth=st.sampled_from([0.0, 900.0, 1100.0]),
    submounts=belows,
    absent_disk=st.sampled_from(["", "/mnt/disk"]),
).map(lambda host: replace(host, node=None, row=None) if host.error else host)
insides = st.builds(
    Inside,
    error=errors,
    node=st.one_of(st.none(), nodes),
    row=st.one_of(st.none(), rows),
    stack=st.integers(0, 3),
    listed=st.booleans(),
    on_host=st.lists(names, max_size=2).map(tuple),
    device_known=st.booleans(),
    submounts=belows,
    writable_below=st.lists(names, max_size=3).map(tuple),
).map(lambda inside: replace(inside, node=None, row=None) if inside.error else inside)
declarations = st.builds(
    Declared,
    engine=st.sampled_from(["docker", "podman"]),
    container=st.text(min_size=1, max_size=8),
    type=st.sampled_from(["bind", "volume"]),
    source=names,
    destination=names,
    read_write=st.booleans(),
    kind=st.sampled_from(["", "file", "dir"]),
    wanted_source=st.sampled_from(["", "/srv/wanted"]),
    wanted_read_write=st.sampled_from([None, True, False]),
    recursive=st.booleans(),
)
times = st.builds(
    Times, created=st.floats(995, 1005), finished=st.sampled_from([0.0, 1000.5]), started=st.sampled_from([0.0, 1001.0])
)


def is_sound(finding: Finding) -> None:
    assert finding.verdict in VERDICTS
    assert finding.fix in FIXES
    assert len(finding.message) > 10
    assert finding.message.isprintable()
    assert finding.ok == (finding.verdict == "ok")


@settings(max_examples=600)
@given(declarations, hosts, insides, times)
def test_every_combination_of_facts_has_a_verdict_and_only_the_same_object_is_ok(
    declared: Declared, host: Host, inside: Inside, when: Times
) -> None:
    finding = decide(declared, host, inside, when)
    is_sound(finding)
    same = host.node is not None and inside.node is not None and host.node.identity == inside.node.identity
    if finding.ok:
        assert same
        assert not host.error
        assert not inside.error
        assert not host.absent_disk
        assert inside.row is not None
        assert inside.row.read_only != declared.read_write
    if {host.error, inside.error} & {errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP}:
        assert finding.verdict == "unverifiable"


@given(
    declarations,
    hosts,
    st.builds(Identity, st.integers(0, 9), st.integers(0, 9), st.just((1,)), st.integers(0, 9), st.booleans()),
    st.builds(
        Outcome,
        error=st.sampled_from(sorted(errno.errorcode) + [0]),
        step=st.sampled_from(["path", "read", "write", "self"]),
        place=names,
    ),
    st.booleans(),
)
def test_every_answer_of_the_probe_has_a_verdict(
    declared: Declared, host: Host, identity: Identity, outcome: Outcome, read_only: bool
) -> None:
    finding = judge(declared, host, identity, outcome, read_only)
    is_sound(finding)
    assert finding.ok == (outcome.error == 0)
    if outcome.error and outcome.step == "self":
        assert finding.verdict == "unverifiable"


def verdict(
    declared: Declared = DECLARED, host: Host = HOST, inside: Inside = INSIDE, when: Times = TIMES
) -> tuple[str, str]:
    finding = decide(declared, host, inside, when)
    return finding.verdict, finding.fix


def test_plain_mount_is_ok() -> None:
    assert verdict() == ("ok", "none")


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (Inside(error=errno.ENOENT, listed=True), ("shadowed", "restart")),
        (Inside(error=errno.ENOENT), ("unmounted_inside", "restart")),
        (Inside(error=errno.EACCES), ("unverifiable", "none")),
        (Inside(error=errno.ELOOP), ("unverifiable", "none")),
        (replace(INSIDE, row=None, node=replace(NODE, mount_id=0)), ("unverifiable", "none")),  # before Linux 5.8
        (replace(INSIDE, row=None), ("unmounted_inside", "restart")),  # of a mount above the root directory
    ],
)
def test_destination_that_cannot_be_seen(inside: Inside, expected: tuple[str, str]) -> None:
    assert verdict(inside=inside) == expected


OTHER = replace(NODE, inode=78)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("stale_renamed", "restart")),
        ({"row": replace(ROW, deleted=True)}, ("stale_deleted", "restart")),
        ({"node": replace(OTHER, links=0)}, ("stale_deleted", "restart")),
        ({"node": replace(OTHER, mode=0o100644)}, ("stale_file", "restart")),
        ({"stack": 2}, ("shadowed", "restart")),
        ({"node": replace(OTHER, mount_root=False)}, ("shadowed", "restart")),
        ({"node": replace(OTHER, mount_root=False), "listed": False}, ("unmounted_inside", "restart")),
        ({"on_host": ("/srv/data",)}, ("host_mount_changed", "restart")),
        ({"row": replace(ROW, device="8:9"), "device_known": False}, ("host_mount_changed", "mount_disk")),
        ({"row": replace(ROW, device="8:9"), "on_host": ("/mnt/x",)}, ("wrong_source", "recreate")),
    ],
)
def test_another_object_inside(change: dict[str, t.Any], expected: tuple[str, str]) -> None:
    assert verdict(inside=replace(INSIDE, node=change.pop("node", OTHER), **change)) == expected


def test_link_turned_before_the_start_is_not_to_blame() -> None:
    inside = replace(INSIDE, node=OTHER)
    assert verdict(host=replace(HOST, link_birth=900.0), inside=inside)[0] == "stale_renamed"
    assert verdict(host=replace(HOST, link_birth=1100.0), inside=inside)[0] == "symlink_retargeted"


@pytest.mark.parametrize(
    ("engine", "birth", "when", "made"),
    [
        ("docker", 1000.9, TIMES, True),  # at the first start
        ("docker", 999.0, TIMES, False),  # before the container was created
        ("docker", 1002.0, TIMES, False),  # after the start: created by another process
        ("docker", 1200.0, Times(1000.0, 1199.0, 1200.5), True),  # at a later start
        ("docker", 1198.0, Times(1000.0, 1199.0, 1200.5), False),  # manually, before the restart
        ("docker", 1100.0, Times(1000.0, 0.0, 1200.5), False),  # manually, long before the first start
        ("podman", 999.99, TIMES, True),  # while its API handled the request
        ("podman", 1000.9, TIMES, False),
        ("podman", 999.0, TIMES, False),
    ],
)
def test_who_made_the_source(engine: str, birth: float, when: Times, made: bool) -> None:
    node = replace(NODE, mode=0o040755, birth=birth)
    facts = {"host": replace(HOST, node=node), "inside": replace(INSIDE, node=node), "when": when}
    declared = replace(DECLARED, engine=engine)
    assert (verdict(declared, **facts)[0] == "auto_created") == made
    as_file = replace(declared, destination="/etc/app.conf")
    assert (verdict(as_file, **facts)[0] == "type_mismatch") == made
    assert verdict(replace(declared, refuses_missing=True), **facts)[0] == "ok"
    assert verdict(replace(declared, type="volume"), **facts)[0] == "ok"


def test_rootless_podman_makes_the_source_its_users_and_docker_roots() -> None:
    for engine, birth, verdict_of in (("podman", 999.99, "auto_created"), ("docker", 1000.9, "ok")):
        node = replace(NODE, mode=0o040755, birth=birth, uid=1000)
        declared = replace(DECLARED, engine=engine)
        assert verdict(declared, replace(HOST, node=node), replace(INSIDE, node=node))[0] == verdict_of


def test_directory_named_like_a_drop_in_is_not_a_file() -> None:
    node = replace(NODE, mode=0o040755, birth=1000.9)
    declared = replace(DECLARED, destination="/etc/conf.d")
    assert verdict(declared, replace(HOST, node=node), replace(INSIDE, node=node))[0] == "auto_created"


def test_mounts_below_are_compared() -> None:
    disk = Below("/sub", "8:2", "/", False, "ext4")
    host = replace(HOST, submounts=(disk,))
    assert verdict(host=host) == ("submount_missing", "restart")
    assert verdict(host=host, inside=replace(INSIDE, submounts=(disk,))) == ("ok", "none")
    closed = replace(INSIDE, submounts=(replace(disk, read_only=True),))
    assert verdict(host=host, inside=closed) == ("ro_rw_mismatch", "restart")
    # Omitted on request, or covered by another mount of the container on purpose.
    assert verdict(replace(DECLARED, recursive=False), host=host) == ("ok", "none")
    assert verdict(replace(DECLARED, others=frozenset({"/data/sub"})), host=host) == ("ok", "none")


def test_mounts_below_that_only_the_container_has() -> None:
    memory = Below("/sub", "0:99", "/", False, "tmpfs")
    assert verdict(inside=replace(INSIDE, submounts=(memory,))) == ("shadowed", "restart")
    own = Below("/sub", ROW.device, "/other", False, "ext4")
    assert verdict(inside=replace(INSIDE, submounts=(own,))) == ("shadowed", "restart")
    disk = Below("/sub", "8:2", "/", False, "ext4")
    assert verdict(inside=replace(INSIDE, submounts=(disk,))) == ("host_mount_changed", "mount_disk")
    # Two on one spot, of which the host has one.
    both = replace(INSIDE, submounts=(disk, memory))
    assert verdict(host=replace(HOST, submounts=(disk,)), inside=both) == ("shadowed", "restart")
    # Declared, or below a declared one; a mount that is declared above says nothing about it.
    for other, expected in (("/data/sub", "ok"), ("/data/su", "shadowed"), ("/", "shadowed"), ("/data", "shadowed")):
        declared = replace(DECLARED, others=frozenset({other}))
        assert verdict(declared, inside=replace(INSIDE, submounts=(memory,)))[0] == expected


def test_mount_that_forbids_programs_since_the_start() -> None:
    inside = replace(INSIDE, row=replace(ROW, options=("rw", "noexec")))
    assert verdict(inside=inside) == ("ro_rw_mismatch", "restart")
    assert verdict(replace(DECLARED, no_exec=True), inside=inside) == ("ok", "none")
    assert verdict(host=replace(HOST, row=inside.row), inside=inside) == ("ok", "none")


def test_quota_differs_from_a_full_disk() -> None:
    identity = Identity(1000, 1000, (), 0, False)
    full = judge(DECLARED, HOST, identity, Outcome(errno.ENOSPC, "write"), False)
    quota = judge(DECLARED, HOST, identity, Outcome(errno.EDQUOT, "write"), False)
    assert full.verdict == quota.verdict == "no_space"
    assert "quota" in quota.message
    assert "df -i" in full.message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/srv/data", "/srv/data"),
        ("/srv/my data", "'/srv/my data'"),
        ("/srv/ü", "/srv/ü"),
        ("/a\nb", "'/a\\nb'"),
        ("/a\x1b[31m", "'/a\\x1b[31m'"),
        ("/bad\udcff", "'/bad\\udcff'"),
        ("/a'b", "'/a'\"'\"'b'"),
    ],
)
def test_paths_are_shown_so_that_they_can_be_pasted_and_do_no_harm(path: str, text: str) -> None:
    assert shown(path) == text
