"""What goes into a report, and where the figures of a container come from."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.report import collect, store, usage

NOW = datetime.datetime(2026, 11, 21, 10, 0, 50, tzinfo=datetime.timezone.utc)
ID = "08da43588cbf75584081c2c400f093533cbfd7a8ad3f5edac135d2daa20937cf"

# podman 4.3.1, rootful, cgroup v1: `podman stats --no-stream --format json`.
PODMAN = """[{"id": "08da43588cbf", "name": "obx-97layer-gcp-mgmt", "cpu_time": "159.742453ms", "cpu_percent": "5.45%",
 "avg_cpu": "5.45%", "mem_usage": "11.75MB / 25.28GB", "mem_percent": "0.05%", "net_io": "1.411kB / 2.493kB",
 "block_io": "0B / 0B", "pids": "1"}]"""
# docker 20.10.24 where the kernel has both cgroup versions: nothing came back from containerd.
DOCKER_NOTHING = {
    "read": "0001-01-01T00:00:00Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 0}, "throttling_data": {"periods": 0}},
    "memory_stats": {},
}


def container(**more: object) -> Container:
    state = {"Status": "running", "Pid": 77, "StartedAt": "2026-11-21T10:00:40.767863017Z", **more}
    return parse_inspect({"Id": ID, "Name": "/97layer-gcp-mgmt", "State": state})


def write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_usage_from_cgroup_v1(tmp_path):
    write(tmp_path / "proc/77/cgroup", f"4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n0::/docker/{ID}\n")
    write(tmp_path / f"cg/memory/docker/{ID}/memory.usage_in_bytes", "585728\n")
    write(tmp_path / f"cg/memory/docker/{ID}/memory.stat", "inactive_file 7\ntotal_inactive_file 85728\n")
    write(tmp_path / f"cg/cpuacct/docker/{ID}/cpuacct.usage", "226698730\n")
    found = usage.kernel(container(), NOW, str(tmp_path / "proc"), str(tmp_path / "cg"))
    assert found.memory_bytes == 500000
    assert found.cpu_percent == 2.5  # 0.227 s in 9.23 s


@pytest.mark.parametrize("below", ["", "/container"])
def test_usage_from_cgroup_v2(tmp_path, below):
    group = f"/machine.slice/libpod-{ID}.scope"
    write(tmp_path / "proc/77/cgroup", f"0::{group}{below}\n")
    write(tmp_path / f"cg{group}/memory.current", "11000000\n")
    write(tmp_path / f"cg{group}/memory.stat", "anon 5\ninactive_file 1000000\n")
    write(tmp_path / f"cg{group}/cpu.stat", "usage_usec 923000\nuser_usec 1\n")
    found = usage.kernel(container(), NOW, str(tmp_path / "proc"), str(tmp_path / "cg"))
    assert found == (10.0, 10_000_000)


def test_process_of_that_number_that_is_not_the_container(tmp_path):
    write(tmp_path / "proc/77/cgroup", "0::/user.slice/session-1.scope\n")
    assert usage.kernel(container(), NOW, str(tmp_path / "proc"), str(tmp_path / "cg")) == usage.NOTHING


class Podman(Engine):
    name = "podman"


def test_podman_is_queried_in_another_kernel(tmp_path):
    asked = []

    def run(argv, **more):
        asked.append(argv)
        return process.Result(tuple(argv), 0, PODMAN, "", 0.1)

    world = dataclasses.replace(World.real(), run=run)
    found, why = usage.usage(Podman(), [container()], NOW, world, str(tmp_path), str(tmp_path))
    assert (found, why) == ({ID: (5.5, 11_750_000)}, "")
    assert asked == [["podman", "stats", "--no-stream", "--format", "json", ID]]


def test_failing_podman_is_a_note_and_a_dash(tmp_path):
    def run(argv, **more):
        raise process.CommandTimeout("podman stats did not finish within 20 s", process.Result((), -1, "", "", 20))

    world = dataclasses.replace(World.real(), run=run)
    found, why = usage.usage(Podman(), [container()], NOW, world, str(tmp_path), str(tmp_path))
    assert found == {ID: usage.NOTHING}
    assert why == "CPU and memory are not known: podman stats did not finish within 20 s"


def test_docker_that_has_nothing_says_nothing():
    assert usage.docker(DOCKER_NOTHING, "2026-11-21T10:00:40Z", NOW) == usage.NOTHING


def test_docker_figures_leave_the_cache_out():
    """Shape from Docker's API documentation, v1.41: no daemon at hand gives figures."""
    answer = {
        "read": "2026-11-21T10:00:50Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000}},
        "memory_stats": {"usage": 30_000_000, "stats": {"inactive_file": 2_000_000}},
    }
    assert usage.docker(answer, "2026-11-21T10:00:40Z", NOW) == (10.0, 28_000_000)


