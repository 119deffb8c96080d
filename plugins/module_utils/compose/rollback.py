# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an earlier state of a stack back: after a deploy that failed, or since a person asks for it."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as outcome
from ansible_collections.onebox.stack.plugins.module_utils.compose.deploy import Deploy
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Look, Looker, Result, find_engine
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, OVERRIDE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import data_written
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import GoodSet, LastGood
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

# What a result says of the stack as it is.
_FINDINGS = ("health", "images", "mounts", "endpoints", "targets")


class Earlier(t.NamedTuple):
    """What a stack could be brought back to.

    Attributes:
        look: the stack as it is; None when its files cannot be read.
        present: the kept set it is; None when it is none of them.
        sets: the other kept sets, oldest first; at least one.
    """

    look: Look | None
    present: GoodSet | None
    sets: list[GoodSet]


def earlier(request: Request, looker: Looker, good: LastGood) -> Earlier:
    """Compare the stack with its kept sets.

    Raises:
        ComposeError: there is no other set than what runs.
        EngineError: the engine does not answer.
    """
    sets, present = good.sets(), None
    look: Look | None = None
    try:
        look = looker.look(judge_builds=False)
    except BadStack:
        pass  # then it is what one goes back from
    else:
        now = good.describe(look.model, look.facts.containers, good.digests(look.source, look.model))
        present = next((each for each in sets if each.same_as(now)), None)
        sets = [each for each in sets if not each.same_as(now)]
    if not sets:
        raise ComposeError(
            f"stack {request.name} has no earlier state that was well; a set is kept after each deploy that "
            "ends well, and keep says how many"
        )
    return Earlier(look, present, sets)


