# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy sets off-site."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import pruning, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import OffsiteError, StoreError, file_errors
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import BackupReport, OffsiteResult
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic import ResticStore


def update(context: Context, report: BackupReport) -> OffsiteError | None:
    """Copy the missing sets off-site and delete old ones there. Returns the error of the run."""
    if context.offsite is None:
        return None
    entry = OffsiteResult()
    report.offsite = entry
    try:
        with file_errors():
            _copy(context, context.offsite, entry)
    except StoreError as error:
        if entry.lag is None:
            # It cannot be queried, so it lacks the sets that it lacked before, and the set of this run.
            entry.lag = (status.offsite_lag(context) or 0) + 1
        entry.error = str(error)
        return OffsiteError(f"the set is committed locally, but not off-site: {error}")
    try:
        with file_errors():
            pruning.prune_offsite(context, context.offsite, entry)
    except StoreError as error:
        entry.error = str(error)
        return OffsiteError(f"the set is committed locally and off-site, but not pruned off-site: {error}")
    return None


def _copy(context: Context, offsite: ResticStore, entry: OffsiteResult) -> None:
    """Copy the missing sets, and count those that are missing afterwards. Raises :class:`StoreError`."""
    context.log(f"copying to {offsite.location}")
    offsite.prepare_copy()
    away = {found.seq: found for found in offsite.sets()}
    here = [found for found in context.store.sets() if found.manifest]
    for found in here:
        other = away.get(found.seq)
        if other and other.manifest and other.manifest != found.manifest:
            raise StoreError(
                f"set {found.seq} differs between the local and the off-site repository: the latter belongs to another "
                "host, or to this one before it was rebuilt. Name a new off-site repository and keep the old one to "
                "restore from"
            )
    missing = [found for found in here if found.seq not in away]
    if missing:
        # A configuration with off-site has a local restic repository, too.
        local = t.cast(ResticStore, context.store)
        offsite.copy_from(local, [found.id for found in missing])
    # An unreadable off-site set does not count: the local copy must not be deleted for it.
    good = {found.seq for found in offsite.sets() if found.manifest}
    lag = [found.seq for found in here if found.seq not in good]
    entry.place, entry.copied, entry.lag = offsite.location, sum(found.seq in good for found in missing), len(lag)
    if lag:
        raise StoreError(f"after the copy it lacks, or cannot read, {len(lag)} of the local sets, such as {lag[0]}")
