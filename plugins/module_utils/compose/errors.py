# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a stack, as the user is told."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


class ComposeError(Exception):
    """Nothing was changed, or as much as the text says. The text names what was wrong, where, and what to do."""


@dataclass(frozen=True)
class Problem:
    """One reason not to touch the stack.

    Attributes:
        code: a fixed word a program can match on.
        where: the service, file or variable it is about.
        message: what is wrong and what to do, for a person.
    """

    code: str
    where: str
    message: str


class BadStack(ComposeError):
    """The stack as declared must not be deployed; all reasons at once."""

    def __init__(self, name: str, problems: t.Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"- {problem.where}: {problem.message}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"stack {name} was not touched: {count}\n{listed}")


class LockHeld(ComposeError):
    """Another run works on the same stack."""


class Unhealthy(ComposeError):
    """The stack was changed, and is not well afterwards.

    Attributes:
        rows: the health of every service as far as it was seen.
    """

    def __init__(self, message: str, rows: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        super().__init__(message)
        self.rows = list(rows)
