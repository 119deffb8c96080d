# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentic sets are used, others only when their owner names them. All are listed and kept."""

from __future__ import annotations

import json
import os
import stat

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    configuration,
    options,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.authentication import Keys
from backup_sites import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def path(site, *parts):
    return os.path.join(site.base, *parts)


def rewrite(site, seq, work):
    """Change a stored manifest and its sha256, which an attacker can compute."""
    place = path(site, "repo/sets", f"{seq:06d}", "manifest.json")
    with open(place, "rb") as file:
        body = json.loads(file.read())
    del body["sha256"]
    work(body)
    with open(place, "wb") as file:
        file.write(manifest._seal(body))


def strip(site, *seqs):
    """Remove the authentication of sets: the first release had none."""
    for seq in seqs:
        rewrite(site, seq, lambda body: body.pop("authentication"))
    os.unlink(path(site, "state/authentication.json"))


def test_key_is_created_once_private_and_outside_of_the_repository(site):
    site.day()
    place = path(site, "state/authentication.key")
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    with open(place, encoding="ascii") as file:
        key = file.read()
    site.day()
    with open(place, encoding="ascii") as file:
        assert file.read() == key
    for base, _folders, names in os.walk(path(site, "repo")):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                assert key.strip().encode() not in file.read()


def test_key_is_next_to_the_configuration_unless_one_is_named(tmp_path):
    data = {
        "stack": "coin",
        "state_dir": "/var/lib/x",
        "repository": {"engine": "files", "path": "/var/backups/x"},
        "sources": [{"name": "d", "kind": "directory", "path": "/etc"}],
    }
    place = tmp_path / "coin.json"
    place.write_text(json.dumps(data), encoding="utf-8")
    assert configuration.read(str(place)).authentication_file == str(tmp_path / "coin.authentication")
    named = configuration.parse({**data, "authentication_file": "/etc/onebox/[k].key"})
    assert named.authentication_file == "/etc/onebox/[k].key"
    assert named.sources[0].exclude == ("onebox/[[]k].key",)


def test_key_named_as_a_compose_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"sources \(s\): files names /etc/k, which authenticates the sets"):
        configuration.parse(
            {
                "stack": "coin",
                "state_dir": "/var/lib/x",
                "authentication_file": "/etc/k",
                "repository": {"engine": "files", "path": "/var/backups/x"},
                "sources": [{"name": "s", "kind": "compose", "files": ["/etc/compose.yml", "/etc//k"]}],
            }
        )


def test_key_below_a_backed_up_directory_is_in_no_set(site):
    key = os.path.join(site.files, "sub dir", "k[1]")
    for _day in range(2):  # the first backup creates it
        assert run.backup(site.context(authentication_file=key))["error"] == ""
    with open(path(site, "repo/sets/000002/files/data.list"), encoding="utf-8") as file:
        assert "k[1]" not in file.read()
    assert rehearse.rehearse(site.context(authentication_file=key))["error"] == ""


