"""Prometheus metrics, and the check without Ansible."""

from __future__ import annotations

import io
import os
import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.mounts import cli, metrics

RESULT: dict[str, t.Any] = {
    "ok": False,
    "summary": {"checked": 2, "ok": 1, "failed": 1, "unverifiable": 0},
    "containers": [
        {
            "name": "web",
            "mounts": [
                {"verdict": "ok", "destination": "/a"},
                {"verdict": "stale_deleted", "destination": '/b"\\\n'},
            ],
        }
    ],
    "ephemeral_writes": [{"files": 3}, {"files": 4}],
    "data_places": [{"at_risk": True}, {"at_risk": False}],
    "services": {"running": 1, "promised": 2},
    "hosts": [],
    "duration_ms": 12.5,
    "table": ["one", "two"],
}


def test_metrics_of_a_finding() -> None:
    text = metrics.text(RESULT, "97layer", 1795254668.4)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        'onebox_mounts_ok{stack="97layer"} 0',
        'onebox_mounts_checked{stack="97layer"} 2',
        'onebox_mounts_failed{stack="97layer"} 1',
        'onebox_mounts_unverifiable{stack="97layer"} 0',
        'onebox_mounts_services{stack="97layer"} 1',
        'onebox_mounts_services_promised{stack="97layer"} 2',
        'onebox_mounts_unpersisted_files{stack="97layer"} 7',
        'onebox_mounts_data_at_risk{stack="97layer"} 1',
        'onebox_mounts_check_duration_seconds{stack="97layer"} 0.0125',
        'onebox_mount_verdict{stack="97layer",container="web",destination="/b\\"\\\\\\n",verdict="stale_deleted"} 1',
        'onebox_mounts_check_time_seconds{stack="97layer"} 1795254668',
    ]
    assert text.count("# TYPE") == len({line.split("{")[0] for line in lines})


def test_check_that_could_not_be_made_is_not_ok() -> None:
    text = metrics.text(None, "x", 5)
    assert 'onebox_mounts_ok{stack="x"} 0' in text
    assert "onebox_mounts_checked" not in text


def test_file_is_replaced_at_once_and_readable_for_the_exporter(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.prom"
    path.write_text("old")
    before = os.stat(path).st_ino
    metrics.write(str(path), "new\n")
    assert path.read_text() == "new\n"
    assert os.stat(path).st_ino != before
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["m.prom"]


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_exit_code_informs_a_monitor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, ok: bool, code: int
) -> None:
    monkeypatch.setattr(cli, "find", lambda engine, socket, world: (engine, socket))
    monkeypatch.setattr(cli, "verify", lambda engine, check, **options: {**RESULT, "ok": ok})
    out = io.StringIO()
    assert cli.main(["--project", "p", "--engine", "podman", "--textfile", str(tmp_path / "m.prom")], out) == code
    assert out.getvalue() == "one\ntwo\n"
    assert f'onebox_mounts_ok{{stack="p"}} {int(ok)}' in (tmp_path / "m.prom").read_text()


def test_engine_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(engine: str, socket: str | None, world: World) -> t.NoReturn:
        raise EngineError("no engine here")

    monkeypatch.setattr(cli, "find", none)
    assert cli.main(["--textfile", str(tmp_path / "m.prom")]) == 2
    assert "no engine here" in capsys.readouterr().err
    assert "onebox_mounts_ok" in (tmp_path / "m.prom").read_text()
    assert cli.main(["--textfile", str(tmp_path / "none" / "m.prom")]) == 2


def test_file_that_cannot_be_written_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "find", lambda engine, socket, world: (engine, socket))
    monkeypatch.setattr(cli, "verify", lambda engine, check, **options: {**RESULT, "ok": True})
    assert cli.main(["--textfile", str(tmp_path / "none" / "m.prom")]) == 2
    said = capsys.readouterr().err
    assert f"cannot write {tmp_path}/none/m.prom: No such file or directory; create its directory" in said
