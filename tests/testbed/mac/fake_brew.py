#!/usr/bin/env python
# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A brew for hosts without Homebrew. It "installs" a formula by linking an existing program into its own bin.

Answers have the form of Homebrew's JSON API version 2 (formulae.brew.sh, ``brew info --json=v2``), with the keys that
are read. ``FAKE_BREW`` names a file with the cellar, ``{formula: [program, ...]}``; other formulas do not exist. An
unknown command or option fails as the real one does.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys


def main(argv: list[str]) -> int:
    file = pathlib.Path(os.environ["FAKE_BREW"])
    cellar: dict[str, list[str]] = json.loads(file.read_text())
    with open(f"{file}.log", "a", encoding="utf-8") as log:
        log.write(json.dumps(argv) + "\n")
    verb, words = argv[0] if argv else "", argv[1:]
    if verb not in ("info", "install"):
        print(f"Error: Unknown command: brew {verb}", file=sys.stderr)
        return 1
    options = [word for word in words if word.startswith("-")]
    if options != (["--json=v2"] if verb == "info" else []):
        print(f"Error: invalid option: {' '.join(options)}", file=sys.stderr)
        return 1
    names = [word for word in words if not word.startswith("-")]
    for name in names:
        if name not in cellar:
            print(f'Warning: No available formula with the name "{name}".', file=sys.stderr)
            return 1
    if verb == "info":
        print(json.dumps({"formulae": [_info(name, cellar[name]) for name in names], "casks": []}))
        return 0
    for name in names:
        print(f"==> Fetching {name}\n==> Pouring {name}--5.8.6.arm64_tahoe.bottle.tar.gz")
        for program in cellar[name]:
            place = _bin() / pathlib.Path(program).name
            place.unlink(missing_ok=True)
            place.symlink_to(program)
    return 0


def _bin() -> pathlib.Path:
    return pathlib.Path(os.environ["FAKE_BREW"]).parent / "bin"


def _info(name: str, programs: list[str]) -> dict[str, object]:
    there = all((_bin() / pathlib.Path(program).name).exists() for program in programs)
    return {
        "name": name,
        "full_name": name,
        "tap": "homebrew/core",
        "oldnames": [],
        "aliases": [],
        "versions": {"stable": "5.8.6", "head": "HEAD", "bottle": True},
        "installed": [{"version": "5.8.6", "poured_from_bottle": True, "installed_on_request": True}] if there else [],
        "linked_keg": "5.8.6" if there else None,
        "pinned": False,
        "outdated": False,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
