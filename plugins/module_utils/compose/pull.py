# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull images that are present already, before the plan compares them with the containers."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Commands
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import images, pull_failure
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run

ALWAYS, NEWER = "always", "newer"


def wanted(request: Request, seen: Inspection) -> dict[str, str]:
    """``service -> image`` of the images that a deploy pulls although they may be present."""
    if request.pull not in (ALWAYS, NEWER) or seen.engine is None:
        return {}
    services = seen.model.services.values()
    built = {service.image for service in services if service.build is not None}
    return {
        service.name: service.image
        for service in services
        if service.image and service.image not in built and NOT_SET not in service.image
    }


def describe(request: Request, seen: Inspection, result: Result) -> None:
    """Add the images that a deploy would pull to the result of a run that pulls nothing."""
    result.pulls = [{"service": name, "image": image} for name, image in wanted(request, seen).items()]


class Pull:
    """Pulls the images of an inspected stack.

    Args:
        run: the run.
        seen: the stack.

    Attributes:
        changed: service -> image, of the images that the registry had in another version.
        warnings: images that could not be pulled and are present.
    """

    def __init__(self, run: Run, seen: Inspection) -> None:
        self._run = run
        self._seen = seen
        self._images = wanted(run.request, seen)
        self.changed: dict[str, str] = {}
        self.warnings: list[str] = []

    def run(self) -> None:
        """Pull the images, before anything else is changed.

        Raises:
            ComposeError: an image cannot be pulled. The message names the service.
            EngineError: the engine does not answer.
        """
        run, seen = self._run, self._seen
        if not self._images or seen.engine is None:
            return
        until = "" if run.request.force else freeze.until(run.request.freeze, run.world.epoch())
        if until:
            self.warnings.append(f"No image was pulled, because a change freeze lasts until {until}.")
            return
        before = {name: images.identity(seen.facts.images.get(image)) for name, image in self._images.items()}
        with run.inspector.timings.step("pull"):
            self._pull(run.commands(seen.tool, seen.engine, seen.source, {}))
            found = images.look(seen.engine, self._images.values(), run.world)
        for name, image in self._images.items():
            if images.identity(found.get(image)) != before[name]:
                self.changed[name] = image

    def _pull(self, commands: Commands) -> None:
        try:
            commands.pull(self._images)
        except ComposeError:
            # One by one, for the name of the service. Images that are up to date cost one request.
            for name, image in self._images.items():
                self._pull_one(commands, name, image)

    def _pull_one(self, commands: Commands, name: str, image: str) -> None:
        try:
            commands.pull({name: image})
        except ComposeError as error:
            present = self._seen.facts.images.get(image) is not None
            if self._run.request.pull == ALWAYS or not present:
                raise pull_failure.failure(name, image, error) from error
            self.warnings.append(f"service {name}: {error}. The present image is used.")

    def report(self, result: Result) -> None:
        """Add the pulled images and the warnings to a result."""
        result.pulls = [{"service": name, "image": image} for name, image in self.changed.items()]
        result.warnings += self.warnings
        result.changed = result.changed or bool(self.changed)
