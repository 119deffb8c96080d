# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the last report of a stack."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.report.collect import VERSION


class ReportError(OneboxError):
    """A report cannot be stored or shown. The text has the reason and the fix."""


def path_of(state_dir: str, project: str) -> str:
    return os.path.join(state_dir, project, "report.json")


def save(path: str, report: t.Mapping[str, t.Any]) -> None:
    """Keep ``report`` at ``path``, in one step, readable for its owner only. The next run writes it again.

    Raises:
        FileError: it cannot be written.
    """
    files.make_directories(os.path.dirname(path), 0o755)
    files.replace(path, (json.dumps(report, indent=1) + "\n").encode(), 0o600, durable=False)


def load(path: str) -> dict[str, t.Any]:
    """The report kept at ``path``.

    Raises:
        ReportError: there is none, or it is not one of this version.
        FileError: it cannot be read.
    """
    text = files.read_text(path)
    if not text:
        raise ReportError(f"there is no report at {path} yet: run site.yml first")
    try:
        report = json.loads(text)
    except ValueError as error:
        raise ReportError(f"the report at {path} cannot be read ({error}): run site.yml to make a new one") from error
    if not isinstance(report, dict) or report.get("version") != VERSION:
        raise ReportError(f"the report at {path} is of another version: run site.yml to make a new one")
    return report
