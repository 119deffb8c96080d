# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the last report of a stack."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.report.collect import VERSION


class ReportError(Exception):
    """A report cannot be kept or shown; the text says why, and what to do."""


def path_of(state_dir: str, project: str) -> str:
    return os.path.join(state_dir, project, "report.json")


def save(path: str, report: t.Mapping[str, t.Any]) -> None:
    """Keep ``report`` at ``path``, in one step, readable for its owner only."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".report-", dir=os.path.dirname(path))
        try:
            with os.fdopen(fd, "w") as file:
                json.dump(report, file, indent=1)
                file.write("\n")
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ReportError(f"the report cannot be written to {path}: {error.strerror}") from error


def load(path: str) -> dict[str, t.Any]:
    """The report kept at ``path``."""
    try:
        with open(path) as file:
            report = json.load(file)
    except FileNotFoundError:
        raise ReportError(f"there is no report at {path} yet: run site.yml first") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"the report at {path} cannot be read ({error}): run site.yml to make a new one") from error
    if not isinstance(report, dict) or report.get("version") != VERSION:
        raise ReportError(f"the report at {path} is of another version: run site.yml to make a new one")
    return report
