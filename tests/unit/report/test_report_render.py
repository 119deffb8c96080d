"""The report as a person reads it: golden text, folding, and nothing that could harm a terminal."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.report.render import fit, render, size
from hypothesis import given, settings
from hypothesis import strategies as st


def service(name: str, **more: object) -> dict:
    row = {
        "service": name,
        "container": f"97layer-{name}",
        "state": "running",
        "health": "healthy",
        "ok": True,
        "exit_code": 0,
        "restarts": 0,
        "ports": [],
        "cpu_percent": 0.4,
        "memory_bytes": 27_560_000,
    }
    return {**row, **more}


def directory(path: str, kind: str) -> dict:
    return {
        "path": path,
        "class": kind,
        "owner": "root",
        "group": "root",
        "mode": "0750",
        "fstype": "ext4",
        "free_bytes": 78_289_604_608,
        "changed": True,
    }


REPORT = {
    "project": "97layer",
    "host": "demo",
    "ok": True,
    "changed": True,
    "check": False,
    "engine": {"name": "podman", "version": "4.3.1", "rootless": "", "compose": "podman-compose 1.6.0"},
    "services": [
        service("snapshot", cpu_percent=5.2),
        service("gcp-mgmt", ports=["8081->8888"], memory_bytes=11_750_000),
        service("receiver", ports=["9876->9876"], cpu_percent=None, memory_bytes=None),
    ],
    "mounts": [
        {
            "source": "/srv/97layerOS",
            "destination": "/app",
            "verdict": "ok",
            "proof": "inode",
            "tried": "write",
            "services": ["gcp-mgmt", "receiver", "snapshot"],
            "message": "",
        }
    ],
    "directories": [directory("/srv/97layerOS", "data"), directory("/srv/97layerOS/logs", "log")],
    "endpoints": [
        {"url": "http://127.0.0.1:8081/status", "ok": True, "status": 200, "ms": 4.2},
        {"url": "http://127.0.0.1:9876/status", "ok": True, "status": 200, "ms": 3.4},
    ],
    "changes": ["2 directories", "create gcp-mgmt, receiver, snapshot"],
    "notes": ["python:3.11-slim was built here: no registry answers", "no systemd here: nothing comes back by itself"],
    "steps": {"container_engine": 31.24, "data_dirs": 0.6, "compose_stack": 9.1},
    "next": ["ansible-playbook playbooks/verify.yml -l demo    prove the mounts again"],
}

GOLDEN = """\
97layer on demo: OK - 3 of 3 services healthy, 3 of 3 mounts proven, 2 of 2 endpoints answer
engine    podman 4.3.1, podman-compose 1.6.0

SERVICE   STATE    HEALTH   PORTS       CPU   MEMORY
gcp-mgmt  running  healthy  8081->8888  0.4%  11.8 MB
receiver  running  healthy  9876->9876  -     -
snapshot  running  healthy  -           5.2%  27.6 MB

MOUNT           SEEN AS  BY          PROOF
/srv/97layerOS  /app     3 services  inode, write tried

DIRECTORY            CLASS  OWNER      MODE  FREE
/srv/97layerOS       data   root:root  0750  78.3 GB ext4
/srv/97layerOS/logs  log    root:root  0750  78.3 GB ext4

ENDPOINT                      ANSWERS  IN
http://127.0.0.1:8081/status  200      4 ms
http://127.0.0.1:9876/status  200      3 ms

changed   2 directories; create gcp-mgmt, receiver, snapshot
took      container_engine 31.2 s, data_dirs 0.6 s, compose_stack 9.1 s; 40.9 s in all
note      python:3.11-slim was built here: no registry answers
          no systemd here: nothing comes back by itself
