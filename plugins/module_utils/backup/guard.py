# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outermost handler: every exception becomes an error of this program, which status, metrics and webhook report.

An unexpected exception, such as one from the recursion depth or memory of hostile content, must be reported: a backup
that dies without a message seems to have succeeded.
"""

from __future__ import annotations

import contextlib
import traceback
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, Unexpected
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError


def unexpected(error: Exception, kind: type[BackupError] = Unexpected) -> BackupError:
    """Convert an unexpected exception to an error with its type, its text and its line."""
    frames = traceback.extract_tb(error.__traceback__, -1) if error.__traceback__ else []
    where = f" in {frames[-1].name} ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    text = f"unexpected {type(error).__name__}: {str(error)[:500]}{where}".strip()
    return kind(f"{text}. Committed sets are not lost. Report it with this line")


@contextlib.contextmanager
def everything(kind: type[BackupError] = Unexpected) -> t.Iterator[None]:
    """Convert exceptions of neither this collection nor the system to errors of this domain."""
    try:
        yield
    except (OneboxError, OSError):
        raise
    except Exception as error:
        raise unexpected(error, kind) from error
