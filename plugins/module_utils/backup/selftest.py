# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Negative controls: rehearsals must find damage of each kind.

Only fetched copies and throwaway servers are damaged, never a set.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, MismatchError, file_errors
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import Control, Dict, SelfTestReport
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet, pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.files import FilesStore
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import trees

Damage = t.Callable[[str], None]


def self_test(context: Context, *, wait: float = 0.0) -> Dict:
    """Run the controls on the newest local set. ``error`` in the report is "" when every damage was found.

    Controls for kinds that the stack does not have are reported as skipped and do not count as found.
    """
    with context.locked("self-test", wait):
        began = context.world.monotonic()
        chosen = pick(context.store.sets(), "latest", context.store.location)
        report = SelfTestReport(context.config.stack, seq=chosen.seq)
        test = SelfTest(context, chosen, report)
        try:
            with file_errors():
                test.run()
        except BackupError as error:
            report.failed(error, f"the self-test could not be run: {error}")
        finally:
            trees.remove_tree(test.scratch)
        missed = [control.damage for control in report.controls if not control.caught]
        if missed:
            report.error = f"damage was not found: {', '.join(missed)}; do not trust rehearsals of this version"
            report.exit_code = MismatchError.exit_code
        elif not report.controls and not report.error:
            report.error = "no control applies to the sources of this stack"
            report.exit_code = MismatchError.exit_code
        report.ok = not report.error
        report.seconds = round(context.world.monotonic() - began, 3)
        return report.as_dict()


class SelfTest:
    """A self-test of one set. Each kind of source adds its controls."""

    def __init__(self, context: Context, chosen: StoredSet, report: SelfTestReport) -> None:
        self.context = context
        self.chosen = chosen
        self.scratch = os.path.join(context.config.state_dir, "scratch")
        self._report = report

    def run(self) -> None:
        """Run the controls of the stored files, then those of each kind on one of its sources."""
        manifest = self.chosen.understood()
        kinds = {source.kind: source for source in manifest.sources}
        largest = max((a for s in manifest.sources for a in s.artefacts), key=lambda artefact: artefact.size)
        self._stored(f"a flipped bit in {largest.path}", largest.path, _flip)
        self._stored(f"{largest.path} cut to 90 %", largest.path, self.cut)
        for name, kind in registry.all_kinds():
            if name in kinds:
                kind.tamper(self, kinds[name])
            else:
                for damage in kind.damages:
                    self.skip(damage)

    def skip(self, damage: str) -> None:
        """Report a skipped control."""
        self._report.skipped.append(damage)

    def control(self, damage: str, work: t.Callable[[], t.Any]) -> Control:
        """Run a control: ``work`` must fail because of the damage."""
        self.context.log(f"control: {damage}")
        control = Control(damage)
        try:
            work()
        except BackupError as error:  # not FileError: a full disk does not count as found damage
            control.caught, control.said = True, str(error)
        self._report.controls.append(control)
        return control

    def withdraw(self, control: Control) -> None:
        """Remove a control that damaged nothing from the report."""
        self._report.controls.remove(control)

    def fetched(self, source: Source) -> str:
        """A fresh directory with the files of a source."""
        staged = os.path.join(self._fresh(), "set")
        trees.private_dir(staged)
        self.context.store.fetch(self.chosen, staged, [artefact.path for artefact in source.artefacts])
        return staged

    def check(self, source: Source, staged: str, tamper: t.Callable[[t.Any], None] | None = None) -> None:
        """Rehearse a source from fetched files. Raises as :func:`rehearse.check_source`."""
        rehearse.check_source(
            self.context, self.context.store, self.chosen, source, staged, self.scratch, tamper=tamper
        )

    def require_good(self, source: Source, staged: str) -> None:
        """Rehearse without damage: if every restore fails, any damage would count as found."""
        self.context.log(f"control: {source.name} without damage")
        self.check(source, staged)

    def restored(self, source: Source, damage: str, spoil: t.Mapping[str, Damage]) -> None:
        """Damage fetched files and restore them; the comparison must fail."""
        staged = self.fetched(source)
        self.require_good(source, staged)
        for path, work in spoil.items():
            work(os.path.join(staged, path))
        self.control(damage, lambda: self.check(source, staged))

    @staticmethod
    def cut(path: str) -> None:
        """Cut a file to 90 %."""
        os.truncate(path, os.path.getsize(path) * 9 // 10)

    def _fresh(self) -> str:
        trees.remove_tree(self.scratch)
        trees.private_dir(self.scratch)
        return self.scratch

    def _stored(self, damage: str, path: str, spoil: Damage) -> None:
        """Damage one file of a copy of the whole set in a store, and verify that store."""
        copy = FilesStore(os.path.join(self._fresh(), "repository"), self.context.config.stack, "self-test")
        copy.prepare()
        staging = copy.stage(self.chosen.seq)
        self.context.store.fetch(self.chosen, staging)
        copy.commit(staging, self.chosen.understood(), (), ())
        good = copy.sets()[0]
        copy.verify(good)  # without damage the verification must pass, or the control proves nothing
        spoil(os.path.join(copy.location, "sets", good.id, path))
        self.control(damage, lambda: copy.verify(good))


def _flip(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
