# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of every error this collection raises."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One reason to refuse.

    Attributes:
        code: a fixed word that programs can match.
        where: the user's file, service or inventory variable.
        message: the problem and the way to fix it.
        need: what the inventory must declare: ``variable``, ``value`` as YAML, ``reason``. Empty if it cannot help.
    """

    code: str
    where: str
    message: str
    need: t.Mapping[str, str] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, t.Any]:
        """The problem as modules return it."""
        return {key: value for key, value in vars(self).items() if value or key != "need"}


class OneboxError(Exception):
    """Something cannot be done. The text names the place, the problem and the next step.

    A module fails with the text, an installed program prints it and ends with ``exit_code``.

    Attributes:
        problems: every reason, when there are several.
        facts: further values for the result of a module.
        exit_code: exit code of an installed program.
    """

    exit_code = 1

    def __init__(
        self,
        message: str = "",
        *,
        problems: t.Sequence[Problem] = (),
        facts: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.facts = dict(facts or {})
