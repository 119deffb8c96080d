# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman's own generator reads rendered quadlets, and its commands have what the compose file declares."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import jobs
from render_lab import FOLDERS, ROOT, declared, order_of, rendered, write

sys.path.insert(0, str(ROOT / "tests" / "testbed" / "mac"))

import podman_cli  # noqa: E402

TRICKY = ["plain", "two words", 'a "quote"', "it's", "$HOME ${HOME} $$", "100% %n", "back\\slash", "semi;colon", "ä\t"]


@pytest.fixture(scope="module", params=["5.4.2", "5.8.6"])
def generator(request):
    return podman_cli.build(request.param) / "root/usr/libexec/podman/quadlet"


def _generated(generator: pathlib.Path, place: pathlib.Path) -> dict[str, str]:
    """Each service that Podman's generator makes of the units in a directory."""
    environ = {**os.environ, "QUADLET_UNIT_DIRS": str(place)}
    done = subprocess.run([str(generator), "-dryrun"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wrong = [line for line in done.stderr.splitlines() if "Loading source" not in line and "short-name" not in line]
    assert wrong == []
    parts = re.split(r"(?m)^---(\S+)---$", done.stdout)
    return dict(zip(parts[1::2], parts[2::2]))


def _after(words: list[str], flag: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == flag]


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_generator_makes_a_service_of_each_service_of_a_real_compose_file(generator, name, compose_tool, tmp_path):
    place = write(rendered(order_of(name, "quadlet", tmp_path)), tmp_path / "units")
    made = _generated(generator, place)
    services = {key: body for key, body in declared(name).items() if not body.get("profiles")}
    assert {f"obx-{name}-{key}.service" for key in services} <= set(made)
    for key, body in services.items():
        words = jobs.command_of(made[f"obx-{name}-{key}.service"])
        assert len(_after(words, "--publish")) == len(body.get("ports", []))
        targets = [word.split(":")[1] for word in _after(words, "-v")]
        for row in body.get("volumes", []):
            target = row["target"] if isinstance(row, dict) else re.sub(r"\$\{[^}]*\}", "x", row).split(":")[1]
            assert target in targets
        policy = body.get("restart", "no").split(":")[0]
        expected = {"no": "no", "on-failure": "on-failure"}.get(policy, "always")
        assert f"Restart={expected}" in made[f"obx-{name}-{key}.service"]


def test_words_reach_the_container_unchanged(generator, compose_tool, monkeypatch, tmp_path):
    body = {
        "image": "docker.io/library/tiny",
        "command": TRICKY,
        "labels": {f"label{at}": word for at, word in enumerate(TRICKY)},
        "healthcheck": {"test": ["CMD", *TRICKY]},
        "environment": {f"NAME{at}": word for at, word in enumerate(TRICKY)},
    }
    folder = tmp_path / "words"
    folder.mkdir()
    text = json.dumps({"services": {"web": body}}, ensure_ascii=False, indent=1).replace("$", "$$")
    (folder / "compose.yml").write_text(text)
    monkeypatch.setitem(FOLDERS, "words", folder)
    files = rendered(order_of("words", "quadlet", tmp_path))
    words = jobs.command_of(_generated(generator, write(files, tmp_path / "units"))["obx-words-web.service"])
    assert words[words.index("docker.io/library/tiny") + 1 :] == TRICKY
    assert sorted(_after(words, "--label")) == sorted(f"label{at}={word}" for at, word in enumerate(TRICKY))
    assert [json.loads(word.partition("=")[2]) for word in words if word.startswith("--health-cmd=")] == [TRICKY]
    shown = dict(word.split("=", 1) for word in _after(words, "--env"))
    kept = dict(line.split("=", 1) for line in files.get("obx-words-web.env", "").splitlines())
    assert {**shown, **kept} == body["environment"]
    assert [pathlib.Path(path).name for path in _after(words, "--env-file")] == (["obx-words-web.env"] if kept else [])
