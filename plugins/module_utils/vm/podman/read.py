# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read machines: from the configuration files of every provider, then from ``inspect`` with the machine's provider.

The files are read first because before podman 6 a command sees only one provider, and because only the files have the
volumes. This file does not change anything. Reading one machine costs one call of podman.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import health, model, paths
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman


def config_files(root: str, now: float) -> list[model.ConfigFile]:
    """Every machine's configuration below ``root``, by provider and name. ``now`` is in seconds since 1970.

    Raises:
        MachineError: a file cannot be read or is not a machine's configuration; the text names it.
    """
    found = []
    for provider in model.PROVIDERS:
        folder = os.path.join(root, provider)
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if not name.endswith(".json"):
                continue
            path = os.path.join(folder, name)
            try:
                with open(path, encoding="utf-8") as file:
                    data = json.load(file)
                    written = os.fstat(file.fileno()).st_mtime
                found.append(model.parse_config(data, provider, path, max(0.0, now - written)))
            except FileNotFoundError:
                continue  # removed after the directory was listed
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise MachineError(
                    f"{path} is not a machine's configuration that podman could use ({type(error).__name__}: {error}). "
                    "A killed podman leaves an incomplete file: move it away and create the machine again"
                ) from error
    return found


def choose(files: t.Sequence[model.ConfigFile], name: str, provider: str | None) -> model.ConfigFile | None:
    """The configuration of machine ``name``: the one of ``provider`` if there is one, else any provider's.

    Raises:
        MachineError: several providers have a machine of that name and none was requested.
    """
    named = [file for file in files if file.name == name]
    exact = [file for file in named if file.provider == provider]
    if exact:
        return exact[0]
    if len(named) > 1:
        where = ", ".join(file.provider for file in named)
        raise MachineError(
            f"each of the providers {where} has a machine {name}: set provider to choose one, or remove the unused one"
        )
    return named[0] if named else None


def leftovers(environ: t.Mapping[str, str], name: str) -> tuple[str, ...]:
    """Connections to a machine ``name``; they are leftovers if there is no such machine."""
    try:
        with open(paths.connections_file(environ), encoding="utf-8") as file:
            known = (json.load(file).get("Connection") or {}).get("Connections") or {}
        return tuple(one for one in (name, f"{name}-root") if known.get(one, {}).get("IsMachine"))
    except (OSError, ValueError, AttributeError):
        return ()


def default_connection(environ: t.Mapping[str, str]) -> str:
    """The default system connection of podman 5 and later, "" when there is none."""
    try:
        with open(paths.connections_file(environ), encoding="utf-8") as file:
            return str(((json.load(file) or {}).get("Connection") or {}).get("Default") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def complete(podman: Podman, config: model.ConfigFile, seen: model.Inspected, default: str) -> model.Machine:
    """Join the values of the file and of ``inspect`` with the health of the API."""
    alive = health.DEAD if seen.state == "stopped" else podman.ping(seen.socket)
    return model.Machine(
        config=config,
        state=seen.state,
        healthy=alive.ok and not config.starting,
        starting=config.starting,
        cpus=seen.cpus,
        memory_mib=seen.memory_mib,
        disk_gib=seen.disk_gib,
        rootful=seen.rootful,
        socket=seen.socket,
        ssh_port=seen.ssh_port,
        ssh_identity=seen.ssh_identity,
        last_up=seen.last_up,
        default=default == config.name + ("-root" if seen.rootful else ""),
        podman_client=podman.version_text,
        podman_server=alive.server,
        clock_drift=alive.drift,
        image_there=not config.image_path or os.path.exists(config.image_path),
    )


def configurations(podman: Podman) -> list[model.ConfigFile]:
    """Every machine's configuration of the client's user. Raises MachineError as :func:`config_files`."""
    return config_files(paths.config_root(podman.env), podman.world.epoch())


def machine(podman: Podman, name: str, provider: str | None = None) -> model.Machine | None:
    """The machine ``name``, or None. One call of podman, none when no provider has it.

    Raises:
        MachineError: it cannot be read, is of podman 4 under a later podman, or the name is in several providers.
    """
    config = choose(configurations(podman), name, provider)
    if config is None:
        return None
    _usable(podman, config)
    seen = podman.inspect(config.provider, [name])
    if not seen:
        raise MachineError(
            f"{config.path} exists, but podman does not know the machine {name}: it cannot use provider "
            f"{config.provider} here, or is older than the file; check with: podman machine inspect {name}"
        )
    return complete(podman, config, seen[0], default_connection(podman.env))


def machines(podman: Podman) -> list[model.Machine]:
    """Every machine of every provider; one call of podman for each provider that has one."""
    files = configurations(podman)
    default = default_connection(podman.env)
    found = []
    for provider in model.PROVIDERS:
        here = {file.name: file for file in files if file.provider == provider}
        if not here:
            continue
        for file in here.values():
            _usable(podman, file)
        for seen in podman.inspect(provider, list(here)):
            found.append(complete(podman, here[seen.name], seen, default))
    return sorted(found, key=lambda one: (one.name, one.provider))


def _usable(podman: Podman, config: model.ConfigFile) -> None:
    if config.version == 0 and podman.version >= (5, 0, 0):
        raise MachineError(
            f"{config.path} was created by podman 4, and podman {podman.version_text} cannot use it. Save the data of "
            "the machine with podman 4, move the file away (podman machine reset is not needed) and create the machine "
            "again"
        )
    if config.version > 0 and podman.version < (5, 0, 0):
        raise MachineError(
            f"{config.path} was created by podman 5 or later; podman {podman.version_text} cannot read it. Upgrade "
            "podman"
        )
