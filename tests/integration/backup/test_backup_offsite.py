# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Off-site by S3 and by a REST server, both behind TLS; files only, because the transfer is tested."""

from __future__ import annotations

import pathlib
import secrets
import shutil
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_snapshots
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import load, restic_programs

SECRET = "s3-" + secrets.token_hex(8)
# A common client, whose defaults send bodies in signed chunks.
BOTO = """
import boto3, sys
from botocore.config import Config
client = boto3.client("s3", endpoint_url=sys.argv[1], verify=sys.argv[2], aws_access_key_id="a",
    aws_secret_access_key="b", region_name="us-ashburn-1", config=Config(retries={"max_attempts": 1}))
client.put_object(Bucket="backups", Key="x", Body=b"x" * 100)
"""


@pytest.fixture(scope="module")
def offsite():
    return load("offsite")


@pytest.fixture(scope="module")
def s3(offsite, tmp_path_factory):
    base = tmp_path_factory.mktemp("s3")
    with offsite.moto_server() as server, offsite.StrictProxy(server.port, base) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(restic_snapshots, "OPEN_TIMEOUT", 15.0)


class Site:
    """A host with one directory, its backup configuration, its key and the keys of the cloud."""

    def __init__(self, base: pathlib.Path, place: str, environment: dict[str, str], options: tuple[str, ...] = ()):
        base.mkdir()
        self.base = base
        self.files = base / "files"
        self.key = base / "key"
        self.key.write_text("the key\n", encoding="utf-8")
        self.authentication = base / "authentication"
        self.authentication.touch(mode=0o600)
        self.authentication.write_text("kept where the other key is kept, too\n", encoding="utf-8")
        self.env = base / "environment"
        self.env.write_text("".join(f"{k}={v}\n" for k, v in environment.items()), encoding="utf-8")
        self.place = place
        self.options = list(options)

    def fill(self) -> None:
        self.files.mkdir()
        for number in range(30):
            (self.files / f"f{number}").write_bytes(secrets.token_bytes(50_000))

    def context(self) -> contexts.Context:
        common = {
            "engine": "restic",
            "password_file": str(self.key),
            "program": str(restic_programs() / "restic"),
        }
        away = {"path": self.place, "environment_file": str(self.env), "options": self.options}
        data = {
            "stack": "box",
            "state_dir": str(self.base / "state"),
            "authentication_file": str(self.authentication),
            "reserve_mib": 1,
            "metrics_file": str(self.base / "site.prom"),
            "timeout": 60,
            "repository": {**common, "path": str(self.base / "repo")},
            "offsite": {**common, **away},
            "sources": [{"name": "files", "kind": "directory", "path": str(self.files)}],
        }
        return contexts.make(configuration.parse(data), World.real())

    def metrics(self) -> str:
        return (self.base / "site.prom").read_text(encoding="utf-8")


def s3_box(base, s3, name):
    environment = {
        "AWS_ACCESS_KEY_ID": "obx",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-ashburn-1",
        "RESTIC_CACERT": str(s3.cert),
    }
    return Site(base, f"s3:https://127.0.0.1:{s3.port}/backups/{name}", environment, ("s3.bucket-lookup=path",))


def test_s3_stores_copies_and_another_host_restores_from_it_alone(s3, tmp_path):
    site = s3_box(tmp_path / "old", s3, "alone")
    site.fill()
    assert run.backup(site.context())["error"] == ""
    kept = (site.files / "f3").read_bytes()
    (site.files / "f3").write_bytes(b"changed later")
    report = run.backup(site.context())
    assert report["error"] == ""
    assert report["offsite"]["lag"] == 0
    assert rehearse.rehearse(site.context(), where="offsite")["error"] == ""
    assert s3.requests > 20
    assert s3.refused == 0
    shutil.rmtree(tmp_path / "old")

    fresh = s3_box(tmp_path / "new", s3, "alone")
    back = restore.restore(fresh.context(), restore.Request(where="offsite", wanted="1"), confirm="box")
    assert back["error"] == ""
    assert (fresh.files / "f3").read_bytes() == kept
    # The host continues the numbers of the old one: its next set is not a second set 1 or 2.
    assert run.backup(fresh.context())["snapshot"]["seq"] == 3


def test_strict_server_really_refuses_chunked_bodies(s3, offsite, tmp_path):
    """The negative control: the usual client of others fails where restic succeeds."""
    python = offsite.moto() / "python"
    words = [python, "-c", BOTO, f"https://127.0.0.1:{s3.port}", str(s3.cert)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert s3.refused >= 1
    s3.refused = 0


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_failing_cloud_loses_no_local_set_and_the_next_run_copies_the_rest(s3, tmp_path, fault, monkeypatch):
    site = s3_box(tmp_path / "box", s3, f"fault-{fault}")
    site.fill()
    assert run.backup(site.context())["error"] == ""
    (site.files / "more").write_bytes(secrets.token_bytes(100_000))
    hasty = site.context()
    assert hasty.offsite is not None
    monkeypatch.setattr(hasty.offsite._program, "timeout", 15.0)
    s3.fail = fault
    try:
        report = run.backup(hasty)
    finally:
        s3.fail = None
    assert report["exit_code"] == 7
    assert report["snapshot"]["seq"] == 2
    assert report["verified"] is True
    assert SECRET not in str(report)
    again = run.backup(site.context())
    assert again["error"] == ""
    assert again["offsite"]["copied"] == 2
    assert again["offsite"]["lag"] == 0
    assert rehearse.rehearse(site.context(), where="offsite")["error"] == ""


def test_rest_server_with_tls_and_a_password_stores_copies(offsite, tmp_path):
    program = restic_programs() / "restic-rest-server"
    with offsite.rest_server(program, tmp_path, "obx", SECRET) as server:
        place = f"rest:https://127.0.0.1:{server.port}/obx/box"
        cert = str(tmp_path / "tls.crt")
        good = {"RESTIC_REST_USERNAME": "obx", "RESTIC_REST_PASSWORD": SECRET, "RESTIC_CACERT": cert}
        wrong = Site(tmp_path / "wrong", place, {**good, "RESTIC_REST_PASSWORD": "guessed-" + SECRET[3:]})
        wrong.fill()
        refused = run.backup(wrong.context())
        assert refused["exit_code"] == 7
        assert SECRET[3:] not in str(refused)

        site = Site(tmp_path / "box", place, good)
        site.fill()
        assert run.backup(site.context())["error"] == ""
        assert rehearse.rehearse(site.context(), where="offsite")["error"] == ""
        # Another key: reported at once, and nothing is overwritten.
        site.key.write_text("another\n", encoding="utf-8")
        with pytest.raises(Exception, match="does not open"):
            rehearse.rehearse(site.context(), where="offsite")


def test_repository_with_other_sets_of_the_same_numbers_is_not_changed(s3, tmp_path):
    first = s3_box(tmp_path / "first", s3, "shared")
    first.fill()
    assert run.backup(first.context())["error"] == ""
    second = s3_box(tmp_path / "second", s3, "shared")
    second.fill()
    # The state after a first run without access to off-site.
    alone = second.context()
    alone.offsite = None
    assert run.backup(alone)["error"] == ""
    report = run.backup(second.context())
    assert report["exit_code"] == 7
    assert "set 1 differs between the local and the off-site repository" in report["error"]
    assert rehearse.rehearse(first.context(), where="offsite")["error"] == ""
