# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two watches of the scenario: root's watch of the host and its stack, and the watch of a user."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest


@dataclasses.dataclass(frozen=True)
class Installed:
    """A watch on the host, seen from outside."""

    host: t.Any
    user: str
    name: str
    program: str
    config: str
    state: str

    def command(self, line: str) -> str:
        """The command as this watch's user runs it."""
        if self.user == "root":
            return line
        return f'runuser -u {self.user} -- env XDG_RUNTIME_DIR=/run/user/2000 sh -c "{line}"'

    def systemctl(self, words: str) -> str:
        scope = "" if self.user == "root" else "--user "
        return self.host.run(self.command(f"systemctl {scope}{words}")).stdout.strip()

    def check(self) -> t.Any:
        return self.host.run(self.command(f"{self.program} --config {self.config} check"))

    def document(self) -> dict[str, t.Any]:
        """What the last run of the timer wrote."""
        return json.loads(self.host.file(f"{self.state}/watch.json").content_string)

    def findings(self) -> dict[str, dict[str, t.Any]]:
        return {f"{row['code']} {row['where']}": row for row in self.document()["findings"]}


def of_root(host: t.Any) -> Installed:
    config, state = "/etc/onebox/watch/demo.json", "/var/lib/onebox-watch/demo"
    return Installed(host, "root", "demo", "/usr/local/bin/onebox-watch", config, state)


def of_anna(host: t.Any) -> Installed:
    home = "/home/anna"
    config, state = f"{home}/.config/onebox/watch/anna.json", f"{home}/.local/state/onebox-watch/anna"
    return Installed(host, "anna", "anna", f"{home}/.local/bin/onebox-watch", config, state)


@pytest.fixture(params=[of_root, of_anna], ids=["root", "user"])
def watch(host, request) -> Installed:
    return request.param(host)


@pytest.fixture
def root_watch(host) -> Installed:
    return of_root(host)