class Rollback:
    """Brings kept sets of a stack back.

    Args:
        request: what is wanted.
        world: processes, clock and environment.
        looker: looks at the stack.
        good: the stack's kept sets.
        deploy: carries out a plan.

    Attributes:
        rows: the plan that was carried out last.
    """

    def __init__(self, request: Request, world: World, looker: Looker, good: LastGood, deploy: Deploy) -> None:
        self._request = request
        self._world = world
        self._looker = looker
        self._good = good
        self._deploy = deploy
        self.rows: list[planning.Row] = []

    def after_failure(
        self, failure: str, result: Result, before: t.Sequence[Container], declared: t.Collection[str], began_at: float
    ) -> str:
        """Bring the newest set back after a deploy that failed, or the newest of the older ones that gets healthy.

        Args:
            failure: why it failed.
            result: filled in.
            before: the containers before the deploy.
            declared: files that decided what the stack was in the deploy.
            began_at: when the deploy began, seconds since 1970.

        Returns:
            The failure, and how going back ended.
        """
        sets = self._good.sets()
        if not sets:
            return f"{failure}\nThere is no earlier state that was well; the stack stays as it is, for you to look at."
        result["rollback_reason"] = failure
        result["data_written"] = data_written.writable(before, self._deploy.after)
        data = data_written.warning(self._request.name, result["data_written"], began_at, self._world)
        former = {row.id for row in before}
        with self._looker.timings.step("rollback"):
            found, attempt, worse = self._newest_well(sets, declared, former)
        said = [failure, *worse]
        if found is None:
            return "\n".join(filter(None, [*said, data]))
        result["rolled_back"] = True
        result["last_good"] = found.brief
        result["warnings"] += [each for each in attempt["warnings"] if each not in result["warnings"]]
        for key in _FINDINGS:
            result[key] = attempt[key]
        said.append(f"The stack was brought back to what was well at {found.at}, and is well again.")
        return "\n".join(filter(None, [*said, data]))

    def _newest_well(
        self, sets: t.Sequence[GoodSet], declared: t.Collection[str], former: t.Container[str] | None
    ) -> tuple[GoodSet | None, Result, list[str]]:
        """Try the sets, newest first. Returns the one that got healthy, its result, and why the newer ones did not."""
        worse: list[str] = []
        there = set(declared)
        for good in reversed(sets):
            attempt = outcome.empty(self._request.name)
            why = self._attempt(good, attempt, there, former)
            if not why:
                return good, attempt, worse
            worse.append(f"Going back to what was well at {good.at} failed too: {why}")
            there |= set(good.files)
        if len(sets) > 1:
            # All of them fail for the same reason, it seems. Once that has gone, the newest is the right one.
            self._attempt(sets[-1], outcome.empty(self._request.name), there, former)
            worse.append(f"The files and images of {sets[-1].at}, the newest of them, are in place.")
        return None, outcome.empty(self._request.name), worse

    def _attempt(
        self, good: GoodSet, result: Result, declared: t.Collection[str], former: t.Container[str] | None
    ) -> str:
        try:
            return self._restore(good, result, declared, former)
        except OneboxError as error:
            return str(error)

    def to(
        self,
        target: GoodSet,
        present: GoodSet | None,
        result: Result,
        declared: t.Collection[str] = (),
        before: t.Sequence[Container] = (),
    ) -> str:
        """Bring ``target`` back, and forget the sets that came after it.

        When it does not get healthy, ``present`` comes back, or the newest older set that does.

        Args:
            target: the set.
            present: the set that runs now; None when what runs was never well.
            result: filled in.
            declared: files that decide what the stack is now.
            before: the containers that run now.

        Returns:
            Why the stack is not well, "" when it is.

        Raises:
            OneboxError: the set cannot be brought back; its files may be in place already.
        """
        failure = self._restore(target, result, declared)
        result["rolled_back"] = not failure
        result["last_good"] = target.brief
        result["data_written"] = data_written.writable(self._deploy.after, before)
        if result["data_written"]:
            result["warnings"].append(data_written.left(result["data_written"]))
        if not failure:
            # What came after was left by a person's decision: it is not what to go back to.
            later = [each for each in self._good.sets() if each.number > target.number]
            self._good.forget(later, Tagger(find_engine(self._request, self._world), self._world))
        elif present is not None:
            failure += self._forward_again(present)
        else:
            failure = self._further_back(failure, target, result, declared)
        return failure

    def _further_back(self, failure: str, target: GoodSet, result: Result, declared: t.Collection[str]) -> str:
        """Bring the newest set back that is older than ``target`` and gets healthy. Returns what ``to`` returns."""
        older = [each for each in self._good.sets() if each.number < target.number]
        if not older:
            return failure
        found, attempt, worse = self._newest_well(older, {*declared, *target.files}, None)
        if found is None:
            return "\n".join([failure, *worse])
        for key in _FINDINGS:
            result[key] = attempt[key]
        result["rolled_back"], result["last_good"] = True, found.brief
        result["warnings"].append(
            f"What was well at {target.at} is not well any more, so what was well at {found.at} was brought back: "
            f"{failure}"
        )
        return ""

    def _restore(
        self,
        good: GoodSet,
        result: Result,
        declared: t.Collection[str],
        former: t.Container[str] | None = None,
    ) -> str:
        """Bring a set back. ``former``: containers that were there before a deployment that did not end well."""
        request = self._request
        engine = find_engine(request, self._world)
        names = () if request.files else (*FILE_NAMES, *OVERRIDE_NAMES)
        looked_for = [*names, *(() if request.env_file else (".env",))]
        copied = self._good.restore(
            good,
            request.project_dir,
            Tagger(engine, self._world),
            looked_for,
            declared=declared,
            at=self._world.now(),
        )
        look = self._looker.look(judge_builds=False)
        self.rows = look.rows
        result.update(self._looker.result(look))
        result["warnings"] += copied
        if former is not None:
            # A service that only the failed deployment knew may hold what those it came beside need, a port for one.
            added = [row for row in look.facts.containers if row.id not in former]
            unknown = {row.id: row.service for row in added if row.service not in look.model.services}
            self._deploy.actor_of(look, engine).remove_services(unknown)
        return self._deploy.run(look, result)

    def _forward_again(self, present: GoodSet) -> str:
        """What was well until a person left it is better than an earlier set that is well no more."""
        worse = self._attempt(present, outcome.empty(self._request.name), (), None)
        if worse:
            return f"\nBringing back what ran before, of {present.at}, failed too: {worse}"
        return f"\nWhat ran before, of {present.at}, was brought back, and is well again."
