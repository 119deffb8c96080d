# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of a run on a stack."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import needs
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem

_SHOWN_OF_A_KIND = 3


class ComposeError(OneboxError):
    """Unless the text reports a change, nothing was changed. The text has the place, the problem and the fix."""


class BadStack(ComposeError):
    """The declared stack must not be deployed. Reports all reasons at once."""

    def __init__(self, name: str, problems: t.Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        found = needs.of(problems)
        lines = [f"stack {name} was not touched: {count}", *_listed(problems), *needs.shown(found)]
        super().__init__("\n".join(lines), problems=problems, facts={"needs": found} if found else {})


def _listed(problems: t.Sequence[Problem]) -> t.Iterator[str]:
    """A line for each problem, each once. Of those that the block covers, a few of each kind stand for all."""
    covered: dict[str, int] = {}
    for problem in {(each.where, each.message): each for each in problems}.values():
        if problem.need:
            covered[problem.code] = covered.get(problem.code, 0) + 1
        if not problem.need or covered[problem.code] <= _SHOWN_OF_A_KIND:
            yield f"- {problem.where}: {problem.message}"
    for code, number in covered.items():
        if number > _SHOWN_OF_A_KIND:
            yield f"- and {number - _SHOWN_OF_A_KIND} more of the kind {code}"


class Unhealthy(ComposeError):
    """The stack was changed, and is not healthy afterwards.

    Attributes:
        rows: the health of each service, as far as it is known.
    """

    def __init__(self, message: str, rows: t.Sequence[dict[str, t.Any]]) -> None:
        super().__init__(message)
        self.rows = list(rows)
