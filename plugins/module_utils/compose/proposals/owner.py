# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which user a service writes its data as, and say how that is known."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service

_NUMBERS = re.compile(r"(\d+)(?::(\d+))?")
_USER_NAMES = ("PUID", "USER_UID", "UID", "APP_UID", "USERMAP_UID", "USER_ID")
_GROUP_NAMES = ("PGID", "USER_GID", "GID", "APP_GID", "USERMAP_GID", "GROUP_ID")
# Images that are not here: publisher's documented user. The last name of the image, user, group.
_KNOWN = (
    (r"(?:postgres|postgis|pgvector|timescaledb)[^:]*:.*alpine.*", "70", "70"),
    (r"(?:postgres|postgis|pgvector|timescaledb)(?::.*)?", "999", "999"),
    (r"(?:mysql|mariadb|mongo|percona)(?::.*)?", "999", "999"),
    (r"(?:redis|valkey):.*alpine.*", "999", "1000"),
    (r"(?:redis|valkey)(?::.*)?", "999", "999"),
    (r"grafana(?:-oss|-enterprise)?(?::.*)?", "472", "0"),
    (r"(?:prometheus|alertmanager)(?::.*)?", "65534", "65534"),
    (r"(?:n8n|node-red)(?::.*)?", "1000", "1000"),
    (r"loki(?::.*)?", "10001", "10001"),
    (r"elasticsearch(?::.*)?", "1000", "0"),
)
_PRIVATE = re.compile(r"(?:postgres|postgis|pgvector|timescaledb)")


@dataclass(frozen=True)
class Owner:
    """Numbers of a user and a group, "" where they are not known, and the reason.

    Attributes:
        mode: of a data directory, for a program that insists on one; "" otherwise.
    """

    user: str
    group: str
    reason: str
    mode: str = ""


def of_service(service: Service, image: t.Mapping[str, t.Any] | None = None, process: str = "") -> Owner:
    """The user that ``service`` writes as.

    Args:
        image: the image as the engine shows it; None when it is not on this host.
        process: ``uid:gid`` of the main process of the running container, "" when there is none.
    """
    found = _found(service, image, process)
    private = found.user and _PRIVATE.match(_last_name(service.image))
    return replace(found, mode="0700") if private else found


def _last_name(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].lower()


def _found(service: Service, image: t.Mapping[str, t.Any] | None, process: str) -> Owner:
    numbers = _NUMBERS.fullmatch(service.user)
    if numbers:
        return Owner(numbers[1], numbers[2] or "", f"user: {service.user} of service {service.name}")
    for user, group in zip(_USER_NAMES, _GROUP_NAMES):
        uid, gid = service.environment.get(user) or "", service.environment.get(group) or ""
        if uid.isdigit():
            return Owner(uid, gid if gid.isdigit() else "", f"{user}={uid} of service {service.name}")
    running = _NUMBERS.fullmatch(process)
    if running and running[1] != "0":
        return Owner(running[1], running[2] or "", f"the running container of service {service.name}")
    of_image = str((image.get("Config") or {}).get("User") or "") if image is not None else ""
    for pattern, uid, gid in _KNOWN if not service.user and not of_image else ():
        if re.fullmatch(pattern, _last_name(service.image)):
            return Owner(uid, gid, f"image {service.image} is known to run as {uid}:{gid}")
    if image is not None:
        return _of_image(service, of_image)
    if service.user:
        return Owner("", "", f"user: {service.user} of service {service.name} is a name, and its number is not known")
    return Owner("", "", f"image {service.image} is not here, so its user is not known")


def _of_image(service: Service, user: str) -> Owner:
    numbers = _NUMBERS.fullmatch(user)
    if numbers and not service.user:
        return Owner(numbers[1], numbers[2] or "", f"USER {user} of image {service.image}")
    if not user and not service.user:
        return Owner("", "", f"image {service.image} starts as root and gives its data away itself")
    return Owner("", "", f"the user {service.user or user} of image {service.image} is a name without a number here")
