# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts between two inspections: a container that ended in between is running at both."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

# With this many restarts it is a crash loop, and not one bad start.
LOOP = 3
# Average seconds between restarts in a crash loop. With more, restarts are reported and the container is healthy.
_SHORT_LIFE = 60.0
# The number of restarts that lengthen the time for which it must run.
_MOST_COUNTED = 9


@dataclass(frozen=True)
class Baseline:
    """The restarts that the engine had counted when a deploy began.

    Attributes:
        counts: container id -> restarts until the last run. A container that is not in it is new.
        since: container id -> since when newer ones count, seconds since 1970.
        everything: whether ``counts`` is complete. Otherwise, the first inspection of a container decides.
    """

    counts: t.Mapping[str, int] = field(default_factory=dict)
    since: t.Mapping[str, float] = field(default_factory=dict)
    everything: bool = False

    @classmethod
    def of(cls, containers: t.Sequence[Container], memory: Memory) -> Baseline:
        """The baseline of a run that found ``containers``."""
        counts = {}
        since = {}
        for container in containers:
            record = memory.records.get(container.id)
            counts[container.id] = record.restarts if record is not None and memory.at else container.restart_count
            since[container.id] = max(memory.at, epoch_of(container.created))
        return cls(counts, since, True)

    def is_new(self, container: Container) -> bool:
        """Whether it was created since."""
        return self.everything and container.id not in self.counts

    def restarts(self, container: Container, first: int) -> int:
        """The number of its restarts since.

        Args:
            first: the count at its first inspection.
        """
        before = 0 if self.is_new(container) else self.counts.get(container.id, first)
        # An engine counts from 0 again when a person restarts the container.
        return container.restart_count - before if before <= container.restart_count else container.restart_count

    def short_lived(self, container: Container, restarts: int, now: float) -> bool:
        """Whether it ran only briefly on average since, so that it may be in a crash loop."""
        if not restarts:
            return False
        return self.is_new(container) or (now - self.since.get(container.id, 0.0)) / restarts < _SHORT_LIFE


UNKNOWN = Baseline()


def settle_factor(restarts: int) -> int:
    """The factor by which a container with this many restarts must run longer than others."""
    return 1 + min(restarts, _MOST_COUNTED)


def warnings(containers: t.Sequence[Container], memory: Memory, engine: str) -> list[str]:
    """One warning for each container that was restarted since the last run.

    Args:
        engine: docker or podman, for the command in the text.
    """
    baseline = Baseline.of(containers, memory)
    found = []
    for container in containers:
        count = baseline.restarts(container, container.restart_count)
        if count:
            times = "once" if count == 1 else f"{count} times"
            found.append(
                f"service {container.service}: its container ended and was restarted {times} since the last run. To "
                f"find the cause, type: {engine} logs {container.name}"
            )
    return found