next      ansible-playbook playbooks/verify.yml -l demo    prove the mounts again
"""


def within_limits(text: str) -> None:
    lines = text.split("\n")
    assert lines.pop() == ""
    assert len(lines) <= 30
    for line in lines:
        assert len(line) <= 100
        assert all(" " <= character <= "~" for character in line), line


def test_usual_report_is_rendered():
    assert render(REPORT) == GOLDEN
    within_limits(GOLDEN)


def test_thirty_services_fold_with_what_is_wrong_on_top():
    report = copy.deepcopy(REPORT)
    report["services"] = [service(f"worker-{number:02}") for number in range(30)]
    report["services"][17].update(ok=False, health="unhealthy")
    report["services"][23].update(ok=False, state="exited", exit_code=137, health="")
    report["ok"] = False
    report["directories"] = [directory(f"/srv/data/{number}", "data") for number in range(40)]
    report["notes"] = [f"note {number}" for number in range(12)]
    text = render(report)
    within_limits(text)
    lines = text.splitlines()
    assert (
        lines[0] == "97layer on demo: NOT OK - 28 of 30 services healthy, 3 of 3 mounts proven, 2 of 2 endpoints answer"
    )
    shown = [line.split()[0] for line in lines if line.startswith("worker-")]
    assert shown[:2] == ["worker-17", "worker-23"]
    assert "exited (137)" in text
    assert f"... and {30 - len(shown)} more" in text
    assert "/srv/97layerOS  /app     3 services  inode, write tried" in text
    assert lines[-1].startswith("next")


def test_fold_of_healthy_services_says_so():
    report = {**REPORT, "services": [service(f"worker-{number:02}") for number in range(40)]}
    assert " more, all healthy\n" in render(report)


def test_broken_mount_comes_first_and_is_not_proven():
    report = copy.deepcopy(REPORT)
    report["mounts"].insert(0, {**report["mounts"][0], "services": ["gcp-mgmt"]})
    report["mounts"].append(
        {
            "source": "/srv/old",
            "destination": "/app/journal",
            "verdict": "stale_deleted",
            "proof": "inode",
            "tried": "none",
            "services": ["receiver"],
            "message": "",
        }
    )
    report["ok"] = False
    lines = render(report).splitlines()
    assert "4 of 5 mounts proven" in lines[0]
    first = lines[[number for number, line in enumerate(lines) if line.startswith("MOUNT")][0] + 1]
    assert first.split() == ["/srv/old", "/app/journal", "receiver", "stale_deleted!"]


def test_data_on_no_mount_is_in_the_headline():
    report = copy.deepcopy(REPORT)
    report["data_at_risk"] = [{"service": "db", "path": "/data", "verdict": "lost_at_down", "message": ""}]
    text = render(report)
    within_limits(text)
    assert text.startswith(
        "97layer on demo: OK - 3 of 3 services healthy, 3 of 3 mounts proven, 1 data path unmounted\n"
    )


def test_services_of_a_swarm_show_replicas_and_nodes():
    services = [
        service("web", replicas="2 of 2", nodes=["a", "b"]),
        service("db", replicas="1 of 1", nodes=["b"], health=""),
    ]
    mounts = [{**REPORT["mounts"][0], "services": ["db"], "node": "b"}]
    text = render({**REPORT, "services": services, "mounts": mounts})
    within_limits(text)
    lines = [line.split() for line in text.splitlines()]
    assert ["SERVICE", "STATE", "HEALTH", "REPLICAS", "NODES"] in lines
    assert ["web", "running", "healthy", "2", "of", "2", "a,", "b"] in lines
    assert "db on b" in text


def test_nothing_runs_yet():
    empty = {**REPORT, "services": [], "mounts": [], "directories": [], "endpoints": [], "changes": [], "notes": []}
    empty.update(ok=False, steps={}, next=[], engine=dict.fromkeys(("name", "version", "rootless", "compose"), ""))
    assert render(empty) == "97layer on demo: nothing runs\n\nchanged   nothing\n"


def test_long_note_continues_in_the_next_line():
    note = "systemd does not run this host: after a reboot " + "the host's own way to start things starts it, " * 2
    lines = render({**REPORT, "notes": [note, "short"]}).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("note"))
    assert " ".join(line[10:] for line in lines[at : at + 2]) == note.strip()
    assert lines[at + 2] == "          short"


def test_check_mode_says_what_would_be():
    assert "\nto change 2 directories; create" in render({**REPORT, "check": True})


def test_one_step_has_no_sum_and_restarts_show():
    report = {**REPORT, "steps": {"report": 0.5}, "services": [service("a", restarts=3)]}
    text = render(report)
    assert "took      report 0.5 s\n" in text
    assert "running, 3x restarted" in text


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"health": "", "evidence": "none"}, "not checked"),
        ({"health": "", "evidence": "port"}, "port listens"),
        ({"health": "", "evidence": "http"}, "URL answers"),
        ({"health": "healthy", "evidence": "healthcheck"}, "healthy"),
        ({"health": "", "evidence": "none", "state": "exited"}, "  -  "),
        ({"health": ""}, "  -  "),
    ],
)
def test_why_a_service_counts_as_healthy_is_shown(row, shown):
    text = render({**REPORT, "services": [service("a", **row)]})
    (line,) = [each for each in text.splitlines() if each.startswith("a ")]
    assert shown in line


BACKUPS = {
    "sets": 9,
    "seq": 12,
    "age_seconds": 5 * 3600 + 1800,
    "size_bytes": 12_400_000,
    "rehearsed_seconds": {"local": 2 * 86400.0, "offsite": 86400.0},
    "problems": [],
}


def test_backups_show_age_size_and_when_they_last_came_back():
    text = render({**REPORT, "backups": BACKUPS})
    within_limits(text)
    line = "backups   9 sets, newest 5 hours old, 12.4 MB; rehearsed 2 days ago, 1 day ago (off-site)"
    assert f"\n\n{line}\nchanged   2 directories" in text
    never = {**BACKUPS, "sets": 1, "age_seconds": 20, "rehearsed_seconds": {}}
    assert "backups   1 set, newest less than a minute old, 12.4 MB; never rehearsed\n" in render(
        {**REPORT, "backups": never}
    )


def test_problems_of_backups_come_first():
    none = {**BACKUPS, "age_seconds": None, "problems": ["there is no backup yet"]}
    assert "backups   PROBLEM: there is no backup yet\nchanged" in render({**REPORT, "backups": none})


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (11_750_000, "11.8 MB"),
        (999_600_000, "1 GB"),
        (123_456_789, "123 MB"),
        (78_289_604_608, "78.3 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes_have_three_digits(count, text):
    assert size(count) == text


def test_long_words_lose_their_middle():
    assert fit("/srv/" + "x" * 100 + "/journal", 20) == "/srv/xxx...x/journal"
    assert fit("x" * 20, 20) == "x" * 20
    assert fit("a\nb\x1b[31m한", 99) == "a\\nb\\x1b[31m\\ud55c"


TEXT = st.text(max_size=120)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_report_keeps_the_limits(data):
    draw = data.draw
    report = copy.deepcopy(REPORT)
    report["project"], report["host"] = draw(TEXT), draw(TEXT)
    report["services"] = [
        service(draw(TEXT), ok=draw(st.booleans()), ports=draw(st.lists(TEXT, max_size=5)), state=draw(TEXT))
        for unused in range(draw(st.integers(0, 40)))
    ]
    report["mounts"] = [
        {**REPORT["mounts"][0], "source": draw(TEXT), "destination": draw(TEXT), "services": [draw(TEXT)]}
        for unused in range(draw(st.integers(0, 20)))
    ]
    report["directories"] = [directory(draw(TEXT), draw(TEXT)) for unused in range(draw(st.integers(0, 20)))]
    report["endpoints"] = [
        {"url": draw(TEXT), "ok": True, "status": None, "ms": None} for unused in range(draw(st.integers(0, 20)))
    ]
    for key in ("changes", "notes", "next"):
        report[key] = draw(st.lists(TEXT, max_size=20))
    within_limits(render(report))


def test_machine_has_a_line_and_one_that_hangs_says_so():
    machine = {"name": "97layerOS", "provider": "libkrun", "state": "running", "healthy": True, "cpus": 5}
    machine.update(memory_mib=4768, disk_gib=93, rootful=False, podman_client="5.8.6", podman_server="5.8.2")
    report = {**copy.deepcopy(REPORT), "machine": machine}
    line = "machine   97layerOS running, libkrun, 5 CPUs, 4768 MiB, disk 93 GiB, rootless, podman 5.8.6, in it"
    assert line in render(report)
    machine.update(healthy=False, podman_server="")
    assert "97layerOS running, but does not answer" in render(report)
