# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that podman-compose can only pass to Podman on a command line, which every user of the host can read."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.argv import (
    fits_line,
    read_by_podman,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service, pairs
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem


def problems(model: Model, driver: Driver, shown: t.Callable[[str], str]) -> list[Problem]:
    """One problem for each value that must not be on a command line and cannot leave it.

    Args:
        driver: the compose tool.
        shown: masks secrets.
    """
    if not driver.traits.values_on_command_line:
        return []
    return [
        Problem("on_command_line", f"service {service.name}", f"{what}, or use docker compose on Podman's socket.")
        for service in model.services.values()
        for what in _visible(service, shown)
    ]


def _visible(service: Service, shown: t.Callable[[str], str]) -> t.Iterator[str]:
    for name, value in service.environment.items():
        if value is not None and read_by_podman(name) and not fits_line(f"{name}={value}"):
            yield (
                f"environment.{name} would be on Podman's command line, which every user can read, because Podman "
                "reads a variable of this name itself and its value is not one line. Give it another name, or one "
                "line"
            )
    for name, value in service.labels.items():
        if not fits_line(f"{name}={value}") and shown(value) != value:
            yield (
                f"labels.{name} holds the value of a variable, and would be on Podman's command line, which every user "
                "can read, because it is not one line. Write it as one line"
            )
    for name, content in pairs((service.build or {}).get("args")).items():
        hidden = content is not None and shown(content) != content
        if hidden and read_by_podman(name) and not name.lower().endswith("_proxy"):
            yield (
                f"build.args.{name} would be on Podman's command line, which every user can read, because Podman "
                "reads a variable of this name itself. Give it another name"
            )
