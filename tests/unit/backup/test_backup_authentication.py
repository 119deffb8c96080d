# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets are used when the key vouches for them, or when their owner names them; all others are listed and kept."""

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
from boxes import Box


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path / "box")


def path(box, *parts):
    return os.path.join(box.base, *parts)


def rewrite(box, seq, work):
    """Change a stored manifest and seal it again: anybody can compute its sha256."""
    place = path(box, "repo/sets", f"{seq:06d}", "manifest.json")
    with open(place, "rb") as file:
        body = json.loads(file.read())
    del body["sha256"]
    work(body)
    with open(place, "wb") as file:
        file.write(manifest._seal(body))


def strip(box, *seqs):
    """Make sets as the first release took them, which authenticated none."""
    for seq in seqs:
        rewrite(box, seq, lambda body: body.pop("authentication"))
    os.unlink(path(box, "state/authentication.json"))


def test_key_is_created_once_private_and_outside_of_the_repository(box):
    box.day()
    place = path(box, "state/authentication.key")
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    with open(place, encoding="ascii") as file:
        key = file.read()
    box.day()
    with open(place, encoding="ascii") as file:
        assert file.read() == key
    for base, _folders, names in os.walk(path(box, "repo")):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                assert key.strip().encode() not in file.read()


def test_key_lies_beside_the_declaration_unless_one_is_named(tmp_path):
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


def test_key_below_a_backed_up_directory_is_in_no_set(box):
    key = os.path.join(box.files, "sub dir", "k[1]")
    for _day in range(2):  # the first one creates it
        assert run.backup(box.context(authentication_file=key))["error"] == ""
    with open(path(box, "repo/sets/000002/files/data.list"), encoding="utf-8") as file:
        assert "k[1]" not in file.read()
    assert rehearse.rehearse(box.context(authentication_file=key))["error"] == ""


