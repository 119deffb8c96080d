# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a stack to a Swarm, roll it back, and remove it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import pull
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import move_in
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.incoming import Incoming
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import Staging, staged
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import find_engine
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, OVERRIDE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import releases
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import local_images
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.apply import apply, remove_services
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.seen import Seen, describe, problems, see
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem


class SwarmDeploy:
    """Deploys the staged files of a stack to the Swarm of this host.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request

    def preview(self, tolerate_missing: bool) -> Result:
        """The plan, without a change.

        Args:
            tolerate_missing: a missing directory is a warning and not an error, as in check mode.

        Raises:
            ComposeError, EngineError: the stack cannot be inspected, or must not be deployed.
        """
        request = self._request
        if tolerate_missing and not request.staged_dir and not os.path.isdir(request.project_dir):
            note = f"{request.project_dir} does not exist yet. Check mode cannot plan without the files of the stack"
            return Result(request.name, changed=True, warnings=[note])
        result, found = self.info()
        if found:
            raise BadStack(request.name, found)
        self._run.refuse_in_freeze([row["service"] for row in result.plan if row["action"] != planning.KEEP])
        result.changed = result.changed or any(row["action"] != planning.KEEP for row in result.plan)
        return result

    def info(self) -> tuple[Result, list[Problem]]:
        """The plan and the problems.

        Raises:
            ComposeError, EngineError: the stack cannot be inspected.
        """
        with staged(self._request) as staging:
            seen = see(self._run, staging)
            incoming = Incoming(self._request, staging, seen.base)
            result = self._run.inspector.result(seen.base)
            describe(self._run, seen, result)
            incoming.describe(result)
            pull.describe(self._request, seen.base, result)
            return result, [*problems(self._run, seen), *incoming.problems]

    def run(self) -> Result:
        """Deploy the stack, and roll back when the deploy fails after its first change.

        Raises:
            OneboxError: the stack must not be deployed. Nothing was changed.
        """
        with staged(self._request) as staging:
            seen, incoming = self._prepare(staging)
            held = self._held(seen)
            if held is not None:
                return held
            result, failure, judged = self._take_in(staging, seen, incoming)
        if failure:
            return self._run.finish(result, seen.rows, failure)
        failure = apply(self._run, seen, result)
        if failure and self._request.rollback and result.changed:
            failure = Back(self._run).after_failure(seen, result, failure, judged)
        elif not failure:
            failure = self._keep(seen, result, judged)
        return self._run.finish(result, seen.rows, failure)

    def _prepare(self, staging: Staging) -> tuple[Seen, Incoming]:
        """Check the staged files, and have all images on this host."""
        seen, incoming = self._check(staging)
        pulled = self._pull(seen)
        if local_images.build(self._run, seen) or pulled:
            seen, incoming = self._check(staging)
        if local_images.query(self._run, seen):
            seen, incoming = self._check(staging)
        local_images.tag(self._run, seen)
        return seen, incoming

    def _held(self, seen: Seen) -> Result | None:
        """The result of a run that ends before the deploy, so that the other nodes get their images first."""
        if not self._request.hold_for_images:
            return None
        result = self._run.inspector.result(seen.base)
        describe(self._run, seen, result)
        local_images.describe(self._run, seen, result)
        if not local_images.must_be_sent(seen, result):
            return None
        result.held, result.changed = True, True
        return result

    def _take_in(self, staging: Staging, seen: Seen, incoming: Incoming) -> tuple[Result, str, dict[str, str]]:
        """Move the checked files in."""
        run = self._run
        source = seen.base.source
        items = staging.main.target.items if staging.main else None
        judged = releases.digests(source, seen.base.model, items)
        result = run.inspector.result(seen.base)
        describe(run, seen, result)
        local_images.describe(run, seen, result)
        incoming.describe(result)
        failure = ""
        try:
            with run.inspector.timings.step("files"):
                incoming.move_in(run.world, result)
        except move_in.PartlyWritten as error:
            failure = f"stack {self._request.name}: {error}"
        return result, failure, judged

    def _check(self, staging: Staging) -> tuple[Seen, Incoming]:
        seen = see(self._run, staging)
        incoming = Incoming(self._request, staging, seen.base)
        found = [*problems(self._run, seen), *incoming.problems]
        if found:
            raise BadStack(self._request.name, found)
        self._run.refuse_in_freeze([*planning.changes(seen.rows), *incoming.changes])
        return seen, incoming

    def _pull(self, seen: Seen) -> bool:
        """Pull what the request wants, and what is missing: a digest is only known of an image that is here.

        Raises:
            ComposeError: an image cannot be pulled.
        """
        pull.Pull(self._run, seen.base).run()
        services = seen.base.model.services
        built = {service.image for service in services.values() if service.build is not None}
        missing = {
            service.image: name
            for name, service in services.items()
            if seen.base.facts.images.get(service.image) is None and service.image not in built
        }
        for image, name in missing.items():
            try:
                seen.cluster.docker("pull", "--quiet", image, timeout=1800.0)
            except process.CommandError as error:
                raise ComposeError(
                    f"stack {self._request.name} was not touched: service {name}: {error}. Push {image} to a registry "
                    "that all nodes reach, or load it on this host."
                ) from error
        return bool(missing) or self._request.pull != "missing"

    def _keep(self, seen: Seen, result: Result, judged: t.Mapping[str, str]) -> str:
        """Keep a healthy stack as a release. Returns a failure."""
        run, base = self._run, seen.base
        if base.engine is None:
            raise AssertionError("a deploy needs an engine")
        try:
            release = run.releases.describe(
                base.model, (), judged, at=run.world.now(), revision=self._request.revision, tool="docker stack"
            )
            release.images.update(_images(seen, release.number))
            tagger = Tagger(base.engine, run.world)
            kept = run.releases.commit(release, self._request.project_dir, tagger, self._request.keep)
            result.last_good, result.released = kept.brief, kept is release
            if result.changed:
                local_images.describe(run, seen, result)
                local_images.prune(run, seen.cluster, result)
        except releases.FilesDiffer as error:
            result.warnings.append(str(error))
        except OneboxError as error:
            return f"stack {self._request.name} is healthy, but: {error}"
        return ""


def _images(seen: Seen, number: int) -> dict[str, dict[str, str]]:
    """The images of a release. The tag keeps each on this host, and so keeps its digest known."""
    found = {}
    for name, service in seen.base.model.services.items():
        identity = str((seen.base.facts.images.get(service.image) or {}).get("Id") or "")
        if identity:
            tag = f"localhost/onebox/{seen.base.model.project}/{name.lower()}:good-{number}"
            found[name] = {"id": identity, "reference": service.image, "kept_as": tag}
    return found


class Back:
    """Restores releases of a stack on a Swarm.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request
        self._rows: list[planning.Row] = []

    def after_failure(self, failed: Seen, result: Result, failure: str, judged: t.Mapping[str, str]) -> str:
        """Restore the newest release after a failed deploy. Returns the failure, and how the rollback ended."""
        known = self._run.releases.sets()
        if not known:
            return _no_release(failure)
        result.rollback_reason = failure
        with self._run.inspector.timings.step("rollback"):
            worse = self._attempt(known[-1], result, judged, failed.live)
        if not worse:
            result.rolled_back, result.last_good = True, known[-1].brief
        return _ending(failure, known[-1], worse)

    def preview(self) -> Result:
        """The release that a run would restore.

        Raises:
            ComposeError: there is none.
        """
        target, _later, _declared = self._target()
        return Result(self._request.name, changed=True, last_good=target.brief)

    def run(self) -> Result:
        """Restore the newest release that differs from the deployed files.

        Raises:
            ComposeError, EngineError: nothing was changed.
        """
        if self._request.rejection:
            return self._reject()
        target, later, declared = self._target()
        self._run.refuse_in_freeze(["all services (rollback)"])
        result = Result(self._request.name)
        engine = find_engine(self._request, self._run.world)
        local_images.tag_release(self._run, engine, target, result)
        if self._request.hold_for_images and result.node_images:
            result.held, result.last_good = True, target.brief
            return result
        failure = self._attempt(target, result, declared, None)
        result.rolled_back = not failure
        if not failure:
            result.last_good = target.brief
            self._run.releases.forget(later, Tagger(engine, self._run.world))
        return self._run.finish(result, self._rows, failure)

    def _reject(self) -> Result:
        """Keep the deployed version no longer as a release, because a check on another node failed, and restore the one
        before it.
        """
        why = self._request.rejection
        result = Result(self._request.name, changed=True, rollback_reason=why)
        try:
            failure = self._without(why, result)
        except OneboxError as error:
            failure = f"{why}\nThe stack was not rolled back: {error}"
        return self._run.finish(result, self._rows, failure)

    def _without(self, why: str, result: Result) -> str:
        run, seen = self._run, see(self._run)
        declared, earlier, later = self._compared(seen)
        run.releases.forget(later, Tagger(find_engine(self._request, run.world), run.world))
        result.last_good = earlier[-1].brief if earlier else {}
        if not self._request.rollback:
            return f"{why}\nThe stack stays as it is, because compose_stack_rollback is false. Fix it and deploy again."
        if not earlier:
            return _no_release(why)
        with run.inspector.timings.step("rollback"):
            # Services that only the rejected version has are removed.
            before = set(seen.live) - set(seen.wanted.parts)
            worse = self._attempt(earlier[-1], result, declared, before)
        result.rolled_back = not worse
        return _ending(why, earlier[-1], worse)

    def _target(self) -> tuple[Release, list[Release], dict[str, str]]:
        declared, earlier, later = self._compared(see(self._run))
        if not earlier:
            raise ComposeError(
                f"stack {self._request.name} has no earlier release to roll back to. Deploy the wanted version instead."
            )
        return earlier[-1], later, declared

    def _compared(self, seen: Seen) -> tuple[dict[str, str], list[Release], list[Release]]:
        """The deployed files, the releases up to the newest that differs from the stack, and those after it."""
        known = self._run.releases.sets()
        declared = self._run.releases.digests(seen.base.source, seen.base.model)
        images = {name: row["id"] for name, row in _images(seen, 0).items()}
        count = len(known)
        while count and known[count - 1].files == declared and _ids(known[count - 1]) == images:
            count -= 1
        return declared, known[:count], known[count:]

    def _attempt(
        self,
        release: Release,
        result: Result,
        declared: t.Mapping[str, str],
        before: t.Collection[str] | None,
    ) -> str:
        """Restore the files and images of a release, and deploy them.

        Args:
            before: services from before a failed deploy. A service that only that deploy had is removed, because it can
                occupy a port.
        """
        request, world = self._request, self._run.world
        names = () if request.files else (*FILE_NAMES, *OVERRIDE_NAMES)
        searched = [*names, *(() if request.env_file else (".env",))]
        try:
            tagger = Tagger(find_engine(request, world), world)
            restored = self._run.releases.restore(
                release, request.project_dir, tagger, searched, declared=declared, at=world.now()
            )
            result.warnings += restored
            seen = see(self._run)
            self._rows = seen.rows
            if before is None:
                result.take_over(self._run.inspector.result(seen.base))
                describe(self._run, seen, result)
            else:
                added = set(seen.live) - set(before) - set(seen.wanted.parts)
                remove_services(seen, request.name, sorted(added))
            local_images.tag(self._run, seen)
            return apply(self._run, seen, result)
        except OneboxError as error:
            return str(error)


def _ids(release: Release) -> dict[str, str]:
    return {name: row["id"] for name, row in release.images.items()}


def _no_release(failure: str) -> str:
    return f"{failure}\nThe stack has no earlier release, so it stays as it is. Fix it and deploy again."


def _ending(failure: str, release: Release, worse: str) -> str:
    """A failure, and how the rollback to a release ended."""
    if worse:
        return f"{failure}\nRolling back to the release of {release.at} also failed: {worse}"
    return f"{failure}\nThe stack was rolled back to the release of {release.at}, and is healthy again."
