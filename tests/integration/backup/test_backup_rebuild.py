# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery of a lost host: a destroyed stack is restored from off-site, with the key alone.

The same with Ansible, on hosts with systemd, is the Molecule scenario backups_rebuild.
"""

from __future__ import annotations

import json
import secrets
import shutil

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import Stack, load, restic_programs


def away(stack, server, cert):
    """The backup configuration of a host: a local and an off-site repository."""
    (stack.base / "key").write_text("the key\n", encoding="utf-8")
    # Next to backup.json, with a copy next to that of the other key.
    (stack.base / "backup.authentication").touch(mode=0o600)
    (stack.base / "backup.authentication").write_text("the key that vouches for sets of this stack\n", encoding="utf-8")
    (stack.base / "env").write_text(
        f"RESTIC_REST_USERNAME=obx\nRESTIC_REST_PASSWORD=pw\nRESTIC_CACERT={cert}\n", encoding="utf-8"
    )
    common = {
        "engine": "restic",
        "password_file": str(stack.base / "key"),
        "program": str(restic_programs() / "restic"),
    }
    place = {"path": f"rest:https://127.0.0.1:{server.port}/obx/stack", "environment_file": str(stack.base / "env")}
    stack.config(repository={**common, "path": str(stack.repo)}, offsite={**common, **place})
    return lambda: contexts.make(configuration.read(str(stack.base / "backup.json")), World.real())


def test_destroyed_stack_is_restored_from_off_site_alone(images, tmp_path):
    name = f"obx-backup-{secrets.token_hex(3)}"
    server = load("offsite").rest_server(restic_programs() / "restic-rest-server", tmp_path, "obx", "pw")
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = (Stack(name, tmp_path / site, ("pg17", "valkey8")) for site in ("old", "new"))
    with server:
        try:
            old.start(images)
            old.fill()
            site = away(old, server, tmp_path / "tls.crt")
            report = run.backup(site())
            assert report["error"] == ""
            assert report["offsite"]["lag"] == 0
            rows = old.sql("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM trades t;")
            large = (old.files / "a file").read_bytes()
            env = (old.base / ".env").read_text(encoding="utf-8")
        finally:
            old.stop()
        old.sqlite.close()
        shutil.rmtree(tmp_path / "old")
        try:
            # The new host: the empty deployed stack, its backup configuration, and the key.
            new.start(images)
            site = away(new, server, tmp_path / "tls.crt")
            before = json.loads((new.base / "backup.json").read_text(encoding="utf-8"))
            request = restore.Request(where="offsite")
            shown = restore.restore(site(), request)
            assert shown["done"] is False
            assert len(shown["steps"]) >= 4
            report = restore.restore(site(), request, confirm=name)
            assert report["error"] == ""
            assert [row["ok"] for row in report["sources"]] == [True] * 4
            assert new.sql("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM trades t;") == rows
            assert new.redis("DBSIZE") == "5001"
            assert (new.files / "a file").read_bytes() == large
            # Compose files are only written to the configured paths of this host, the others elsewhere by name.
            assert f"file {tmp_path}/old/.env of set 1 is not in the backup configuration" in "; ".join(
                report["warnings"]
            )
            assert not (tmp_path / "old").exists()
            apart = restore.Request(where="offsite", sources=("stack",), into=str(tmp_path / "back"))
            assert restore.restore(site(), apart, confirm=name)["error"] == ""
            assert (tmp_path / f"back{tmp_path}/old/.env").read_text(encoding="utf-8") == env
            assert json.loads((new.base / "backup.json").read_text(encoding="utf-8")) == before
            (new.base / "compose.yml").write_text("services: {}\n", encoding="utf-8")
            (new.base / ".env").write_text(env, encoding="utf-8")
            # Backups continue: the next set has the next number, locally and off-site, and can be restored.
            after = run.backup(site())
            assert after["error"] == ""
            assert after["snapshot"]["seq"] == 2
            assert after["offsite"]["lag"] == 0
            assert rehearse.rehearse(site(), where="offsite")["error"] == ""
        finally:
            new.stop()
