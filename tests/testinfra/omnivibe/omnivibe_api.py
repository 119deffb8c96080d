# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to omnivibe's API on a host's loopback; there is no curl in a minimal Debian."""

import json
import time

_PROGRAM = """
import sys, urllib.request
body = sys.argv[2].encode() if len(sys.argv) > 2 else None
print(urllib.request.urlopen("http://127.0.0.1:8000" + sys.argv[1], body, timeout=10).read().decode())
"""


def ask(host, path: str, data: str | None = None) -> dict:
    words = [path] if data is None else [path, data]
    return json.loads(host.check_output("python3 -c %s" + " %s" * len(words), _PROGRAM, *words))


def releases(host) -> dict:
    """Which release each process runs, once all of them have said so."""
    deadline = time.monotonic() + 25
    while True:
        try:
            found = ask(host, "/releases")
        except AssertionError:
            found = {}
        if found and all(found.values()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
