# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of systemd: copies of secret files in a directory that only this unit can read.

A unit with ``LoadCredential=coin.key:/etc/onebox/backup/coin.key`` finds the file as ``coin.key`` below
``$CREDENTIALS_DIRECTORY`` (systemd.exec(5)), even if it cannot open the original. A manual run does not have that
directory and reads the configured files.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import BackupConfig, RepositorySpec


def handed_over(config: BackupConfig, environment: t.Mapping[str, str]) -> BackupConfig:
    """The configuration, with the path of each secret file that systemd copied replaced by that of the copy."""
    folder = environment.get("CREDENTIALS_DIRECTORY", "")

    def copied(path: str) -> str:
        copy = os.path.join(folder, os.path.basename(path))
        return copy if folder and path and os.path.isfile(copy) else path

    def repository(spec: RepositorySpec) -> RepositorySpec:
        return dataclasses.replace(
            spec, password_file=copied(spec.password_file), environment_file=copied(spec.environment_file)
        )

    webhook = config.webhook
    return dataclasses.replace(
        config,
        authentication_file=copied(config.authentication_file),
        repository=repository(config.repository),
        offsite=repository(config.offsite) if config.offsite else None,
        webhook=dataclasses.replace(webhook, url_file=copied(webhook.url_file)) if webhook else None,
    )
