# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each change of a stack: what the plan says, and what then really happens, on every backend.

Three things are compared: the expectation written here, the plan, and the containers before and after a deploy. Where
Compose itself can see the change, its own bare ``up -d`` must do what the plan says, too.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

import pytest
from compose_lab import Lab, effect, wait_for

KEEP = ("keep", ())
# The plan's word for a rebuild is seen in the containers as a replacement.
SEEN_AS = {"rebuild": "recreate"}


def base(lab: Lab) -> None:
    """The stack every case starts from."""
    (lab.folder / "web.env").write_text("MODE=one\nAPI_TOKEN=hunter22\n")
    (lab.data / "web").mkdir()
    (lab.data / "conf").write_text("one\n")
    lab.services.update(
        web=lab.service(
            env_file=["web.env"],
            environment={"LEVEL": "${LEVEL}", "FIXED": "a"},
            volumes=["${DATA}/web:/data", "${DATA}/conf:/etc/conf:ro"],
            healthcheck={"test": ["CMD", "true"], "interval": "1s", "retries": 2},
            restart="unless-stopped",
        ),
        worker=lab.service(depends_on=["web"]),
        side=lab.service(network_mode="service:web"),
        migrate=lab.service("exit 0", restart="no"),
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """One change.

    Attributes:
        change: makes it.
        expected: service -> (action, reasons); services not named are kept.
        compose_agrees: whether bare ``docker compose up -d`` does the same.
        only: substrings of backends it is about; all when empty.
        options: of the request.
    """

    change: t.Callable[[Lab], None]
    expected: dict[str, tuple[str, tuple[str, ...]]]
    compose_agrees: bool = True
    only: tuple[str, ...] = ()
    options: dict[str, t.Any] = dataclasses.field(default_factory=dict)


def _set(service: str, **keys) -> t.Callable[[Lab], None]:
    return lambda lab: lab.services[service].update(keys)


def _env(key: str, value: str) -> t.Callable[[Lab], None]:
    return lambda lab: lab.variables.update({key: value})


def _file(name: str, text: str) -> t.Callable[[Lab], None]:
    return lambda lab: (lab.folder / name).write_text(text) and None


def _engine(*words: str, service: str = "worker") -> t.Callable[[Lab], None]:
    def change(lab: Lab) -> None:
        lab.backend.cli(*words, lab.containers()[service][0].id)

    return change


def _retag(lab: Lab) -> None:
    # A new image under the old name, as a pull or a build by hand makes it.
    name = lab.services["worker"]["image"]
    identity = lab.backend.cli("commit", "--change", "LABEL renewed=yes", lab.containers()["worker"][0].id)
    lab.backend.cli("tag", identity.splitlines()[-1], name)


def _own_image(lab: Lab) -> None:
    name = f"localhost/{lab.project}:1"
    lab.backend.cli("tag", lab.backend.image, name)
    lab.services["worker"]["image"] = name


def _replace_dir(lab: Lab) -> None:
    (lab.data / "web").rename(lab.data / "web.old")
    (lab.data / "web").mkdir()


def _replace_file(lab: Lab) -> None:
    (lab.data / "conf.new").write_text("two\n")
    os.replace(lab.data / "conf.new", lab.data / "conf")


def _move_source(lab: Lab) -> None:
    (lab.data / "elsewhere").mkdir()
    lab.services["web"]["volumes"][0] = "${DATA}/elsewhere:/data"


def _rename(lab: Lab) -> None:
    lab.services["runner"] = lab.services.pop("worker")


def _die(lab: Lab) -> None:
    lab.backend.cli("kill", lab.containers()["worker"][0].id)
    wait_for(lambda: not lab.containers()["worker"][0].running)


def _comment(lab: Lab) -> None:
    lab.top["x-note"] = "nothing a container sees"


RECREATED = ("recreate", ("config_hash",))
# A one-shot that an old Compose runs again; it has ended before and after, so that only the plan shows it.
AGAIN = {"migrate": ("start", ("dependency_restart",))}
# A container that lives in web's network is gone with it.
WITH_SIDE = {"side": ("recreate", ("parent_recreated",))}
# And one that stays loses its network with web's process.
STALE = {"web": ("restart", ("stale_mount",)), "side": ("restart", ("dependency_restart",))}
WEB_ENV = {"web": ("recreate", ("env_changed",)), **WITH_SIDE}

BUILT = "FROM {image}\nCOPY app /app\nCOPY sub /sub\n"


def _content(lab: Lab) -> None:
    """Add services made of files: built, with a secret, with a config, with mounted code."""
    for name, text in {
        "ctx/Dockerfile": BUILT.format(image=lab.backend.image),
        "ctx/.dockerignore": "*.log\nnotes\n",
        "ctx/app": "one",
        "ctx/sub/part": "one",
        "ctx/notes/x": "one",
        "ctx/README": "not copied",
        "password": "one",
    }.items():
        path = lab.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (lab.data / "code").mkdir()
    (lab.data / "code" / "main").write_text("one")
    lab.top["secrets"] = {"password": {"file": "./password"}}
    image = f"localhost/{lab.project}-app:1"
    lab.services.update(
        api=lab.service(image=image, build={"context": "./ctx"}),
        # As Celery's worker and beat do: the image another service builds.
        beat=lab.service(image=image),
        keeper=lab.service(secrets=["password"]),
        dev=lab.service(
            volumes=["${DATA}/code:/code"],
            develop={"watch": [{"action": "restart", "path": str(lab.data / "code"), "ignore": ["*.pyc"]}]},
        ),
    )


def _write(path: str, text: str = "two") -> t.Callable[[Lab], None]:
    return lambda lab: (lab.root / path.format(folder=lab.folder.name, data=lab.data.name)).write_text(text) and None


def _touch(path: str) -> t.Callable[[Lab], None]:
    return lambda lab: os.utime(lab.root / path.format(folder=lab.folder.name, data=lab.data.name))


REBUILT = {"api": ("rebuild", ("build_context_changed",)), "beat": ("recreate", ("image_changed",))}

# Changes no compose tool sees when it decides.
CONTENT_CASES = {
    "copied file": Case(_write("{folder}/ctx/app"), REBUILT),
    "copied file in a directory": Case(_write("{folder}/ctx/sub/part"), REBUILT),
    "copied file made executable": Case(lambda lab: (lab.folder / "ctx/app").chmod(0o755), REBUILT),
    "Dockerfile": Case(
        _write("{folder}/ctx/Dockerfile", BUILT.format(image="localhost/onebox-testbed/tiny:latest") + "ENV A=1\n"),
        REBUILT,
    ),
    "ignored file": Case(_write("{folder}/ctx/notes/x"), {}),
    "ignored by pattern": Case(_write("{folder}/ctx/a.log"), {}),
    "copied file touched only": Case(_touch("{folder}/ctx/app"), {}),
    "secret file": Case(_write("{folder}/password"), {"keeper": ("restart", ("secret_changed",))}),
    "mounted code": Case(_write("{data}/code/main"), {"dev": ("restart", ("code_bind_changed",))}),
    "mounted code, new file": Case(_write("{data}/code/more"), {"dev": ("restart", ("code_bind_changed",))}),
    "mounted code, ignored file": Case(_write("{data}/code/x.pyc"), {}),
}

CASES = {
    "nothing": Case(lambda lab: None, {}),
    "a comment or extension": Case(_comment, {}),
    "interpolated variable": Case(_env("LEVEL", "debug"), WEB_ENV),
    "env_file content": Case(
        _file("web.env", "MODE=two\nAPI_TOKEN=hunter22\n"), {"web": ("recreate", ("env_changed",)), **WITH_SIDE}
    ),
    "secret in env_file": Case(
        _file("web.env", "MODE=one\nAPI_TOKEN=hunter23\n"), {"web": ("recreate", ("env_changed",)), **WITH_SIDE}
    ),
    "variable removed": Case(
        _set("web", environment={"FIXED": "a"}), {"web": ("recreate", ("env_changed",)), **WITH_SIDE}
    ),
    "command": Case(lambda lab: lab.services.update(worker=lab.service("sleep 2000")), {"worker": RECREATED}),
    "entrypoint": Case(_set("worker", entrypoint=["sh", "-c", "sleep 3000"], command=None), {"worker": RECREATED}),
    "label": Case(_set("worker", labels={"owner": "me"}), {"worker": RECREATED}),
    "user": Case(_set("worker", user="1000:1000"), {"worker": RECREATED}),
    "working directory": Case(_set("worker", working_dir="/tmp"), {"worker": RECREATED}),
    "restart policy": Case(_set("worker", restart="always"), {"worker": RECREATED}),
    "healthcheck": Case(_set("worker", healthcheck={"test": ["CMD", "true"], "interval": "2s"}), {"worker": RECREATED}),
    "capabilities": Case(_set("worker", cap_drop=["ALL"]), {"worker": RECREATED}),
    "memory limit": Case(_set("worker", mem_limit="64m"), {"worker": RECREATED}),
    "hostname": Case(_set("worker", hostname="other"), {"worker": RECREATED}),
    "port published": Case(
        _set("worker", ports=["127.0.0.1:18197:80"], command=["sh", "-c", "exec httpd -f -p 80"]), {"worker": RECREATED}
    ),
    "mount added": Case(_set("worker", volumes=["${DATA}/web:/more"]), {"worker": RECREATED}),
    "mount made read-only": Case(
        lambda lab: lab.services["web"]["volumes"].__setitem__(0, "${DATA}/web:/data:ro"),
        {"web": ("recreate", ("source_moved",)), **WITH_SIDE},
    ),
    "source elsewhere": Case(_move_source, {"web": ("recreate", ("source_moved",)), **WITH_SIDE}),
    "image under another name": Case(_own_image, {"worker": ("recreate", ("image_changed",))}),
    "depends_on only": Case(_set("worker", depends_on=["migrate"]), {}, only=("2.40", "podman-compose")),
    "depends_on only (old)": Case(
        _set("worker", depends_on=["migrate"]),
        {"worker": RECREATED, **AGAIN},
        only=("2.26",),
    ),
    "service added": Case(lambda lab: lab.services.update(new=lab.service()), {"new": ("create", ("missing",))}),
    "scaled up": Case(_set("worker", scale=2), {"worker": ("create", ("missing",))}, only=("+",)),
    "service renamed": Case(_rename, {"runner": ("create", ("missing",))}),
    "service removed, orphans too": Case(
        lambda lab: lab.services.pop("worker"),
        {"worker": ("remove_orphan", ("missing",))},
        compose_agrees=False,
        options={"remove_orphans": True},
    ),
    "stopped by hand": Case(_engine("stop", "-t", "0"), {"worker": ("start", ("not_running",))}),
    "killed": Case(_die, {"worker": ("start", ("not_running",))}),
    "removed by hand": Case(_engine("rm", "-f"), {"worker": ("create", ("missing",))}),
    "directory replaced": Case(_replace_dir, STALE, compose_agrees=False),
    "file replaced": Case(_replace_file, STALE, compose_agrees=False),
}


def cases(backend_filter: t.Callable[[Case], bool] = lambda case: True):
    """Pytest parameters: the cases a filter lets through."""
    return [pytest.param(case, id=name) for name, case in CASES.items() if backend_filter(case)]


def _applies(case: Case, lab: Lab) -> bool:
    return not case.only or any(part in lab.backend.name for part in case.only)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CONTENT_CASES.items()])
