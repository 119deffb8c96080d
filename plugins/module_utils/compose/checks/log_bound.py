# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find services whose log can fill the disk: by default, engines do not limit the size of log files."""

from __future__ import annotations

import glob
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

# Drivers that write a file and rotate it only with a setting. Others keep logs elsewhere, or rotate by default.
_GROWING = ("json-file", "k8s-file")
# On one line, because the report and warnings of Ansible show one line.
_KEY = 'logging: {options: {max-size: 10m, max-file: "3"}}'
_NO_SIZE = re.compile(r"-?0*(b|kb|mb|gb|k|m|g)?|-\d.*", re.IGNORECASE)


class Default(t.NamedTuple):
    """The default of an engine for containers without a setting; ``driver`` is "" where it is unknown."""

    driver: str
    bounded: bool


def warning(model: Model, containers: t.Sequence[Container], engine: str, world: World) -> str:
    """One warning that names all services without a limit and the line to paste; "" when there are none.

    Args:
        containers: the containers of the stack. The engine recorded the driver of each.
        engine: docker or podman.
    """
    made = {container.service: container for container in containers}
    default = default_of(engine, world)
    found = sorted(
        name
        for name, service in model.services.items()
        if service.scale > 0 and not _bounded(service, made.get(name), default)
    )
    if not found:
        return ""
    return (
        f"logging: nothing bounds the size of the logs of {', '.join(found)}, so they can fill the disk. Add {_KEY} to "
        f"each of these services, or set {_SETTINGS[engine]} for all containers that are created from then on."
    )


def _bounded(service: Service, container: Container | None, default: Default) -> bool:
    declared = service.raw.get("logging") or {}
    options = declared.get("options") or {}
    driver = str(declared.get("driver") or "")
    made: dict[str, t.Any] = {}
    if container is not None:
        made = (container.raw.get("HostConfig") or {}).get("LogConfig") or {}
    if _size(options.get("max-size")):
        return True
    driver = driver or str(made.get("Type") or default.driver)
    if driver not in _GROWING:
        return True
    if declared:
        # The default of the engine applies to its own driver only.
        return default.bounded and driver == default.driver
    if made:
        return _size((made.get("Config") or {}).get("max-size")) or _size(made.get("Size")) or default.bounded
    return default.bounded


def _size(value: t.Any) -> bool:
    """Whether it is a size and not "no limit"."""
    text = str(value or "").strip()
    return bool(text) and not _NO_SIZE.fullmatch(text)


def default_of(engine: str, world: World) -> Default:
    """The default in the configuration of the engine, as far as this user may read it."""
    return _DEFAULTS[engine](world)


def _docker_default(world: World) -> Default:
    home = os.path.join(world.home, ".config/docker/daemon.json")
    data = _json("/etc/docker/daemon.json" if world.is_root else home)
    size = (data.get("log-opts") or {}).get("max-size") if isinstance(data.get("log-opts"), dict) else None
    return Default(str(data.get("log-driver") or "json-file"), _size(size))


def _podman_default(world: World) -> Default:
    places = ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"]
    places += sorted(glob.glob("/etc/containers/containers.conf.d/*.conf"))
    if not world.is_root:
        places.append(os.path.join(world.home, ".config/containers/containers.conf"))
    driver = size_max = ""
    for place in places:
        text = _text(place)
        driver = _setting(text, "log_driver") or driver
        size_max = _setting(text, "log_size_max") or size_max
    return Default(driver, size_max.isdigit() and int(size_max) > 0)


# The setting that bounds the logs of all containers of an engine.
_SETTINGS = {
    "docker": '"log-opts": {"max-size": "10m", "max-file": "3"} in /etc/docker/daemon.json',
    "podman": "log_size_max = 10485760 below [containers] in /etc/containers/containers.conf",
}
_DEFAULTS: dict[str, t.Callable[[World], Default]] = {"docker": _docker_default, "podman": _podman_default}


def _setting(text: str, name: str) -> str:
    found = re.findall(rf'(?m)^\s*{name}\s*=\s*"?([\w-]+)"?', text)
    return str(found[-1]) if found else ""


def _json(path: str) -> dict[str, t.Any]:
    try:
        data = json.loads(_text(path) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _text(path: str) -> str:
    try:
        return files.read_text(path) or ""
    except files.FileError:
        return ""
