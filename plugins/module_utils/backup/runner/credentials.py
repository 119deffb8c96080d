# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as systemd hands them to a unit: copies in a directory of its own that only this unit reads.

A unit with ``LoadCredential=coin.key:/etc/onebox/backup/coin.key`` finds the file as ``coin.key`` below
``$CREDENTIALS_DIRECTORY`` (systemd.exec(5)); the unit itself need not be able to open the original. Run by hand there
is no such directory, and the files of the configuration are read where they are.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import BackupConfig, RepositorySpec


def handed_over(config: BackupConfig, environment: t.Mapping[str, str]) -> BackupConfig:
    """The configuration, with each secret file that systemd handed over read from there."""
    folder = environment.get("CREDENTIALS_DIRECTORY", "")

    def place(path: str) -> str:
        copy = os.path.join(folder, os.path.basename(path))
        return copy if folder and path and os.path.isfile(copy) else path

    def repository(spec: RepositorySpec) -> RepositorySpec:
        return dataclasses.replace(
            spec, password_file=place(spec.password_file), environment_file=place(spec.environment_file)
        )

    webhook = config.webhook
    return dataclasses.replace(
        config,
        authentication_file=place(config.authentication_file),
        repository=repository(config.repository),
        offsite=repository(config.offsite) if config.offsite else None,
        webhook=dataclasses.replace(webhook, url_file=place(webhook.url_file)) if webhook else None,
    )
