#!/usr/bin/env python
# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A colima for hosts without Colima: it keeps profiles below COLIMA_HOME and behaves as 0.10 does for the tests.

From Colima's documentation and source: ``list --json`` prints one object for each line; ``start`` of a running profile
ignores all flags, reports that and ends with 0; a start records the applied settings; an unknown flag ends with 1; a
mount with a space is refused. ``FAKE_COLIMA`` names a file with the status of each profile.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys

FLAGS = {"start": {"--profile", "--cpu", "--memory", "--disk", "--mount", "--arch", "--runtime", "--vm-type"}}
FLAGS.update({"stop": {"--profile", "--force"}, "list": {"--json"}})
FLAGS["start"].add("--mount-type")


def main(argv: list[str]) -> int:
    file = pathlib.Path(os.environ["FAKE_COLIMA"])
    home = pathlib.Path(os.environ["COLIMA_HOME"])
    profiles = json.loads(file.read_text()) if file.exists() else {}
    with open(f"{file}.log", "a", encoding="utf-8") as log:
        log.write(json.dumps(argv) + "\n")
    verb, words = argv[0], argv[1:]
    for word in words:
        if word.startswith("-") and word not in FLAGS.get(verb, set()):
            print(f"Error: unknown flag: {word}", file=sys.stderr)
            return 1
    if verb == "list":
        for name, status in sorted(profiles.items()):
            row = {"name": name, "status": status, "arch": "aarch64", "cpus": 2, "memory": 2147483648}
            print(json.dumps({**row, "disk": 107374182400, "runtime": "docker"}))
        return 0
    profile = words[words.index("--profile") + 1]
    instance = "colima" if profile == "default" else f"colima-{profile}"
    applied = home / "_lima" / instance / "colima.yaml"
    config = home / profile / "colima.yaml"
    if verb == "start":
        if profiles.get(profile) == "Running":
            print('time="2026-11-21T10:00:00Z" level=warning msg="already running, ignoring"', file=sys.stderr)
            return 0
        config.parent.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            config.write_text("cpu: 2\nmemory: 2\ndisk: 100\n" + _mounts(words))
        if "location" in config.read_text() and " SSD" in config.read_text():
            print('level=fatal msg="mount location cannot contain spaces"', file=sys.stderr)
            return 1
        applied.parent.mkdir(parents=True, exist_ok=True)
        applied.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith("#")))
        profiles[profile] = "Running"
    elif verb == "stop":
        if profiles.get(profile) == "Broken" and "--force" not in words:
            print('level=fatal msg="error stopping vm"', file=sys.stderr)
            return 1
        profiles[profile] = "Stopped"
    else:
        print(f'Error: unknown command "{verb}" for "colima"', file=sys.stderr)
        return 1
    file.write_text(json.dumps(profiles))
    return 0


def _mounts(words: list[str]) -> str:
    """The settings that a first start saves from its flags."""
    given = [words[place + 1] for place, word in enumerate(words) if word == "--mount"]
    if not given:
        return "mounts: []\n"
    rows = [one.rpartition(":") if one.endswith(":w") else (one, "", "") for one in given]
    return "mounts:\n" + "".join(
        f"  - location: {place}\n    writable: {str(mode == 'w').lower()}\n" for place, _colon, mode in rows
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
