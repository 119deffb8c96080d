#!/usr/bin/env python
# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A launchctl for hosts without launchd: it keeps jobs in a file and prints the answers of the real one.

Texts and exit codes are those reported for macOS 12 to 15 in public issues (osquery 5698, home-manager 9629 and 9656,
mise 10965, codex-remote-feishu 914) and in Apple's manual page; unknown arguments are refused with 64, as the real one
does. ``FAKE_LAUNCHD`` names the state file; in it ``macos`` sets the version to simulate and ``slow`` how often a
stopping job is still shown.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import sys
import typing as t


def main(argv: list[str]) -> int:
    path = pathlib.Path(os.environ["FAKE_LAUNCHD"])
    state = json.loads(path.read_text())
    with open(f"{path}.log", "a", encoding="utf-8") as log:
        log.write(json.dumps(argv) + "\n")
    verbs = {"print": show, "print-disabled": overrides, "list": listing, "disable": override, "enable": override}
    verbs.update({"bootout": bootout, "bootstrap": bootstrap})
    if not argv or argv[0] not in verbs:
        print(f"Unrecognized subcommand: {argv[0] if argv else ''}", file=sys.stderr)
        return 64
    if any(word.startswith("-") for word in argv[1:]):
        print(f"Usage: launchctl {argv[0]} <domain-target> [service-path ...]", file=sys.stderr)
        return 64
    code = verbs[argv[0]](state, argv)
    path.write_text(json.dumps(state))
    return code


def _split(target: str) -> tuple[str, str]:
    kind, uid, *label = target.split("/", 2)
    return f"{kind}/{uid}", label[0] if label else ""


def show(state: dict[str, t.Any], argv: list[str]) -> int:
    domain, label = _split(argv[1])
    job = state["jobs"].get(f"{domain}/{label}")
    if domain not in state["domains"]:
        print(f"Could not find domain for port. {domain}", file=sys.stderr)
        return 125
    if job is None:
        uid = domain.split("/")[1]
        print(f'Could not find service "{label}" in domain for user gui: {uid}', file=sys.stderr)
        return 113
    if "stopping" in job:
        job["stopping"] -= 1
        if job["stopping"] < 0:
            del state["jobs"][f"{domain}/{label}"]
            return show(state, argv)
    print(f"{domain}/{label} = {{\n\tactive count = 1\n\tpath = {job['path']}")
    print(f"\tstate = {'SIGTERMed' if 'stopping' in job else 'running'}\n")
    if job["pid"]:
        print(f"\tpid = {job['pid']}")
    print("}")
    return 0


def overrides(state: dict[str, t.Any], argv: list[str]) -> int:
    words = ("true", "false") if state["macos"] < 13 else ("disabled", "enabled")
    print("\tdisabled services = {")
    for target, value in sorted(state["disabled"].items()):
        domain, label = _split(target)
        if domain == argv[1]:
            print(f'\t\t"{label}" => {words[0] if value else words[1]}')
    print("\t}")
    if state["macos"] >= 13:
        print('\tlogin item associations = {\n\t\t"com.97layer.os" => enabled\n\t}')
    return 0


def listing(state: dict[str, t.Any], argv: list[str]) -> int:
    print("PID\tStatus\tLabel")
    for target, job in sorted(state["jobs"].items()):
        print(f"{job['pid'] or '-'}\t0\t{_split(target)[1]}")
    return 0


def override(state: dict[str, t.Any], argv: list[str]) -> int:
    state["disabled"][argv[1]] = argv[0] == "disable"
    return 0


def bootout(state: dict[str, t.Any], argv: list[str]) -> int:
    job = state["jobs"].get(argv[1])
    if job is None:
        code = 3 if state["macos"] < 13 else 5
        print(f"Boot-out failed: {code}: {os.strerror(code)}", file=sys.stderr)
        return code
    if state["slow"]:
        job["stopping"] = state["slow"]
        print("Boot-out failed: 36: Operation now in progress", file=sys.stderr)
        return 36
    del state["jobs"][argv[1]]
    return 0


def bootstrap(state: dict[str, t.Any], argv: list[str]) -> int:
    domain, path = argv[1], argv[2]
    if domain not in state["domains"]:
        print("Bootstrap failed: 125: Domain does not support specified action", file=sys.stderr)
        return 125
    with open(path, "rb") as file:
        content = plistlib.load(file)
    target = f"{domain}/{content['Label']}"
    if target in state["jobs"] or state["disabled"].get(target):
        print("Bootstrap failed: 5: Input/output error", file=sys.stderr)
        return 5
    state["jobs"][target] = {"path": path, "pid": 4711 if content.get("RunAtLoad") else 0}
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
