# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floors of ``plugins/`` and further rules. The rules are in plugin_rules.py.

Each rule is also broken once, in files made for that, so that no rule passes because it checks nothing.
"""

from __future__ import annotations

import pathlib

import pytest
from plugin_rules import CHECKS
from plugin_sources import PACKAGE, Sources

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"


def written(plugins: pathlib.Path, files: dict[str, str]) -> Sources:
    """A folder of plugins with these files; ``{p}`` stands for the name of the collection's package."""
    for path, text in files.items():
        (plugins / path).parent.mkdir(parents=True, exist_ok=True)
        (plugins / path).write_text(text.replace("{p}", PACKAGE))
    return Sources(plugins)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(PLUGINS)


@pytest.mark.parametrize("rule", CHECKS)
def test_plugins_keep_the_rule(sources: Sources, rule: str) -> None:
    broken = list(CHECKS[rule](sources))
    assert not broken, f"{len(broken)} times {rule}:\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "files", "said"),
    [
        (
            "floors",
            {"module_utils/vm/a.py": "from {p}module_utils.mounts import b", "module_utils/mounts/b.py": ""},
            "plugins/module_utils/vm/a.py:1: imports module_utils/mounts/b.py. "
            "The domain vm may import: core, engine, vm.",
        ),
        (
            "floors",
            {
                "module_utils/backup/a.py": "def f():\n    import {p}module_utils.compose.b",
                "module_utils/compose/b.py": "",
            },
            "plugins/module_utils/backup/a.py:2: imports module_utils/compose/b.py. The domain backup may import: "
            "core, engine, vm, mounts, backup.",
        ),
        (
            "floors",
            {
                "module_utils/core/a.py": (
                    "import typing as t\nif t.TYPE_CHECKING:\n    from {p}module_utils.engine.b import C"
                ),
                "module_utils/engine/b.py": "class C: pass",
            },
            "plugins/module_utils/core/a.py:3: imports module_utils/engine/b.py. The domain core may import: core.",
        ),
        (
            "floors",
            {"module_utils/oci/a.py": "from {p}modules import b", "modules/b.py": ""},
            "plugins/module_utils/oci/a.py:1: imports modules/b.py. module_utils may import module_utils only.",
        ),
        (
            "floors",
            {"action/a.py": "from {p}modules.b import main", "modules/b.py": "def main(): pass"},
            "plugins/action/a.py:1: imports modules/b.py. No plugin imports another: move it to module_utils.",
        ),
        (
            "known_domains",
            {"module_utils/cloud/a.py": ""},
            "module_utils/cloud has no floor. Add it to plugin_rules.py and to docs/architecture.md.",
        ),
        (
            "joins",
            {
                "action/a.py": "from {p}module_utils.mac import b\nfrom {p}module_utils.oci import c",
                "module_utils/mac/b.py": "",
                "module_utils/oci/c.py": "",
            },
            "action/a.py joins mac and oci. Call one function of one domain, or add it to JOINS of plugin_rules.py.",
        ),
        ("joins", {}, "modules/stack_report.py joins no domains any more. Remove it from JOINS."),
        (
            "ansible",
            {"module_utils/dirs/a.py": "def f():\n    from ansible.module_utils.basic import AnsibleModule"},
            "plugins/module_utils/dirs/a.py:2: imports ansible.module_utils.basic.AnsibleModule. "
            "Only core/module.py may import Ansible.",
        ),
        (
            "relative",
            {"module_utils/mac/a.py": "from . import b", "module_utils/mac/b.py": ""},
            "plugins/module_utils/mac/a.py:1: a relative import. Write the whole name, beginning with " + PACKAGE,
        ),
        (
            "cycles",
            {
                "module_utils/vm/a.py": "from {p}module_utils.vm import b",
                "module_utils/vm/b.py": "def f():\n    from {p}module_utils.vm.a import g",
            },
            "module_utils/vm/a.py -> module_utils/vm/b.py -> module_utils/vm/a.py: a cycle of imports. "
            "Move what both need into a file of its own.",
        ),
        (
            "errors",
            {
                "module_utils/core/errors.py": "class OneboxError(Exception): pass",
                "module_utils/mac/a.py": "from {p}module_utils.mac.b import Base\nclass Worse(Base): pass",
                "module_utils/mac/b.py": "import http.client\nclass Base(http.client.HTTPException): pass",
            },
            "plugins/module_utils/mac/a.py:2: Worse is no OneboxError. Derive it from one.",
        ),
        (
            "temporary files",
            {"modules/a.py": "import tempfile\ntempfile.mkstemp()"},
            "plugins/modules/a.py:2: uses tempfile.mkstemp. Instead, write by core.files.replace or write_if_changed.",
        ),
        (
            "replacing",
            {"module_utils/mac/a.py": "from os import replace as move\nmove(1, 2)"},
            "plugins/module_utils/mac/a.py:2: uses os.replace. "
            "Instead, write single files by core.files.replace or write_if_changed.",
        ),
        (
            "replacing",
            {"module_utils/backup/sources/directory/tamper.py": ""},
            "module_utils/backup/sources/directory/tamper.py does not use os.replace or os.rename or os.renames "
            "any more. Remove its exception from plugin_rules.py.",
        ),
        (
            "locks",
            {"module_utils/mac/a.py": "import fcntl as f\nf.flock(1, f.LOCK_EX)"},
            "plugins/module_utils/mac/a.py:2: uses fcntl.flock. Instead, lock by core.lock.held or directory_held.",
        ),
        (
            "real paths",
            {"module_utils/mounts/a.py": "import os\nos.path.realpath('/')"},
            "plugins/module_utils/mounts/a.py:2: uses os.path.realpath. Instead, use core.paths.realpath.",
        ),
        (
            "archives",
            {"module_utils/mac/a.py": "import zipfile"},
            "plugins/module_utils/mac/a.py:1: uses zipfile. Instead, build the archive by core.zipapp.",
        ),
        (
            "http",
            {"module_utils/oci/a.py": "def f():\n    from urllib.request import urlopen"},
            "plugins/module_utils/oci/a.py:2: uses urllib.request.urlopen. "
            "Instead, use core.http, core.webhook, or engine.socket_http for a unix socket.",
        ),
        (
            "processes",
            {"module_utils/mac/a.py": "import subprocess\nsubprocess.run(['true'])"},
            "plugins/module_utils/mac/a.py:2: uses subprocess.run. "
            "Instead, call World.run, or core.process.start if the output is read while the program runs.",
        ),
        (
            "time and chance",
            {"module_utils/oci/a.py": "from time import sleep\ndef f(wait=sleep): pass"},
            "plugins/module_utils/oci/a.py:2: uses time.sleep. Instead, take a core.world.World.",
        ),
        (
            "time and chance",
            {"modules/a.py": "import random\nrandom.random()"},
            "plugins/modules/a.py:2: uses random.random. Instead, take a core.world.World.",
        ),
    ],
)
def test_broken_rule_names_file_and_reason(tmp_path: pathlib.Path, rule: str, files: dict[str, str], said: str) -> None:
    assert said in list(CHECKS[rule](written(tmp_path, files)))


def test_imports_that_the_floors_allow_are_not_reported(tmp_path: pathlib.Path) -> None:
    files = {
        "module_utils/core/errors.py": "class OneboxError(Exception): pass",
        "module_utils/core/world.py": "import random, time\nnow = time.time",
        "module_utils/engine/a.py": (
            "from {p}module_utils.core import errors\nclass Broken(errors.OneboxError, OSError): pass"
        ),
        "module_utils/vm/a.py": "import typing as t\nif t.TYPE_CHECKING:\n    from {p}module_utils.vm.b import B",
        "module_utils/vm/b.py": (
            "from {p}module_utils.vm import a\nfrom {p}module_utils.engine import a as e\nclass B: pass"
        ),
        "module_utils/compose/a.py": "from {p}module_utils.mounts.b import B",
        "module_utils/mounts/b.py": "class B: pass",
        "modules/a.py": "from {p}module_utils.compose import a\nfrom {p}module_utils.core import world",
    }
    sources = written(tmp_path, files)
    found = [line for check in CHECKS.values() for line in check(sources)]
    assert [line for line in found if " any more. " not in line] == []
