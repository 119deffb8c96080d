# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of .venv keep Ansible's state in their own checkout, also without make."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

SETUP = pathlib.Path(__file__).resolve().parents[3] / "tools" / "setup.py"


@pytest.fixture
def python(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The Python of a virtual environment that tools/setup.py has prepared, in a checkout with an awkward name."""
    venv = tmp_path / "my chéckout" / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    spec = importlib.util.spec_from_file_location("onebox_setup", SETUP)
    assert spec is not None
    assert spec.loader is not None
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    monkeypatch.setattr(setup, "VENV", venv)
    setup.state_in_checkout()
    return venv / "bin" / "python"


def ansible_home(python: pathlib.Path, env: dict[str, str]) -> str:
    argv = [str(python), "-c", "import os; print(os.environ['ANSIBLE_HOME'])"]
    return subprocess.run(argv, env=env, capture_output=True, encoding="utf-8", check=True).stdout.strip()


def test_ansible_home_unset_is_in_the_checkout(python: pathlib.Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "ANSIBLE_HOME"}
    assert ansible_home(python, env) == str(python.parents[2] / ".ansible")


def test_ansible_home_exported_has_precedence(python: pathlib.Path) -> None:
    assert ansible_home(python, {**os.environ, "ANSIBLE_HOME": "/elsewhere"}) == "/elsewhere"
