# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that hold the only copy of their data in a form that a copy of its files does not save: databases."""

from __future__ import annotations

_WORDS = ("postgres", "redis", "valkey", "mysql", "mariadb", "mongo", "timescale", "pgvector", "influxdb")
# Programs that are named after a database and only look at one.
_LOOKERS = ("exporter", "express", "insight", "commander", "admin", "ui")


def is_database(image: str) -> bool:
    """Whether ``image``, as a compose file names it, is a database by its name. A built one without a name is not."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    parts = name.replace("_", "-").split("-")
    return any(word in name for word in _WORDS) and not any(part.endswith(_LOOKERS) for part in parts)


def not_backed_up(service: str, image: str) -> str:
    """What a person is told of a database that no backup source names."""
    return (
        f"service {service} runs {image} and no backup source names it: its data is not backed up as a database; "
        "add one to backups_sources"
    )
