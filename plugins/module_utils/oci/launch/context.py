# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The context of each step of a launch: the spec, the waiting times, the cloud, the state and the world."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier, protocol
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import FinalAnswer, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import SKIP_SECONDS, Policy
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import LaunchSpec, Size
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known, State

# Time for which the figures of the tenancy are used before they are read again.
USAGE_SECONDS = 3600.0


@dataclass(frozen=True)
class Target:
    """Domain and size of the next request."""

    domain: str
    fault_domain: str
    size: Size

    def __str__(self) -> str:
        return " ".join(part for part in (self.domain, self.fault_domain, f"({self.size})") if part)


@dataclass
class Context:
    """One launch loop.

    ``save`` writes the state and returns when it is on the disk. ``replace`` allows a new instance in place of one that
    ran and was terminated. ``domains`` may be empty, for all of the region.
    ``confirm`` is the OCID of the one instance that the owner confirmed, "" without one. ``warnings`` collects warnings
    for the result. ``listed_at`` is when the list was last read for the followed instance, in seconds of the monotonic
    clock; ``usage`` is the usage of the tenancy at ``usage_at``.
    """

    spec: LaunchSpec
    policy: Policy
    cloud: protocol.Cloud
    state: State
    save: t.Callable[[State], None]
    world: World
    tell: events.Teller
    domains: t.Sequence[str]
    max_attempts: int = 0
    replace: bool = False
    confirm: str = ""
    warnings: list[str] = field(default_factory=list)
    listed_at: float | None = None
    usage: freetier.Usage | None = None
    usage_at: float = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self.world.epoch()

    def say(self, kind: str, text: str, wait: float | None = None) -> None:
        """Report one event."""
        state = self.state
        self.tell(events.Event(kind, state.name, text, state.attempts, self.now(), state.created_at, wait))

    def rest(self, seconds: float, why: str, kind: str, text: str) -> None:
        """Send nothing for ``seconds``. Record that, then report it."""
        self.state.wait_for(seconds, self.now(), why)
        self.save(self.state)
        self.say(kind, text, seconds)

    def find_domains(self) -> None:
        """Use all availability domains of the region. Raises :class:`OciError` if none is visible."""
        self.domains = self.cloud.domains()
        if not self.domains:
            raise OciError(
                f"{self.state.place} shows no availability domain to this user. Check compartment_id and the region."
            )

    def targets(self) -> list[Target]:
        """The requests of one round in order: larger sizes first, the first domain shifting from round to round."""
        shift = self.state.round % len(self.domains)
        domains = [*self.domains[shift:], *self.domains[:shift]]
        pairs = [(domain, fault) for domain in domains for fault in self.spec.fault_domains or ("",)]
        return [Target(domain, fault, size) for size in self.spec.sizes for domain, fault in pairs]

    def next_target(self) -> Target | None:
        """The next target of this round that is not skipped, None at the end of the round.

        Raises:
            FinalAnswer: no domain is left at all.
        """
        now = self.now()
        self.state.skipped = {
            name: until for name, until in self.state.skipped.items() if 0 < until - now <= SKIP_SECONDS
        }
        targets = self.targets()
        if all(target.domain in self.state.skipped for target in targets):
            self.save(self.state)
            raise FinalAnswer(
                f"no availability domain of {self.state.place} has the shape {self.spec.shape} (tried: "
                f"{', '.join(self.domains)}). Choose another shape, or another region."
            )
        while self.state.turn < len(targets):
            if targets[self.state.turn].domain not in self.state.skipped:
                return targets[self.state.turn]
            self.state.turn += 1
        return None

    def turn_over(self, kind: str, text: str) -> bool:
        """Continue with the next target, or end the round, and wait. Returns whether the round is over."""
        self.state.turn += 1
        target = self.next_target()
        asked = [each for each in self.targets() if each.domain not in self.state.skipped]
        wait = self.policy.capacity_wait(len(asked), self.world.random)
        if target is None:
            self.state.round += 1
            self.state.turn = 0
            self.rest(wait, "capacity", kind, text)
            return True
        self.rest(wait, "pause", kind, f"{text}; then {target.domain}")
        return False

    def check_free(self, others: t.Sequence[protocol.Json]) -> None:
        """Refuse a size that would not be free in this tenancy. Raises :class:`OciError`.

        The figures of the limits service lag, so they count before the first request only: later they may still
        include an instance of ours that is gone. The instances of all compartments always count.
        """
        if self.spec.allow_paid:
            return
        now = self.world.monotonic()
        if self.usage is None or now - self.usage_at > USAGE_SECONDS:
            if not self.domains:
                self.find_domains()
            self.usage, self.usage_at = self.cloud.usage(self.spec.shape, self.domains), now
        # The next reading of the list handles an instance of ours that appears at this moment.
        rows = [row for row in self.usage.instances if not protocol.is_ours(dict(row), self.spec.name)]
        usage = dataclasses.replace(self.usage, instances=tuple(rows))
        if self.state.attempts:
            usage = dataclasses.replace(usage, ocpus=0.0, memory_gb=0.0, count=0.0, storage_gb=0)
        self.spec.check_allowance(others, usage)

    def adopt(self, row: protocol.Json, kind: str, text: str) -> None:
        """Record the instance. From now on, only this one is followed."""
        self.state.instance = Known(str(row["id"]), str(row.get("availabilityDomain") or ""), since=self.now())
        self.state.pending = None
        self.listed_at = None
        self.settled()
        self.rest(0.0, "starting", kind, text)

    def settled(self) -> None:
        """Reset the counters of failures after a good answer."""
        state = self.state
        state.throttle_level = state.network_failures = state.busy = state.settling = 0
        state.limit_since = None

    def remember(self, answer: errors.Answer) -> None:
        """Keep the last refusal for the result and for Oracle's support."""
        self.state.last_error = answer.as_result()
