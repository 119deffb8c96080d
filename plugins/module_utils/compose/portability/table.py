# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a fact about another orchestrator, and all facts."""

from __future__ import annotations

from dataclasses import dataclass

SWARM = "swarm"
KUBERNETES = "kubernetes"
TARGETS = (SWARM, KUBERNETES)
# What a target does with a construct, from harmless to severe. "" is nothing.
CHANGE = "change"
DROP = "drop"
REFUSE = "refuse"
EFFECTS = ("", CHANGE, DROP, REFUSE)


@dataclass(frozen=True)
class Construct:
    """One construct of compose files on one target.

    Attributes:
        name: the construct, usually its key in a service.
        effect: what the target does with the construct as it is written: one of :data:`EFFECTS`.
        remains: the effect that is left in a file rendered by this collection.
        happens: what happens, for a person.
        way_out: what to do, or what the rendered file contains instead.
        source: where the fact is from: the part of the target that decides it.
        target: one of :data:`TARGETS`.
    """

    name: str
    effect: str
    remains: str
    happens: str
    way_out: str
    source: str
    target: str