@pytest.mark.parametrize(("text", "mode"), [("x" * 64, 0o640), ("short", 0o600), ("", 0o600)])
def test_key_that_is_open_to_others_short_or_empty_is_refused(box, text, mode):
    box.day()
    place = path(box, "state/authentication.key")
    with open(place, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(place, mode)
    report = run.backup(box.context())
    assert report["exit_code"] == 5
    assert place in report["error"]


def test_changed_set_is_listed_kept_and_not_used_and_the_one_before_is(box):
    box.day()
    box.day()
    rewrite(box, 2, lambda body: body.update(host="elsewhere"))
    found = status.status(box.context())
    assert "its authentication does not fit" in "; ".join(found["problems"])
    report = restore.restore(box.context(), restore.Request())
    assert report["seq"] == 1
    assert "set 2 is newer and cannot be used" in report["warnings"][0]
    with pytest.raises(StoreError, match="its authentication does not fit"):
        restore.restore(box.context(), restore.Request("2", accepted=2), confirm="unit")
    assert box.day()["snapshot"]["seq"] == 3
    assert box.seqs() == [1, 2, 3]


def test_authentication_that_was_removed_from_a_later_set_shows(box):
    box.day()
    box.day()
    rewrite(box, 2, lambda body: body.pop("authentication"))
    with pytest.raises(StoreError, match="all sets from 1 on are authenticated"):
        rehearse.rehearse(box.context(), wanted="2", accepted=2)


def test_set_of_the_first_release_is_listed_and_used_when_its_owner_names_it(box):
    box.day()
    strip(box, 1)
    found = status.status(box.context())
    assert found["healthy"] is True
    assert found["rows"][0]["authentic"] is False
    assert "set 1: it is not authenticated" in found["notes"][0]
    for work in (
        lambda: restore.restore(box.context(), restore.Request()),
        lambda: restore.preview(box.context(), restore.Request(), ""),
        lambda: restore.restore(box.context(), restore.Request(accepted=2), confirm="unit"),
        lambda: rehearse.rehearse(box.context()),
        lambda: options.chosen(box.context(), "local", "latest"),
        lambda: selftest.self_test(box.context()),
    ):
        with pytest.raises(StoreError, match="--accept-unauthenticated 1"):
            work()
    assert rehearse.rehearse(box.context(), accepted=1)["error"] == ""
    report = restore.restore(box.context(), restore.Request(accepted=1), confirm="unit")
    assert report["error"] == ""
    assert "accepted by name" in report["warnings"][0]
    # The next set is authenticated, and what was before it stays what it was.
    assert box.day()["snapshot"]["seq"] == 2
    assert [row["authentic"] for row in status.status(box.context())["rows"]] == [False, True]
    assert rehearse.rehearse(box.context())["error"] == ""


def test_sets_of_the_first_release_leave_by_retention(box):
    for _day in range(4):
        box.day()
    strip(box, 1, 2, 3, 4)
    few = {"daily": 1, "weekly": 0, "min_keep": 1}
    report = run.backup(box.context(retention=few))
    assert report["pruned"] == [1, 2, 3]


def test_other_host_needs_the_key_or_the_name_of_the_set(box, tmp_path):
    box.day()
    old = path(box, "kept.key")
    os.rename(path(box, "state/authentication.key"), old)
    os.unlink(path(box, "state/authentication.json"))
    box.day()
    with pytest.raises(StoreError, match="set 1 in .*authenticated with another key"):
        restore.restore(box.context(), restore.Request("1"))
    context = box.context()
    context.keys.trust(old)
    assert restore.restore(context, restore.Request("1"), confirm="unit")["error"] == ""
    with pytest.raises(StoreError, match="does not exist"):
        context.keys.trust(path(box, "nowhere"))
    # Both keys in the file: the first signs, the other still verifies.
    with open(path(box, "state/authentication.key"), "a", encoding="ascii") as now, open(old, encoding="ascii") as file:
        now.write(file.read())
    assert [row["authentic"] for row in status.status(box.context())["rows"]] == [True, True]


def test_new_key_does_not_make_damage_of_the_sets_of_the_key_before(box):
    box.day()
    with open(path(box, "state/authentication.key"), "w", encoding="ascii") as file:
        file.write("another key, given by the inventory\n")
    assert box.day()["error"] == ""
    found = status.status(box.context())
    assert [row["problem"] for row in found["rows"]] == ["", ""]
    assert [row["authentic"] for row in found["rows"]] == [False, True]


def test_made_up_set_with_the_last_number_does_not_use_up_the_numbers(box):
    box.day()
    for number, stripped in ((999_999_999, True), (500, False)):
        os.rename(path(box, "repo/sets/000001"), path(box, "kept"))
        os.mkdir(path(box, f"repo/sets/{number:06d}"))
        with open(path(box, "kept/manifest.json"), "rb") as file:
            body = json.loads(file.read())
        del body["sha256"]
        body["seq"] = number
        if stripped:
            del body["authentication"]
        with open(path(box, f"repo/sets/{number:06d}/manifest.json"), "wb") as file:
            file.write(manifest._seal(body))
        os.rename(path(box, "kept"), path(box, "repo/sets/000001"))
    assert box.day()["snapshot"]["seq"] == 2
    assert box.day()["snapshot"]["seq"] == 3


def test_command_line_accepts_a_set_and_a_key(box, capsys):
    box.day()
    old = path(box, "kept.key")
    os.rename(path(box, "state/authentication.key"), old)
    config = path(box, "unit.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump(
            {
                "stack": "unit",
                "state_dir": path(box, "state"),
                "repository": {"engine": "files", "path": path(box, "repo")},
                "reserve_mib": 0,
                "sources": [{"name": "data", "kind": "directory", "path": box.files}],
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


def test_judgement_of_a_key_is_by_every_byte(tmp_path):
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
        with pytest.raises(StoreError, match="does not fit"):
            keys.judge(payload, given, 1)
    assert "another key" in keys.judge(b"payload", {**stated, "key": "0" * 16}, 1)
    with pytest.raises(StoreError, match="mapping"):
        keys.judge(b"payload", [stated], 1)
