# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of a run on a stack."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem


class ComposeError(OneboxError):
    """Unless the text reports a change, nothing was changed. The text has the place, the problem and the fix."""


class BadStack(ComposeError):
    """The declared stack must not be deployed. Reports all reasons at once."""

    def __init__(self, name: str, problems: t.Sequence[Problem]) -> None:
        listed = "\n".join(f"- {problem.where}: {problem.message}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"stack {name} was not touched: {count}\n{listed}", problems=problems)


class Unhealthy(ComposeError):
    """The stack was changed, and is not healthy afterwards.

    Attributes:
        rows: the health of each service, as far as it is known.
    """

    def __init__(self, message: str, rows: t.Sequence[dict[str, t.Any]]) -> None:
        super().__init__(message)
        self.rows = list(rows)
