# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authenticate manifests: HMAC-SHA256 with a key that is never in the repository.

A checksum shows damage, but an attacker who can write to the repository can compute a new one. The key is in a private
file next to the configuration of the runner. Its first line signs. Further lines are earlier keys, which still verify.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_SHORTEST = 32
_NOTE = "authentication"
UNSIGNED = "it is not authenticated"


class Forged(StoreError):
    """A manifest has an authentication by our key that does not match it."""


class Keys:
    """The keys of one stack.

    Args:
        path: the key file. :meth:`sign` creates it when it is missing.
        state_dir: records the first set from which on every set must be authenticated.
    """

    def __init__(self, path: str, state_dir: str) -> None:
        self.path = path
        self._note = os.path.join(state_dir, f"{_NOTE}.json")
        self._more: list[bytes] = []
        self._keys: list[bytes] | None = None
        self._since: tuple[str, int] | None = None

    def trust(self, path: str) -> None:
        """Also accept the keys of another file. Raises :class:`StoreError` when it holds none."""
        found = _read(path)
        if not found:
            raise StoreError(f"{path}: the authentication key does not exist. Name the file that contains it.")
        self._more += found

    def replaced_by(self, text: str) -> str:
        """The content of the key file after ``text`` becomes the signing key. The earlier keys still verify.

        Raises:
            StoreError: the present file cannot be read.
        """
        lines = text.split("\n")
        earlier = [key.decode("utf-8", "replace") for key in self._own()]
        return "\n".join([*lines, *(key for key in earlier if key not in map(str.strip, lines))])

    def create(self) -> bool:
        """Create the key file when it is missing. Returns whether it was. Raises :class:`StoreError`."""
        if os.path.lexists(self.path):
            return False
        try:
            files.make_directories(os.path.dirname(self.path), 0o755)
            files.replace(self.path, f"{secrets.token_hex(32)}\n".encode(), 0o600, durable=True)
        except files.FileError as error:
            raise StoreError(
                f"{self.path}: the key that authenticates backups cannot be created ({error}). Run the role "
                "onebox.stack.backups, or start one backup as this user."
            ) from error
        self._keys = None
        return True

    def sign(self, payload: bytes) -> dict[str, str]:
        """The authentication of ``payload`` for a manifest. Raises :class:`StoreError` without a key."""
        self.create()
        own = self._own()
        if not own:
            raise StoreError(f"{self.path}: the file holds no authentication key. Restore the key, or remove the file.")
        return {"key": _name(own[0]), "hmac": _code(own[0], payload)}

    def signed(self, seq: int) -> None:
        """Record that the set ``seq`` was authenticated: later ones must be, too. Raises :class:`FileError`."""
        name = _name(self._own()[0])
        if self._began()[0] != name:
            self._since = (name, seq)
            files.replace(self._note, json.dumps({"key": name, "since": seq}).encode(), durable=True)

    def judge(self, payload: bytes, stated: t.Any, seq: int) -> str:
        """The reason why a manifest is not authentic, "" when it is.

        Args:
            payload: the bytes that are authenticated.
            stated: the authentication in the manifest, None for none.

        Raises:
            Forged: the authentication is by our key and does not match, or is missing although it was required.
        """
        reason = f"{UNSIGNED}: its manifest has no authentication"
        if stated is not None:
            if not isinstance(stated, dict) or not isinstance(stated.get("key"), str):
                raise Forged("authentication is not a mapping with key and hmac")
            keys = {_name(key): key for key in [*self._own(), *self._more]}
            key = keys.get(stated["key"])
            if key is not None:
                given = str(stated.get("hmac")).encode("utf-8", "replace")
                if not hmac.compare_digest(_code(key, payload).encode(), given):
                    raise Forged("its authentication does not match: it was changed after it was written")
                return ""
            reason = f"{UNSIGNED}: it was authenticated with another key ({stated['key'][:16]!r})"
        name, since = self._began()
        own = self._own()
        if since and own and name == _name(own[0]) and seq >= since:
            raise Forged(f"{reason}, and all sets from {since} on are authenticated with the key in {self.path}")
        return reason

    def _own(self) -> list[bytes]:
        if self._keys is None:
            self._keys = _read(self.path)
        return self._keys

    def _began(self) -> tuple[str, int]:
        """The key that was used last, and the first set it authenticated; ("", 0) for none."""
        if self._since is None:
            try:
                with files.open_regular(self._note) as stream:
                    note = json.load(stream)
                self._since = (str(note["key"]), int(note["since"]))
            except (OSError, ValueError, KeyError, TypeError):
                self._since = ("", 0)
        return self._since


def _read(path: str) -> list[bytes]:
    """The keys of a file, none when it does not exist. Raises :class:`StoreError` for a file that is not private."""
    try:
        with files.open_regular(path) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            lines = [line.strip() for line in stream.read(1 << 16).splitlines()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path}: the authentication key cannot be read ({error.strerror}).") from error
    if stat.S_IMODE(mode) & 0o077:
        raise StoreError(f"{path}: others can read the authentication key. Run chmod 600 on it.")
    found = [line for line in lines if line and not line.startswith(b"#")]
    for line in found:
        if len(line) < _SHORTEST:
            raise StoreError(f"{path}: an authentication key is shorter than {_SHORTEST} characters. Use a longer one.")
    return found


def _name(key: bytes) -> str:
    """A name of the key that does not reveal it."""
    return hashlib.sha256(b"onebox.stack key " + key).hexdigest()[:16]


def _code(key: bytes, payload: bytes) -> str:
    return hmac.new(key, payload, hashlib.sha256).hexdigest()
