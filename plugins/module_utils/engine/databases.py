# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases: services whose data a copy of their files does not save."""

from __future__ import annotations

_WORDS = ("postgres", "redis", "valkey", "mysql", "mariadb", "mongo", "timescale", "pgvector", "influxdb")
# Programs that are named after a database and only read one.
_LOOKERS = ("exporter", "express", "insight", "commander", "admin", "ui")


def is_database(image: str) -> bool:
    """Whether ``image``, as a compose file names it, is a database by its name. A built image without a name is not."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    parts = name.replace("_", "-").split("-")
    return any(word in name for word in _WORDS) and not any(part.endswith(_LOOKERS) for part in parts)


def not_backed_up(service: str, image: str) -> str:
    """The warning about a database that no backup source names."""
    return (
        f"service {service} runs {image} and no backup source names it: its data is not backed up as a database; "
        "add one to backups_sources"
    )
