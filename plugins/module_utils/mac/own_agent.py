# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install and remove single LaunchAgents that this collection writes. Their files are not archived."""

from __future__ import annotations

import os
import plistlib
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import files, jobs
from ansible_collections.onebox.stack.plugins.module_utils.core.scheduled import Change
from ansible_collections.onebox.stack.plugins.module_utils.mac import agents
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError
from ansible_collections.onebox.stack.plugins.module_utils.mac.launchd import Launchctl


@dataclass(frozen=True)
class Folder:
    """The LaunchAgents of one user.

    Attributes:
        launchctl: launchd.
        path: the LaunchAgents folder.
        domain: ``gui``, ``user`` or ``auto``.
        timeout: seconds for a job to load or to stop.
    """

    launchctl: Launchctl
    path: str
    domain: str
    timeout: float

    def ensure(self, name: str, label: str, definition: t.Mapping[str, t.Any], *, check: bool) -> Change:
        """Install one agent with exactly this definition, enabled and loaded.

        Args:
            name: the job's name, for the result.
            label: the agent's label.
            definition: its property list, without the label.
            check: only report the change.

        Raises:
            MacError: the agent's file cannot be read, or the job does not load.
        """
        path, change = self._found(name, label)
        before = change.before.pop(path, "")
        result = agents.ensure_loaded(
            self.launchctl,
            folder=self.path,
            label=label,
            definition=definition,
            domain=self.domain,
            timeout=self.timeout,
            check=check,
        )
        after = _text({**definition, "Label": label})
        if result.changed:
            change.started = [name]
        if before != after:
            change.written, change.before[path], change.after[path] = [path], before, after
        return change

    def remove(self, name: str, label: str, *, from_within: bool, check: bool) -> Change:
        """Unload one agent and delete its file.

        Args:
            name: the job's name, for the result.
            label: the agent's label.
            from_within: this process belongs to the agent. Only the file is deleted: unloading would end the process.
            check: only report the change.

        Raises:
            MacError: the job does not stop.
            FileError: the file cannot be deleted.
        """
        path, change = self._found(name, label)
        domains = () if from_within else self.launchctl.domains(self.domain)
        loaded = [one for one in domains if self.launchctl.job(one, label).loaded]
        if loaded or os.path.lexists(path):
            change.removed, change.after[path] = [path], ""
            change.before.setdefault(path, "")
        if check:
            return change
        for one in loaded:
            self.launchctl.unload(one, label, self.timeout)
        files.remove(path)
        return change

    def _found(self, name: str, label: str) -> tuple[str, Change]:
        """The agent's file, and a change that has its text and its command."""
        path = os.path.join(self.path, f"{label}.plist")
        change = Change()
        try:
            content, _binary = agents.read_plist(path)
        except MacError:
            return path, change
        change.before[path] = _text(content)
        change.commands[name] = [str(word) for word in content.get("ProgramArguments", ())]
        return path, change


def _text(content: t.Mapping[str, t.Any]) -> str:
    try:
        return jobs.plist(content).decode()
    except jobs.JobError:
        return plistlib.dumps(dict(content)).decode()  # a file that somebody else wrote
