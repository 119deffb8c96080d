# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a stack with the facts of each target: findings, a verdict for each service, and a score."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability import (
    find,
    kubernetes_facts,
    swarm_facts,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import (
    CHANGE,
    DROP,
    EFFECTS,
    REFUSE,
    TARGETS,
    Construct,
)

FACTS: tuple[Construct, ...] = (*swarm_facts.FACTS, *kubernetes_facts.FACTS)
# The verdict on a service, by the worst effect that remains.
MOVES, CHANGES, LOSES, STAYS = "moves", "changes", "loses", "stays"
VERDICTS = {"": MOVES, CHANGE: CHANGES, DROP: LOSES, REFUSE: STAYS}
_WORDS = {
    CHANGES: "moves, with changes",
    LOSES: "would lose something",
    STAYS: "cannot move",
}


@dataclass(frozen=True)
class Finding:
    """A construct of one service that a target drops, refuses or changes.

    Attributes:
        service: the service; "" for the form of a file.
        where: the service, or the compose file and its line.
        uses: the affected values, such as paths of devices.
        fact: what the target does with it.
    """

    service: str
    where: str
    uses: tuple[str, ...]
    fact: Construct

    def as_dict(self) -> dict[str, t.Any]:
        """The finding as modules return it."""
        fact = self.fact
        return {
            "service": self.service,
            "where": self.where,
            "construct": fact.name,
            "uses": list(self.uses),
            "target": fact.target,
            "effect": fact.effect,
            "remains": fact.remains,
            "happens": fact.happens,
            "way_out": fact.way_out,
            "source": fact.source,
        }


@dataclass(frozen=True)
class Assessment:
    """All findings about a stack.

    Attributes:
        verdicts: target -> service -> verdict, one of :data:`VERDICTS`.
    """

    findings: tuple[Finding, ...]
    verdicts: t.Mapping[str, t.Mapping[str, str]]

    def score(self, target: str) -> int:
        """Percent of the services that the rendered file runs without losing anything."""
        verdicts = list(self.verdicts[target].values())
        return 100 * sum(each in (MOVES, CHANGES) for each in verdicts) // len(verdicts)

    def lines(self) -> list[str]:
        """The report for a terminal, worst services first."""
        found: list[str] = []
        for target, verdicts in self.verdicts.items():
            move = [name for name, verdict in verdicts.items() if verdict in (MOVES, CHANGES)]
            found.append(f"{target}: {len(move)} of {len(verdicts)} services move ({self.score(target)} %)")
            order = sorted(verdicts, key=lambda name: list(VERDICTS.values()).index(verdicts[name]), reverse=True)
            for service in order:
                found += self._of_service(target, service, verdicts[service])
            solved = sorted({each.fact.name for each in self.findings if self._is_solved(each, target)})
            if solved:
                found.append(f"  solved in the rendered file: {', '.join(solved)}")
        return found

    def _is_solved(self, finding: Finding, target: str) -> bool:
        return finding.fact.target == target and not finding.fact.remains

    def _of_service(self, target: str, service: str, verdict: str) -> t.Iterator[str]:
        if verdict == MOVES:
            return
        yield f"  {service} {_WORDS[verdict]}:"
        rows = [each for each in self.findings if each.service == service and each.fact.target == target]
        for each in sorted(rows, key=lambda row: EFFECTS.index(row.fact.remains), reverse=True):
            if each.fact.remains:
                yield f"    {each.fact.name} ({', '.join(each.uses)}): {each.fact.happens} {each.fact.way_out}"


def assess(model: Model, texts: t.Mapping[str, str], targets: t.Sequence[str] = TARGETS) -> Assessment:
    """Compare a stack with the facts.

    Args:
        model: the resolved stack.
        texts: the text of each compose file, by its path.
        targets: the targets of the facts.
    """
    findings = []
    for fact in FACTS:
        if fact.target in targets:
            findings += list(_found(fact, model, texts))
    verdicts = {
        target: {name: _verdict(name, target, findings) for name in model.services}
        for target in TARGETS
        if target in targets
    }
    return Assessment(tuple(findings), verdicts)


def _found(fact: Construct, model: Model, texts: t.Mapping[str, str]) -> t.Iterator[Finding]:
    finder = find.FINDERS.get(fact.name)
    if finder is None:
        for path, text in texts.items():
            for key, line in find.in_text(text):
                if key == fact.name:
                    yield Finding("", f"{path}, line {line}", (), fact)
        return
    for name, service in model.services.items():
        uses = tuple(dict.fromkeys(finder(service, model)))
        if uses:
            yield Finding(name, f"service {name}", uses, fact)


def _verdict(service: str, target: str, findings: t.Sequence[Finding]) -> str:
    worst = max(
        (
            EFFECTS.index(each.fact.remains)
            for each in findings
            if each.service == service and each.fact.target == target
        ),
        default=0,
    )
    return VERDICTS[EFFECTS[worst]]