def test_stopped_container_is_not_queried(tmp_path):
    stopped = container(Status="exited", Pid=0)
    assert usage.usage(Podman(), [stopped], NOW, World.real(), str(tmp_path), str(tmp_path)) == ({}, "")


def gather(results: dict, containers: list | None = None, **more: object) -> dict:
    return collect.collect("p", "h", collect.Run(results, **more), collect.Running(NOW, containers or []))


def test_report_without_any_role_is_empty_and_not_ok():
    report = gather({})
    assert (report["ok"], report["changed"], report["services"], report["changes"]) == (False, False, [], [])


def replica(service: str, node: str, **more: object) -> dict:
    row = {"service": service, "container": "c", "node": node, "state": "running", "health": "", "ok": True}
    return {**row, "evidence": "none", "exit_code": 0, **more}


def proof(service: str, verdict: str = "ok") -> dict:
    mount = {"source": "/srv", "destination": "/data", "verdict": verdict, "proof": "inode", "message": ""}
    return {"ok": verdict == "ok", "containers": [{"service": service, "mounts": [mount]}], "data_places": []}


def test_services_of_a_swarm_come_from_the_deploy_and_have_their_nodes():
    health = [replica("web", "a"), replica("web", "b"), replica("db", "b", state="failed", ok=False, exit_code=3)]
    stack = {"health": health, "mounts": proof("web"), "nodes": {"a": proof("web"), "b": proof("db", "missing")}}
    # The containers of this host are among the replicas.
    report = gather({"compose_stack": stack}, [container()])
    shown = [(row["service"], row["state"], row["replicas"], row["nodes"], row["ok"]) for row in report["services"]]
    assert shown == [("web", "running", "2 of 2", ["a", "b"], True), ("db", "failed", "0 of 1", ["b"], False)]
    mounts = [(row["node"], row["services"], row["verdict"]) for row in report["mounts"]]
    assert mounts == [("a", ["web"], "ok"), ("b", ["db"], "missing")]
    assert not report["ok"]


def test_services_of_a_swarm_without_a_deploy_are_those_of_the_host():
    report = gather({"compose_stack": {"health": []}}, [container()])
    assert [row["service"] for row in report["services"]] == ["97layer-gcp-mgmt"]


def test_why_a_service_counts_as_healthy_comes_from_the_deploy():
    row = container()
    health = [{"container": row.name, "evidence": "port"}, {"container": "other", "evidence": "none"}]
    report = gather({"compose_stack": {"health": health}}, [row])
    assert [each["evidence"] for each in report["services"]] == ["port"]
    assert gather({}, [row])["services"][0]["evidence"] == ""


@pytest.mark.parametrize(
    ("state", "ok"),
    [
        ({}, True),
        ({"Health": {"Status": "healthy"}}, True),
        ({"Health": {"Status": "starting"}}, False),
        ({"Health": {"Status": "unhealthy"}}, False),
        ({"Status": "exited", "Pid": 0, "ExitCode": 0}, True),  # a one-shot that is done
        ({"Status": "exited", "Pid": 0, "ExitCode": 1}, False),
        ({"Status": "restarting", "Pid": 0}, False),
    ],
)
def test_services_that_are_healthy(state, ok):
    report = gather({}, [container(**state)])
    assert (report["services"][0]["ok"], report["ok"]) == (ok, ok)


def test_changes_and_notes_in_words():
    report = gather(
        {
            "container_engine": {
                "changed": True,
                "name": "podman",
                "settings": ["ulimits"],
                "images": [
                    {"reference": "python:3.11-slim", "how": "standin", "note": "built here"},
                    {"reference": "redis:7", "how": "present", "note": ""},
                ],
            },
            "data_dirs": {
                "changed": True,
                "directories": [{"path": "/a", "changed": True}, {"path": "/b", "changed": False}],
            },
            "compose_stack": {
                "changed": True,
                "plan": [
                    {"service": "a", "action": "create"},
                    {"service": "b", "action": "create"},
                    {"service": "c", "action": "keep"},
                ],
                "warnings": ["look here", "look here"],
                "boot": {"unit": "onebox-p.service", "enabled": False, "changed": False, "message": "no systemd here"},
            },
        },
        notes=["more"],
    )
    assert report["changes"] == [
        "podman set up (ulimits)",
        "image python:3.11-slim built",
        "1 directory",
        "create a, b",
    ]
    assert report["notes"] == ["python:3.11-slim: built here", "look here", "no systemd here", "more"]
    assert report["changed"]


def backups(**more: object) -> dict:
    info = {
        "sets": [{"seq": 1}, {"seq": 2}],
        "snapshot": {"seq": 2, "size": 77},
        "age_seconds": 60.0,
        "rehearsals": {"local": {"ok": True, "good_at": NOW.timestamp() - 3600}, "offsite": {}},
        "problems": [],
    }
    return {"changed": False, "backups": {**info, **more}}


