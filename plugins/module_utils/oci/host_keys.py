# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH host keys of an instance, from its serial console.

cloud-init prints them there at the first boot, and the console is read from Oracle over TLS. So the first login does
not have to trust the network.
"""

from __future__ import annotations

import base64
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed

_BEGIN = "-----BEGIN SSH HOST KEY KEYS-----"
_END = "-----END SSH HOST KEY KEYS-----"
# The console can print a time and the name of a service before each line.
_KEY = re.compile(r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]{40,2000}={0,2})(?=\s|$)")
_POLL = 15.0


class Reader(t.Protocol):
    """Reads the console of an instance."""

    def console(self, identity: str) -> str | None:
        """The output of the console, None while it is being captured. Raises :class:`errors.CallFailed`."""


def parse(console: str) -> list[str]:
    """The host keys of the last block in ``console``, as type and base64, empty without a complete block."""
    before, found, rest = console.rpartition(_BEGIN)
    block, ended, unused = rest.partition(_END)
    if not found or not ended:
        return []
    keys = []
    for line in block.splitlines():
        match = _KEY.search(line)
        if match is not None and _is_kind(match[1], match[2]):
            keys.append(f"{match[1]} {match[2]}")
    return list(dict.fromkeys(keys))


def _is_kind(kind: str, text: str) -> bool:
    """Whether the key's content has the same type."""
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    name = kind.encode()
    return blob.startswith(len(name).to_bytes(4, "big") + name)


def read(reader: Reader, identity: str, timeout: float, world: World) -> tuple[list[str], str]:
    """Wait up to ``timeout`` seconds for the host keys. Returns them, or an empty list and the reason.

    Nothing is raised: without the keys the first login has to trust the network, as with any new server.
    """
    found: list[str] = []
    refused: list[str] = []

    def shown() -> bool:
        try:
            found.extend(parse(reader.console(identity) or ""))
        except CallFailed as failed:
            if failed.answer.how == errors.ANSWERED and failed.answer.status in (400, 401, 403, 404):
                refused.append(f"Oracle answered {failed.answer}")
        return bool(found or refused)

    if world.wait_until(shown, timeout, _POLL) and found:
        return found, ""
    return [], refused[0] if refused else f"the console shows no host keys within {timeout:g} s"
