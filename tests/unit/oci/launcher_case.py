# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A launcher on a simulated cloud, and the requests that it sent."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import NAME_TAG, Size
from oci_simulation import Clock, Run
from oci_world import World


def start(*script: str, domains: int = 1, otherwise: str = "ok", **options: t.Any) -> Run:
    clock = Clock()
    names = [f"Uocm:AP-CHUNCHEON-1-AD-{number + 1}" for number in range(domains)]
    world = World(lambda: clock.server, domains=names, script=list(script), otherwise=otherwise, page_size=1)
    return Run(world, clock, **options)


def words(run: Run) -> list[str]:
    return [word for unused, word, unused, unused in run.world.launches]


def times(run: Run) -> list[float]:
    return [when for when, unused, unused, unused in run.world.launches]


def tried_domains(run: Run) -> list[str]:
    return [str(body["availabilityDomain"])[-1] for unused, unused, unused, body in run.world.launches]


def stop_after(run: Run, kind: str, action: t.Callable[[], None]) -> None:
    """Run until the first unknown outcome, change the world with ``action``, and end this process."""
    launcher = run.start()
    launcher.step()
    action()
    raise StopIteration(kind)


def existing(run: Run, name: str, tag: str, ocpus: float = 2) -> None:
    body = run.spec.body(run.world.domains[0], "", Size(ocpus, 12), "old")
    body["displayName"], body["freeformTags"] = name, {NAME_TAG: tag}
    run.world._create(body, "ok", 0)
