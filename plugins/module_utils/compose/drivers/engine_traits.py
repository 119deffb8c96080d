# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engines differ, as far as a deploy depends on it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


@dataclass(frozen=True)
class EngineTraits:
    """The differences of one engine.

    Attributes:
        has_secrets: keeps secrets that a compose file can call external.
        has_buildkit: builds with BuildKit.
        needs_probes: leaves healthchecks to systemd timers. Without systemd, nothing runs them.
        creates_sources: creates a missing bind source in the moment before it creates the container.
        keeps_namespace_owner: refuses to remove a container while another one lives in its namespaces.
        usual_sockets: the sockets its command line uses without a setting.
    """

    has_secrets: bool
    has_buildkit: bool
    needs_probes: bool
    creates_sources: bool
    keeps_namespace_owner: bool
    usual_sockets: tuple[str, ...] = ()


_DOCKER = EngineTraits(
    has_secrets=False,
    has_buildkit=True,
    needs_probes=False,
    creates_sources=False,
    keeps_namespace_owner=False,
    usual_sockets=("/var/run/docker.sock", "/run/docker.sock"),
)
_PODMAN = EngineTraits(
    has_secrets=True,
    has_buildkit=False,
    needs_probes=True,
    creates_sources=True,
    keeps_namespace_owner=True,
)


def traits_of(engine: Engine) -> EngineTraits:
    """The traits of an engine."""
    return _PODMAN if engine.name == "podman" else _DOCKER
