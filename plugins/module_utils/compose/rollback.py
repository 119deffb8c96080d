# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a release of a stack: after a failed deploy, or on request."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.deploy import Applier, Ended
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet import boot as quadlet_boot
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection, find_engine
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, OVERRIDE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import data_written
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers

_CHANGES = "all services (rollback)"


class Earlier(t.NamedTuple):
    """The releases that a stack can be rolled back to.

    Attributes:
        seen: the stack as it is; None when its files cannot be read.
        present: the release that runs; None when none of them does.
        releases: the other releases, oldest first; at least one.
    """

    seen: Inspection | None
    present: Release | None
    releases: list[Release]


class Rollback:
    """Restores releases of a stack.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request
        self._releases = run.releases
        self._applier = Applier(run)
        self._rows: list[planning.Row] = []

    def preview(self) -> Result:
        """The release that a run would restore.

        Raises:
            ComposeError, EngineError: no release can be restored, or the stack must not be changed.
        """
        found = self._earlier()
        result = self._result(found)
        self._run.refuse_in_freeze([_CHANGES])
        result.changed = True
        result.last_good = found.releases[-1].brief
        return result

    def run(self) -> Result:
        """Restore the newest release that does not run.

        Raises:
            ComposeError, EngineError: nothing was changed, or the files of the release cannot be restored.
        """
        found = self._earlier()
        result = self._result(found)
        engine = find_engine(self._request, self._run.world)
        self._run.refuse_foreign(project_containers(engine, self._request.name))
        self._run.refuse_in_freeze([_CHANGES])
        failure = self._to(found, result)
        return self._run.finish(result, self._rows, failure)

    def is_due(self, ended: Ended) -> bool:
        """Whether the files or images are not those of the newest release: a killed run could not restore it."""
        known = self._releases.sets()
        if not known:
            return False
        return not known[-1].runs(ended.judged, ended.after)

    def after_failure(self, ended: Ended) -> str:
        """Restore the newest release after a failed deploy, or the newest of the older ones that becomes healthy.

        Args:
            ended: the deploy. Its result is filled in.

        Returns:
            The failure of the deploy, and how the rollback ended.
        """
        known, result, failure = self._releases.sets(), ended.result, ended.failure
        if not known:
            return (
                f"{failure}\nThe stack has no earlier release, so it stays as it is. Inspect it, fix it and deploy "
                "again."
            )
        result.rollback_reason = failure
        result.data_written = data_written.writable(ended.before, ended.after)
        data = data_written.warning(self._request.name, result.data_written, ended.began_at, self._run.world)
        previous = {row.id for row in ended.before}
        with self._run.inspector.timings.step("rollback"):
            found, attempt, worse = self._newest_healthy(known, ended.judged, previous)
        said = [failure, *worse]
        if found is None:
            return "\n".join(filter(None, [*said, data]))
        result.rolled_back = True
        result.last_good = found.brief
        result.warnings += [each for each in attempt.warnings if each not in result.warnings]
        result.take_findings(attempt)
        said.append(f"The stack was rolled back to the release of {found.at}, and is healthy again.")
        return "\n".join(filter(None, [*said, data]))

    def _earlier(self) -> Earlier:
        """Compare the stack with its releases.

        Raises:
            ComposeError: there is no release but the one that runs.
            EngineError: the engine does not answer.
        """
        others, present = self._releases.sets(), None
        seen: Inspection | None = None
        try:
            seen = self._run.inspector.inspect(judge_builds=False)
        except BadStack:
            pass  # unreadable files are a reason to roll back
        else:
            judged = self._releases.digests(seen.source, seen.model)
            now = self._releases.describe(seen.model, seen.facts.containers, judged)
            present = next((each for each in others if each.same_as(now)), None)
            others = [each for each in others if not each.same_as(now)]
        if not others:
            raise ComposeError(
                f"stack {self._request.name} has no earlier release. Each healthy deploy keeps one, up to the "
                "number in keep"
            )
        return Earlier(seen, present, others)

    def _result(self, found: Earlier) -> Result:
        return self._run.inspector.result(found.seen) if found.seen else Result(self._request.name)

    def _to(self, found: Earlier, result: Result) -> str:
        """Restore the newest release that does not run, and forget the releases after it.

        If it does not become healthy, the release that runs now is restored, or the newest older one that does.

        Returns:
            Why the stack is not healthy; "" when it is.

        Raises:
            OneboxError: the release cannot be restored. Its files may be in place already.
        """
        target, seen = found.releases[-1], found.seen
        declared = self._releases.digests(seen.source, seen.model) if seen else {}
        before = seen.facts.containers if seen else ()
        failure = self._restore(target, result, declared)
        result.rolled_back = not failure
        result.last_good = target.brief
        result.data_written = data_written.writable(self._applier.after, before)
        if result.data_written:
            result.warnings.append(data_written.warning_on_request(result.data_written))
        if not failure:
            # A person decided against the later releases, so no rollback may restore them.
            later = [each for each in self._releases.sets() if each.number > target.number]
            engine = find_engine(self._request, self._run.world)
            self._releases.forget(later, Tagger(engine, self._run.world))
        elif found.present is not None:
            failure += self._restore_present(found.present)
        else:
            failure = self._restore_older(failure, target, result, declared)
        return failure

    def _restore_older(self, failure: str, target: Release, result: Result, declared: t.Collection[str]) -> str:
        """Restore the newest release older than ``target`` that becomes healthy. Returns a failure."""
        older = [each for each in self._releases.sets() if each.number < target.number]
        if not older:
            return failure
        found, attempt, worse = self._newest_healthy(older, {*declared, *target.files}, None)
        if found is None:
            return "\n".join([failure, *worse])
        result.take_findings(attempt)
        result.rolled_back, result.last_good = True, found.brief
        result.warnings.append(
            f"The release of {target.at} is not healthy any more, so the release of {found.at} was restored: {failure}"
        )
        return ""

    def _restore_present(self, present: Release) -> str:
        """Restore the release that ran before a failed rollback. Returns the sentence for the message."""
        worse = self._attempt(present, Result(self._request.name), (), None)
        if worse:
            return f"\nRestoring the previous release of {present.at} also failed: {worse}"
        return f"\nThe previous release of {present.at} was restored, and is healthy again."

    def _newest_healthy(
        self, known: t.Sequence[Release], declared: t.Collection[str], previous: t.Container[str] | None
    ) -> tuple[Release | None, Result, list[str]]:
        """Try releases, newest first.

        Returns:
            The release that became healthy, its result, and why the newer ones did not.
        """
        worse: list[str] = []
        there = set(declared)
        for release in reversed(known):
            attempt = Result(self._request.name)
            why = self._attempt(release, attempt, there, previous)
            if not why:
                return release, attempt, worse
            worse.append(f"Rolling back to the release of {release.at} also failed: {why}")
            there |= set(release.files)
        if len(known) > 1:
            # All of them fail, probably for one reason. Once that is gone, the newest is the right one.
            self._attempt(known[-1], Result(self._request.name), there, previous)
            worse.append(f"The files and images of the newest release, of {known[-1].at}, are restored.")
        return None, Result(self._request.name), worse

    def _attempt(
        self, release: Release, result: Result, declared: t.Collection[str], previous: t.Container[str] | None
    ) -> str:
        try:
            return self._restore(release, result, declared, previous)
        except OneboxError as error:
            return str(error)

    def _restore(
        self,
        release: Release,
        result: Result,
        declared: t.Collection[str],
        previous: t.Container[str] | None = None,
    ) -> str:
        """Restore a release.

        Args:
            result: filled in.
            declared: paths of the files that define the stack now.
            previous: ids of the containers from before a failed deploy.

        Returns:
            Why the stack is not healthy; "" when it is.
        """
        request, world = self._request, self._run.world
        engine = find_engine(request, world)
        names = () if request.files else (*FILE_NAMES, *OVERRIDE_NAMES)
        searched = [*names, *(() if request.env_file else (".env",))]
        copied = self._releases.restore(
            release,
            request.project_dir,
            Tagger(engine, world),
            searched,
            declared=declared,
            at=world.now(),
        )
        seen = self._run.inspector.inspect(judge_builds=False)
        self._rows = seen.rows
        result.take_over(self._run.inspector.result(seen))
        result.warnings += copied
        if previous is not None:
            # A service that only the failed deploy had may occupy what others need, for example a port.
            added = [row for row in seen.facts.containers if row.id not in previous]
            unknown = {row.id: row.service for row in added if row.service not in seen.model.services}
            self._applier.remove(seen, engine, unknown)
        failure = self._applier.run(seen, result)
        if not failure and seen.tool.traits.by_systemd:
            # Files of a later release would stay, and the unit of the tool from which that release took the stack over.
            quadlet_boot.ensure(self._run, seen, engine, result, check=False)
        return failure
