# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a stack, as the user is told."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem


class ComposeError(OneboxError):
    """Nothing was changed, or as much as the text says. The text names what was wrong, where, and what to do."""


class BadStack(ComposeError):
    """The stack as declared must not be deployed; all reasons at once."""

    def __init__(self, name: str, problems: t.Sequence[Problem]) -> None:
        listed = "\n".join(f"- {problem.where}: {problem.message}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"stack {name} was not touched: {count}\n{listed}", problems=problems)


class Unhealthy(ComposeError):
    """The stack was changed, and is not well afterwards.

    Attributes:
        rows: the health of every service as far as it was seen.
    """

    def __init__(self, message: str, rows: t.Sequence[dict[str, t.Any]]) -> None:
        super().__init__(message)
        self.rows = list(rows)