@pytest.mark.parametrize(("text", "mode"), [("x" * 64, 0o640), ("short", 0o600), ("", 0o600)])
def test_key_that_is_open_to_others_short_or_empty_is_refused(site, text, mode):
    site.day()
    place = path(site, "state/authentication.key")
    with open(place, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(place, mode)
    report = run.backup(site.context())
    assert report["exit_code"] == 5
    assert place in report["error"]


def test_changed_set_is_kept_and_the_previous_one_is_used(site):
    site.day()
    site.day()
    rewrite(site, 2, lambda body: body.update(host="elsewhere"))
    found = status.status(site.context())
    assert "its authentication does not match" in "; ".join(found["problems"])
    report = restore.restore(site.context(), restore.Request())
    assert report["seq"] == 1
    assert "set 2 is newer and cannot be used" in report["warnings"][0]
    with pytest.raises(StoreError, match="its authentication does not match"):
        restore.restore(site.context(), restore.Request("2", accepted=2), confirm="unit")
    assert site.day()["snapshot"]["seq"] == 3
    assert site.seqs() == [1, 2, 3]


def test_removed_authentication_of_a_later_set_is_detected(site):
    site.day()
    site.day()
    rewrite(site, 2, lambda body: body.pop("authentication"))
    with pytest.raises(StoreError, match="all sets from 1 on are authenticated"):
        rehearse.rehearse(site.context(), wanted="2", accepted=2)


def test_set_of_the_first_release_is_listed_and_used_when_its_owner_names_it(site):
    site.day()
    strip(site, 1)
    found = status.status(site.context())
    assert found["healthy"] is True
    assert found["rows"][0]["authentic"] is False
    assert "set 1: it is not authenticated" in found["notes"][0]
    for work in (
        lambda: restore.restore(site.context(), restore.Request()),
        lambda: restore.preview(site.context(), restore.Request(), ""),
        lambda: restore.restore(site.context(), restore.Request(accepted=2), confirm="unit"),
        lambda: rehearse.rehearse(site.context()),
        lambda: options.chosen(site.context(), "local", "latest"),
        lambda: selftest.self_test(site.context()),
    ):
        with pytest.raises(StoreError, match="--accept-unauthenticated 1"):
            work()
    assert rehearse.rehearse(site.context(), accepted=1)["error"] == ""
    report = restore.restore(site.context(), restore.Request(accepted=1), confirm="unit")
    assert report["error"] == ""
    assert "you accepted it by number" in report["warnings"][0]
    # The next set is authenticated, and earlier sets are not changed.
    assert site.day()["snapshot"]["seq"] == 2
    assert [row["authentic"] for row in status.status(site.context())["rows"]] == [False, True]
    assert rehearse.rehearse(site.context())["error"] == ""


def test_sets_of_the_first_release_are_deleted_by_retention(site):
    for _day in range(4):
        site.day()
    strip(site, 1, 2, 3, 4)
    few = {"daily": 1, "weekly": 0, "min_keep": 1}
    report = run.backup(site.context(retention=few))
    assert report["pruned"] == [1, 2, 3]


def test_other_host_needs_the_key_or_the_name_of_the_set(site, tmp_path):
    site.day()
    old = path(site, "kept.key")
    os.rename(path(site, "state/authentication.key"), old)
    os.unlink(path(site, "state/authentication.json"))
    site.day()
    with pytest.raises(StoreError, match="set 1 in .*authenticated with another key"):
        restore.restore(site.context(), restore.Request("1"))
    context = site.context()
    context.keys.trust(old)
    assert restore.restore(context, restore.Request("1"), confirm="unit")["error"] == ""
    with pytest.raises(StoreError, match="does not exist"):
        context.keys.trust(path(site, "nowhere"))
    # Both keys in the file: the first signs, the other still verifies.
    with (
        open(path(site, "state/authentication.key"), "a", encoding="ascii") as now,
        open(old, encoding="ascii") as file,
    ):
        now.write(file.read())
    assert [row["authentic"] for row in status.status(site.context())["rows"]] == [True, True]


def test_sets_of_an_earlier_key_are_not_damaged(site):
    site.day()
    with open(path(site, "state/authentication.key"), "w", encoding="ascii") as file:
        file.write("another key, given by the inventory\n")
    assert site.day()["error"] == ""
    found = status.status(site.context())
    assert [row["problem"] for row in found["rows"]] == ["", ""]
    assert [row["authentic"] for row in found["rows"]] == [False, True]


def test_forged_set_with_the_last_number_does_not_exhaust_the_numbers(site):
    site.day()
    for number, stripped in ((999_999_999, True), (500, False)):
        os.rename(path(site, "repo/sets/000001"), path(site, "kept"))
        os.mkdir(path(site, f"repo/sets/{number:06d}"))
        with open(path(site, "kept/manifest.json"), "rb") as file:
            body = json.loads(file.read())
        del body["sha256"]
        body["seq"] = number
        if stripped:
            del body["authentication"]
        with open(path(site, f"repo/sets/{number:06d}/manifest.json"), "wb") as file:
            file.write(manifest._seal(body))
        os.rename(path(site, "kept"), path(site, "repo/sets/000001"))
    assert site.day()["snapshot"]["seq"] == 2
    assert site.day()["snapshot"]["seq"] == 3


def test_command_line_accepts_a_set_and_a_key(site, capsys):
    site.day()
    old = path(site, "kept.key")
    os.rename(path(site, "state/authentication.key"), old)
    config = path(site, "unit.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump(
            {
                "stack": "unit",
                "state_dir": path(site, "state"),
                "repository": {"engine": "files", "path": path(site, "repo")},
                "reserve_mib": 0,
                "sources": [{"name": "data", "kind": "directory", "path": site.files}],
            },
            file,
        )
    assert cli.main(["--config", config, "restore"]) == 5
    assert "--authentication-key FILE" in capsys.readouterr().err
    assert cli.main(["--config", config, "restore", "--authentication-key", old]) == 0
    assert cli.main(["--config", config, "rehearse", "--accept-unauthenticated", "1"]) == 0
    assert cli.main(["--config", config, "restore", "--authentication-key", f"{old}.x"]) == 5
    capsys.readouterr()
    assert cli.main(["--config", config, "status"]) == 10  # it is old, too
    assert "rehearsed not authenticated\nnote: set 1: it is not authenticated" in capsys.readouterr().out


def test_authentication_covers_every_byte(tmp_path):
    keys = Keys(str(tmp_path / "key"), str(tmp_path))
    stated = keys.sign(b"payload")
    assert keys.judge(b"payload", stated, 1) == ""
    for payload, given in (
        (b"payloae", stated),
        (b"payload", {**stated, "hmac": stated["hmac"][:-1]}),
        (b"payload", {**stated, "hmac": None}),
        (b"payload", {**stated, "hmac": "\ud800é"}),
        (b"payload", {"key": stated["key"]}),
    ):
        with pytest.raises(StoreError, match="does not match"):
            keys.judge(payload, given, 1)
    assert "another key" in keys.judge(b"payload", {**stated, "key": "0" * 16}, 1)
    with pytest.raises(StoreError, match="mapping"):
        keys.judge(b"payload", [stated], 1)
