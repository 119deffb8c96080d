# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the role compose_stack sends a stack's files: a small one with the module's options, a large one by rsync."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import bundle as received
from ansible_collections.onebox.stack.plugins.plugin_utils import bundle

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAMES = ("bundle", "staging_dir", "staged_dir")
COPIED = {"__compose_stack_staging": {"path": "/tmp/x.onebox"}}
# Another process, because the collection loader of Ansible replaces the one of these tests.
PROGRAM = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
init_plugin_loader()
loader, given = DataLoader(), json.load(sys.stdin)
variables = loader.load_from_file("roles/compose_stack/vars/main.yml", trusted_as_template=True) | given
templar = Templar(loader=loader, variables=variables)
names = ("by_rsync", "bundle", "staging_dir", "staged_dir")
print(json.dumps({name: templar.template(variables["__compose_stack_" + name]) for name in names}))
"""


def options(source: str, content: t.Sequence[t.Mapping[str, str]] = (), **more: t.Any) -> dict[str, t.Any]:
    """The options for the files that the role passes to the module."""
    given = {"compose_stack_source": source, "compose_stack_content": list(content), "omit": "OMITTED", **more}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(given),
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, t.Any] = json.loads(found.stdout)
    return result


@pytest.fixture
def stack(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "blog" / "app").mkdir(parents=True)
    (tmp_path / "blog" / "compose.yml").write_text("services: {}\n")
    (tmp_path / "blog" / ".onebox-stack").write_text("blog\n")
    (tmp_path / "blog" / "app" / "x.pyc").write_text("")
    return tmp_path / "blog"


def test_small_stack_and_its_content_are_options_of_the_module(stack: pathlib.Path, tmp_path: pathlib.Path):
    found = options(str(stack), [{"src": f"{stack}/app/", "dest": "/srv/app"}])
    assert (found["by_rsync"], found["staging_dir"], found["staged_dir"]) == (False, "OMITTED", "OMITTED")
    (tmp_path / "here").mkdir(mode=0o700)
    received.unpack(found["bundle"], str(tmp_path / "here"))
    names = sorted(str(path.relative_to(tmp_path / "here")) for path in (tmp_path / "here").rglob("*"))
    assert names == ["content-0", "files", "files/app", "files/compose.yml"]


def test_large_stack_is_copied_by_rsync(stack: pathlib.Path):
    with open(stack / "large", "wb") as file:
        file.truncate(bundle.MOST_BYTES + 1)
    found = options(str(stack), **COPIED)
    wanted = {"staging_dir": "/tmp/x.onebox", "staged_dir": "/tmp/x.onebox/files"}
    assert found == {"by_rsync": True, "bundle": "OMITTED", **wanted}
    found = options("", [{"src": f"{stack}/", "dest": "/srv"}], **COPIED)
    assert found == {"by_rsync": True, "bundle": "OMITTED", **wanted, "staged_dir": "OMITTED"}


def test_stack_without_files_on_the_controller_has_none_of_the_options():
    assert options("", **COPIED) == {"by_rsync": False, **dict.fromkeys(NAMES, "OMITTED")}


def test_earlier_copy_of_the_same_run_is_not_used_for_a_small_stack(stack: pathlib.Path):
    assert options(str(stack), **COPIED)["staging_dir"] == "OMITTED"
