# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack's backups remember beside the sets: sequence, last runs, evidence of rehearsals; and whom they tell."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.onebox.stack.plugins.module_utils.backup import safefs
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import Declaration, WebhookSpec

_EVIDENCE = re.compile(r"(local|offsite)-(\d+)\.json\Z")


class State:
    """The state directory of a stack's backups.

    Args:
        path: a private directory; made when it is not there.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the directories. Raises :class:`StoreError` when they are not private."""
        safefs.private_dir(self.path)
        safefs.private_dir(os.path.join(self.path, "evidence"))

    @property
    def lock(self) -> str:
        return os.path.join(self.path, "lock")

    def next_seq(self, known: t.Iterable[int]) -> int:
        """The next sequence number: above every set there is and above the last one given, whichever is larger."""
        try:
            last = int(str(self.read("seq").get("last", 0)))
        except ValueError:
            last = 0
        return max([last, *known]) + 1

    def took_seq(self, seq: int) -> None:
        """Remember that ``seq`` was given; it is never given again, also when its set is gone."""
        self.write("seq", {"last": seq})

    def read(self, name: str) -> dict[str, t.Any]:
        """A note by name, {} when there is none or it is not readable."""
        try:
            with safefs.open_regular(os.path.join(self.path, f"{name}.json")) as file:
                found = json.load(file)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, name: str, note: t.Mapping[str, t.Any]) -> None:
        """Keep a note."""
        safefs.replace(os.path.join(self.path, f"{name}.json"), json.dumps(note, indent=1, sort_keys=True).encode())

    def add_evidence(self, where: str, seq: int, evidence: t.Mapping[str, t.Any]) -> str:
        """Keep the evidence of a rehearsal. ``where``: local or offsite. Returns its path."""
        self.write(f"evidence/{where}-{seq}", evidence)
        return os.path.join(self.path, "evidence", f"{where}-{seq}.json")

    def proven(self, where: str = "local") -> dict[int, dict[str, t.Any]]:
        """Evidence of sets whose last rehearsal went well, by sequence number."""
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
        """Sets a person wants to keep whatever the policy says."""
        return {int(seq) for seq in self.read("pins").get("sets", ())}

    def pin(self, seq: int, keep: bool) -> bool:
        """Pin or unpin a set. Returns whether that changed anything."""
        before = self.pinned()
        after = before | {seq} if keep else before - {seq}
        if after != before:
            self.write("pins", {"sets": sorted(after)})
        return after != before


def metrics(declaration: Declaration, status: t.Mapping[str, t.Any]) -> str:
    """Prometheus text format of what :func:`status.status` returns; times in seconds since 1970, sizes in bytes."""
    stack = declaration.stack.replace("\\", "\\\\").replace('"', '\\"')
    lines = []

    def add(name: str, what: str, value: float | None, extra: str = "") -> None:
        if value is None:
            return
        full = f"onebox_backup_{name}"
        if f"# TYPE {full} gauge" not in lines:
            lines.extend([f"# HELP {full} {what}", f"# TYPE {full} gauge"])
        lines.append(f'{full}{{stack="{stack}"{extra}}} {value:.16g}')

    add("sets", "Committed sets in the local repository.", status["sets"])
    add("last_success_timestamp_seconds", "When the newest committed set was taken.", status["last_good_at"])
    add("last_run_timestamp_seconds", "When the last run ended.", status["last_run_at"])
    add("last_run_ok", "1 when the last run committed and verified a set.", status["last_run_ok"])
    add("last_size_bytes", "Bytes of the newest set's staged files.", status["last_size"])
    add("last_duration_seconds", "How long the last run took.", status["last_seconds"])
    add("max_age_seconds", "Above this age of the newest set something is wrong.", declaration.max_age_hours * 3600)
    rehearsals = (
        ("rehearsal_last_success_timestamp_seconds", "When a set was last restored and found equal.", "good_at"),
        ("rehearsal_last_ok", "1 when the last rehearsal succeeded.", "ok"),
        ("rehearsal_restore_seconds", "How long the restore in the last rehearsal took.", "seconds"),
    )
    for name, what, key in rehearsals:
        for where, note in sorted(status["rehearsals"].items()):
            add(name, what, note.get(key), f',where="{where}"')
    add("offsite_lag_sets", "Committed local sets that are not off-site.", status.get("offsite_lag"))
    for name, source in sorted(status["sources"].items()):
        add("source_count", "Rows, keys or entries of a source in the newest set.", source, f',source="{name}"')
    return "\n".join(lines) + "\n"


def write_metrics(path: str, text: str) -> None:
    """Put the metrics where the node exporter's textfile collector reads them (it needs mode 0644)."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    safefs.replace(path, text.encode(), mode=0o644)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A webhook that sends us elsewhere would make us tell a stranger."""

    def redirect_request(self, *args: t.Any, **kwargs: t.Any) -> None:
        return None


def tell(webhook: WebhookSpec, title: str, text: str) -> str:
    """Post a message to Discord or ntfy. Returns "" or why it could not; the URL is a secret and is never in it."""
    try:
        with open(webhook.url_file, encoding="utf-8") as file:
            url = file.read().strip()
    except OSError as error:
        return f"the webhook could not be told: {webhook.url_file} cannot be read: {error.strerror}"
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        return f"the webhook could not be told: {webhook.url_file} holds no http(s) URL"
    if webhook.style == "discord":
        # Discord refuses more than 2000 characters, and an empty user agent of Python's.
        body = json.dumps({"content": f"**{title}**\n{text}"[:2000], "allowed_mentions": {"parse": []}}).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "onebox-backup"}
    else:
        body = text.encode()
        headers = {"Title": title.encode("ascii", "replace").decode(), "Priority": "high", "Tags": "floppy_disk"}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=15):
            return ""
    except urllib.error.HTTPError as error:
        return f"the webhook could not be told: it answered {error.code}"
    except OSError as error:
        return f"the webhook could not be told: {getattr(error, 'reason', None) or type(error).__name__}"


def seconds(taken: str) -> float:
    """ISO 8601 with zone as seconds since 1970."""
    return dt.datetime.fromisoformat(taken).timestamp()
