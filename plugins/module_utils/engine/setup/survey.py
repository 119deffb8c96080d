# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Survey a host: its engine, whether it runs a container, and missing packages."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import (
    advice,
    containers_conf,
    images,
    running_probe,
)
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.passed_probe import PassedProbe
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.preflight import PreflightError
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.probe import Probe, ProbeError


def look(name: str, world: World) -> tuple[Engine | None, str]:
    """The engine that answers, or None and why not.

    Raises:
        EngineError: the name is not an engine's.
    """
    try:
        return find(name, world=world), ""
    except EngineError as error:
        dead = advice.dead_docker(str(error), advice.has_systemd()) if name == "docker" else ""
        return None, dead or str(error)


def command_world(engine: Engine, world: World) -> World:
    """``world`` with an environment in which the engine's command talks to this engine, not to another one."""
    if engine.name == "docker" and engine.socket:
        return dataclasses.replace(world, environ={**world.environ, "DOCKER_HOST": f"unix://{engine.socket}"})
    return world


def is_rootless(engine: Engine, world: World) -> bool:
    """Whether the engine runs containers without root."""
    return not world.is_root and (engine.name == "podman" or not engine.socket.startswith("/var/run/"))


def prove(engine: Engine, drop_in: containers_conf.DropIn, world: World) -> bool:
    """Run the probe, and write the settings that Podman needs for it. Returns whether settings changed.

    Skipped if a running container shows the same, or if a probe passed since the boot and since the last change of
    the engine and its settings.

    Raises:
        PreflightError: the engine cannot run a container here.
    """
    if shutil.which(engine.name) is None:
        raise PreflightError(
            f"{engine.name} answers at {engine.socket}, but its command is not installed; install {engine.name}'s "
            "command line (Debian: docker-cli or docker.io, podman)"
        )
    change = running_probe.last_change(running_probe.places(drop_in.path, world.environ))
    passed = PassedProbe(engine, world)
    if passed.is_newer_than(change) or running_probe.by(engine.containers(), change):
        return False
    changed = _probe(engine, drop_in, world)
    passed.record()
    return changed


def _probe(engine: Engine, drop_in: containers_conf.DropIn, world: World) -> bool:
    probe = Probe(engine.name, command_world(engine, world))
    try:
        if engine.name == "podman":
            return drop_in.settle(probe, containers_conf.choices_here(), world)
        error = probe()
        if error:
            raise PreflightError(
                f"Docker answers but cannot run a container on this host: {error}. Its own log has details "
                "(journalctl -u docker, or the output of dockerd)."
            )
        return False
    except ProbeError as error:
        raise PreflightError(str(error)) from error
    except PreflightError as error:
        raise PreflightError(" ".join([str(error), *_hints(engine, world)])) from error
    finally:
        probe.clear()


def _hints(engine: Engine, world: World) -> list[str]:
    hints = []
    if engine.name == "podman" and not world.is_root:
        tunnel = os.access("/dev/net/tun", os.R_OK | os.W_OK)
        # Not the world's user: under sudo that is the caller, and the ranges are those of the user Podman runs as.
        hints += advice.rootless(pwd.getpwuid(world.uid).pw_name, advice.read_text, may_tunnel=tunnel)
    if engine.name == "podman" and world.environ.get("CONTAINERS_CONF"):
        hints.append(f"CONTAINERS_CONF is set, so Podman reads only {world.environ['CONTAINERS_CONF']}: unset it.")
    return hints


def missing_packages(wanted: t.Sequence[str], world: World) -> list[str]:
    """Which Debian packages of ``wanted`` are not installed; all of them without dpkg."""
    if not wanted:
        return []
    words = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Abbrev}\\n", *wanted]
    try:
        shown = world.run(words, timeout=60, check=False).stdout.splitlines()
    except process.CommandMissing:
        return list(wanted)
    there = {line.split(" ")[0] for line in shown if line.split(" ")[1:2] == ["ii"]}
    return [package for package in wanted if package not in there]


def builder_is_wanted(references: t.Sequence[str], world: World) -> bool:
    """Whether substitute images have to be built: their registry has no address here, and the builder is missing."""
    if shutil.which("mmdebstrap") or not references:
        return False
    return bool(images.unknown_registries(references, world))


def docker_starts_at_boot(world: World) -> bool:
    """Whether systemd starts Docker at boot."""
    try:
        asked = world.run(["systemctl", "is-enabled", "docker.service", "docker.socket"], timeout=30, check=False)
    except process.CommandError:
        return False
    return "enabled" in asked.stdout.split()
