# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines and stacks of the integration tests, and the attacks of the unit tests, for every kind of attack."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
for folder in ("integration/compose", "unit/compose"):
    sys.path.insert(0, str(TESTS / folder))


def _fixtures(path: pathlib.Path, name: str) -> None:
    """Make the fixtures of another folder's conftest those of this one."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    globals().update({key: value for key, value in vars(module).items() if not key.startswith("__")})


_fixtures(TESTS / "integration" / "conftest.py", "integration_fixtures")
_fixtures(TESTS / "integration" / "compose" / "conftest.py", "integration_compose_fixtures")