def test_content_reaches_the_container(lab: Lab, case: Case):
    _content(lab)
    lab.deploy()
    assert all(row == KEEP for row in lab.plan().values())
    case.change(lab)
    _check(lab, case)


@pytest.mark.parametrize("lab", ["docker28+2.40", "docker28c+2.40", "podman-compose"], indirect=True)
def test_change_that_no_step_copies_costs_a_cached_build_and_no_restart(lab: Lab):
    _content(lab)
    lab.deploy()
    (lab.folder / "ctx/README").write_text("changed")
    assert lab.plan()["api"] == ("rebuild", ("build_context_changed",))
    before = lab.states()
    assert lab.deploy()["changed"] is False
    assert lab.states() == before
    assert all(row == KEEP for row in lab.plan().values())


@pytest.mark.parametrize("case", cases())
def test_plan_is_carried_out_as_shown(lab: Lab, case: Case):
    if not _applies(case, lab):
        pytest.skip(f"it is about {', '.join(case.only)}")
    base(lab)
    lab.deploy()
    case.change(lab)
    _check(lab, case)


def _check(lab: Lab, case: Case) -> None:
    plan = lab.plan(**case.options)
    assert {name: row for name, row in plan.items() if row != KEEP} == case.expected

    before = lab.states()
    result = lab.deploy(**case.options)
    seen = {name: what for name, what in effect(before, lab.states()).items() if what != "keep"}
    assert seen == {name: SEEN_AS.get(row[0], row[0]) for name, row in case.expected.items() if name not in AGAIN}
    assert result["changed"] is bool(case.expected)
    assert all(row == KEEP for row in lab.plan(**case.options).values())


