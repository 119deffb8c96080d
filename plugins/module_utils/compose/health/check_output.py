# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a failing healthcheck. It is not in the log of the container, and engines keep the last five."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_MOST = 300


def last_failure(container: Container, hide: t.Callable[[str], str]) -> str:
    """The exit code and the output, in one line, of the last healthcheck that failed; "" when none did.

    Args:
        hide: masks secrets in a text.
    """
    state = container.raw.get("State") or {}
    rows = (state.get("Health") or state.get("Healthcheck") or {}).get("Log") or ()
    failed = [row for row in rows if isinstance(row, dict) and row.get("ExitCode")]
    if not failed:
        return ""
    return _words(failed[-1], hide)


def _words(row: t.Mapping[str, t.Any], hide: t.Callable[[str], str]) -> str:
    # Masked before it is cut: half a secret is not recognized.
    said = hide(str(row.get("Output") or ""))
    said = " | ".join(line.strip() for line in said.splitlines() if line.strip())
    said = "".join(letter if letter.isprintable() else " " for letter in said)
    if len(said) > _MOST:
        said = "… " + said[-_MOST:]
    return f"the check ended with exit code {row['ExitCode']}" + (f" and printed: {said}" if said else "")