def test_unhealthy_backups_make_the_run_not_ok():
    report = gather({"backups": backups()}, [container()])
    assert report["ok"]
    assert report["backups"] == {
        "sets": 2,
        "seq": 2,
        "age_seconds": 60.0,
        "size_bytes": 77,
        "rehearsed_seconds": {"local": 3600.0},
        "problems": [],
    }
    old = {"backups": backups(problems=["the newest set is 31 hours old, 30 are allowed"])}
    assert not gather(old, [container()])["ok"]
    assert gather(old, [container()], check=True)["ok"]  # a run that may not take one cannot be blamed for it
    assert not gather({"backups": {"backups": {"healthy": False, "problems": ["x"]}}}, [container()])["ok"]
    assert gather({}, [container()])["backups"] == {}


def test_changes_of_the_backups_are_listed():
    assert gather({"backups": {**backups(), "changed": True, "units_changed": ["/u"], "first": True}})["changes"] == [
        "backups scheduled",
        "first backup taken",
    ]
    assert gather({"backups": backups()})["changes"] == []


def test_nothing_changed_is_nothing():
    results = {role: {"changed": False} for role in ("container_engine", "data_dirs", "compose_stack")}
    assert gather(results)["changes"] == []


def test_mounts_of_several_services_are_one_row():
    mount = {
        "source": "/srv/x",
        "destination": "/app",
        "verdict": "ok",
        "proof": "inode",
        "access": {"declared": "rw", "tried": "write", "error": ""},
        "message": "",
    }
    other = {**mount, "verdict": "stale_deleted"}
    proof = {
        "containers": [
            {"name": "p-a", "service": "a", "mounts": [mount]},
            {"name": "p-b", "service": "", "mounts": [mount]},
            {"name": "p-c", "service": "c", "mounts": [other]},
        ]
    }
    rows = gather({"compose_stack": {"mounts": proof}})["mounts"]
    assert [(row["verdict"], row["tried"], row["services"]) for row in rows] == [
        ("ok", "write", ["a", "p-b"]),
        ("stale_deleted", "write", ["c"]),
    ]


def test_only_data_at_risk_is_in_the_report():
    place = {"service": "db", "path": "/data", "verdict": "lost_at_down", "message": "lost", "files": 3}
    proof = {"containers": [], "data_places": [{**place, "at_risk": True}, {**place, "at_risk": False}]}
    found = gather({"compose_stack": {"mounts": proof}})["data_at_risk"]
    assert found == [{key: place[key] for key in ("service", "path", "verdict", "message")}]


def test_plan_with_its_values_is_not_in_it():
    plan = [{"service": "a", "action": "recreate", "diff": {"environment.TOKEN": {"before": "s3cret", "after": "x"}}}]
    assert "s3cret" not in json.dumps(gather({"compose_stack": {"changed": True, "plan": plan}}))


def test_kept_and_shown_again(tmp_path):
    path = store.path_of(str(tmp_path / "state"), "97layer")
    with pytest.raises(store.ReportError, match="there is no report at .* yet: run site.yml first"):
        store.load(path)
    report = gather({}, [container()])
    store.save(path, report)
    assert store.load(path) == json.loads(json.dumps(report))
    assert pathlib.Path(path).stat().st_mode & 0o777 == 0o600
    pathlib.Path(path).write_text("{")
    with pytest.raises(store.ReportError, match="cannot be read"):
        store.load(path)
    pathlib.Path(path).write_text("[]")
    with pytest.raises(store.ReportError, match="of another version"):
        store.load(path)


def test_report_that_cannot_be_kept_names_its_file(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(FileError, match="cannot create the directory .*/state/97layer"):
        store.save(store.path_of(str(tmp_path / "state"), "97layer"), gather({}))


MACHINE = {
    "name": "97layerOS", "provider": "libkrun", "state": "running", "healthy": True, "cpus": 5, "memory_mib": 4768,
    "disk_gib": 93, "rootful": False, "podman_client": "5.8.6", "podman_server": "5.8.2", "clock_drift": 0.0, "ssh": {},
}  # fmt: skip


def test_machine_and_what_was_done_to_a_mac():
    done = [["podman", "machine", "stop", "x"], ["podman", "machine", "set", "x"], ["podman", "system", "connection"]]
    report = gather(
        {
            "podman_machine": {"changed": True, "machine": MACHINE, "actions": done},
            "host_hygiene_agents": {"changed": True, "agents": [{}, {}]},
            "host_hygiene": {"changed": True, "clutter": [{}]},
        }
    )
    assert report["machine"]["memory_mib"] == 4768
    assert "ssh" not in report["machine"]
    assert report["changes"] == ["machine stop, set", "2 agents retired", "1 pieces of clutter removed"]


def test_host_without_a_machine_has_none():
    assert gather({"podman_machine": {"skipped": True, "changed": False}})["machine"] == {}
