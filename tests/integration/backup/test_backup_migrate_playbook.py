# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/migrate.yml on a real PostgreSQL 15, without the deployment at its end."""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets
import subprocess

import pytest
from backup_stack import ROOT, Stack


@pytest.fixture
def stack(images, tmp_path):
    made = Stack(f"obx-migrate-{secrets.token_hex(3)}", tmp_path)
    config = pathlib.Path(f"/etc/onebox/backup/{made.name}.json")
    try:
        made.start(images)
        config.parent.mkdir(parents=True, exist_ok=True)
        sources = [{"name": "db", "kind": "postgresql", "service": "db"}]
        config.write_text(json.dumps(made.configured(sources=sources)), encoding="utf-8")
        yield made
    finally:
        config.unlink(missing_ok=True)
        made.stop()


def play(stack, *words, **more):
    values = {
        "compose_stack_name": stack.name,
        "compose_stack_source": str(stack.base / "stack"),
        "ansible_python_interpreter": str(ROOT / ".venv/bin/python"),
        **more,
    }
    done = subprocess.run(
        [
            str(ROOT / ".venv/bin/ansible-playbook"), str(ROOT / "playbooks/migrate.yml"), "-i", "site,", "-c", "local",
            "-e", json.dumps(values), "--skip-tags", "deploy", *words,
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(stack.base / ".ansible")},
        cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=600, check=False,
    )  # fmt: skip
    changed = re.search(r"changed=(\d+)", done.stdout)
    assert not pathlib.Path(f"/var/lib/onebox-backup/{stack.name}-arriving").exists() or done.returncode != 0
    return done.returncode, int(changed.group(1)) if changed else -1, done.stdout + done.stderr


def test_migration_is_planned_refused_and_applied_once(stack):
    stack.sql("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 100);")
    move = stack.base / "move"
    move.mkdir()
    stack.do("exec", stack.db, "pg_dump", "-U", "coin", "-Fc", "-f", "/tmp/d", "-d", "coin")
    stack.do("cp", f"{stack.db}:/tmp/d", str(move / "coin.dump"))
    stack.sql("DROP TABLE t; CREATE TABLE mine (a int);")
    (stack.base / "stack/migrations").mkdir(parents=True)
    (stack.base / "stack/migrations/1.sql").write_text("ALTER TABLE t ADD COLUMN b int NOT NULL DEFAULT 7;")
    given = {
        "migrate_data_from": str(move),
        "migrate_data": [{"source": "db", "database": "coin", "file": "coin.dump"}],
        "migrate_sql": [{"source": "db", "database": "coin", "file": "1.sql"}],
    }
    code, changed, said = play(stack, "--check", **given)
    assert code == 0, said
    assert "tried in a throwaway server" in said
    assert "1.sql applied" in said
    assert stack.sql("SELECT to_regclass('mine') IS NOT NULL;") == "t"

    code, _changed, said = play(stack, confirm="another", **given)
    assert code != 0
    assert f"type the name of the stack: {stack.name}" in said
    assert stack.sql("SELECT to_regclass('mine') IS NOT NULL;") == "t"

    code, changed, said = play(stack, confirm=stack.name, **given)
    assert (code, changed) == (0, 1), said
    assert stack.sql("SELECT count(*), min(b) FROM t;") == "100|7"
    code, changed, said = play(stack, confirm=stack.name, **given)
    assert (code, changed) == (0, 0), said
    assert "nothing to do" in said

    # SQL alone: no confirmation is needed, and a backup is made before.
    (stack.base / "stack/migrations/2.sql").write_text("DELETE FROM t WHERE a > 50;")
    given = {"migrate_sql": [*given["migrate_sql"], {"source": "db", "database": "coin", "file": "2.sql"}]}
    code, changed, said = play(stack, **given)
    assert (code, changed) == (0, 2), said
    assert stack.sql("SELECT count(*) FROM t;") == "50"
    assert os.listdir(stack.repo / "sets") == ["000001"]
