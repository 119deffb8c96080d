# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the faults that the watch was shown, each with the command to type. A conftest.py imports both functions."""

from __future__ import annotations

import typing as t

import pytest

_SHOWN: list[tuple[str, str, str]] = []


@pytest.fixture
def shown() -> t.Callable[[str, str, str], None]:
    """Add a row to the table at the end: the fault, the finding, and the command."""
    return lambda fault, what, fix: _SHOWN.append((fault, what, fix))


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    """Print the table once, also if several folders of tests import it."""
    if not _SHOWN:
        return
    terminalreporter.section(f"{len(_SHOWN)} injected faults, each named with the command to type")
    for fault, what, fix in sorted(_SHOWN):
        terminalreporter.write_line(f"{fault}\n    {what}\n    $ {fix}")
    _SHOWN.clear()
