# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a stack's backups in addition to the sets: sequence, last runs, evidence of rehearsals."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

_EVIDENCE = re.compile(r"(local|offsite)-(\d+)\.json\Z")


class State:
    """The state directory of a stack's backups.

    Args:
        path: a private directory; created when it is missing.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def prepare(self) -> None:
        """Create the directories. Raises :class:`FileError` when they are not private."""
        trees.private_dir(self.path)
        trees.private_dir(os.path.join(self.path, "evidence"))

    @property
    def lock(self) -> str:
        return os.path.join(self.path, "lock")

    def next_seq(self, known: t.Iterable[int], taken: t.Collection[int] = ()) -> int:
        """The next sequence number: above all ``known`` sets and above the last assigned one, and unused."""
        try:
            last = int(str(self.read("seq").get("last", 0)))
        except ValueError:
            last = 0
        seq = max([last, *known]) + 1
        while seq in taken:
            seq += 1
        return seq

    def took_seq(self, seq: int) -> None:
        """Record that ``seq`` is assigned. It is not assigned again, even if its set is deleted."""
        self.write("seq", {"last": seq})

    @property
    def committed_note(self) -> str:
        return os.path.join(self.path, "committed.json")

    def committed(self, seq: int, location: str) -> None:
        """Record that set ``seq`` was committed to ``location`` and verified."""
        self.write("committed", {"seq": seq, "place": location})

    def last_committed(self) -> tuple[int, str]:
        """The last committed set, and its repository; (0, "") for none."""
        note = self.read("committed")
        return int(note.get("seq") or 0), str(note.get("place") or "")

    def read(self, name: str) -> dict[str, t.Any]:
        """A note by name, {} when it is missing or not readable."""
        try:
            with files.open_regular(os.path.join(self.path, f"{name}.json")) as file:
                found = json.load(file)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, name: str, note: t.Mapping[str, t.Any]) -> None:
        """Write a note. Raises :class:`FileError`."""
        data = json.dumps(note, indent=1, sort_keys=True).encode()
        files.replace(os.path.join(self.path, f"{name}.json"), data, durable=True)

    def add_evidence(self, where: str, seq: int, evidence: t.Mapping[str, t.Any], *, keep_good: bool = False) -> str:
        """Save the evidence of a rehearsal. Returns its path.

        Args:
            where: local or offsite.
            keep_good: do not overwrite evidence of success. Used when a rehearsal could not run.
        """
        if not keep_good or self.read(f"evidence/{where}-{seq}").get("ok") is not True:
            self.write(f"evidence/{where}-{seq}", evidence)
        return os.path.join(self.path, "evidence", f"{where}-{seq}.json")

    def proven(self, where: str = "local") -> dict[int, dict[str, t.Any]]:
        """Evidence of sets whose last rehearsal succeeded, by sequence number."""
        found = {}
        try:
            names = os.listdir(os.path.join(self.path, "evidence"))
        except FileNotFoundError:
            return {}
        for name in names:
            match = _EVIDENCE.match(name)
            if match and match.group(1) == where:
                note = self.read(f"evidence/{name[:-5]}")
                if note.get("ok") is True:
                    found[int(match.group(2))] = note
        return found

    def pinned(self) -> set[int]:
        """Sets to keep regardless of the policy."""
        return {int(seq) for seq in self.read("pins").get("sets", ())}

    def pin(self, seq: int, keep: bool) -> bool:
        """Pin or unpin a set. Returns whether that changed anything. Raises as :meth:`prepare`."""
        self.prepare()
        before = self.pinned()
        after = before | {seq} if keep else before - {seq}
        if after != before:
            self.write("pins", {"sets": sorted(after)})
        return after != before


def seconds(taken: str) -> float:
    """ISO 8601 with zone as seconds since 1970."""
    return dt.datetime.fromisoformat(taken).timestamp()