# Not on Podman 4.3: its API names a network where Docker's gives the id, so that Compose 2.40 takes each container for
# one of another network and replaces it in every run. Ours must not, which is tested above.
@pytest.mark.parametrize("lab", ["docker26+2.26", "docker28+2.40", "podman54+2.40"], indirect=True)
@pytest.mark.parametrize("case", cases(lambda case: case.compose_agrees))
def test_compose_itself_agrees(lab: Lab, case: Case):
    if not _applies(case, lab):
        pytest.skip(f"it is about {', '.join(case.only)}")
    base(lab)
    lab.deploy()
    case.change(lab)
    rows = lab.plan(**case.options)
    plan = {name: row[0] for name, row in rows.items() if row != KEEP}
    before = lab.states()
    if lab.backend.name.startswith("podman54") and any("parent_recreated" in row[1] for row in rows.values()):
        # Podman does not remove a container in whose network another one lives, and Compose does not know that.
        assert "has dependent containers" in lab.bare("up", "-d", "--no-build", check=False).stderr
        return
    lab.bare("up", "-d", "--no-build")
    # Bare ``up`` runs every ended one-shot again, even if it is unchanged. Its plan is tested above.
    plan.pop("migrate", None)
    seen = {name: what for name, what in effect(before, lab.states()).items() if what != "keep" and name != "migrate"}
    if "2.26" in lab.backend.name and plan.get("web") == "recreate":
        # And 2.26 replaces whatever depends on what it replaces, without any need; we do not.
        seen.pop("worker", None)
    assert seen == plan
