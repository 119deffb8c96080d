"""Just enough of PostgreSQL's protocol to run one statement at a time: the slim image has no driver.

Passwords use SCRAM-SHA-256 (RFC 7677), the default of PostgreSQL since version 14.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import socket
import struct
import typing as t


class DatabaseError(Exception):
    """PostgreSQL refused, or cannot be reached."""


def connect() -> Connection:
    """A connection as the environment says: DB_HOST, DB_PORT, and the password in DB_PASSWORD_FILE."""
    with open(os.environ.get("DB_PASSWORD_FILE", "/run/secrets/db_password"), encoding="utf-8") as stream:
        password = stream.read().strip()
    address = (os.environ.get("DB_HOST", "postgres"), int(os.environ.get("DB_PORT", "5432")))
    return Connection(address, user="observer", database="observer", password=password)


class Connection:
    """One session."""

    def __init__(self, address: tuple[str, int], *, user: str, database: str, password: str) -> None:
        try:
            self._socket = socket.create_connection(address, timeout=5)
        except OSError as error:
            raise DatabaseError(f"{address[0]}:{address[1]}: {error}") from error
        self._stream = self._socket.makefile("rb")
        words = b"user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
        self._socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self._sign_in(password)
        self._until_ready()

    def run(self, statement: str, *values: str | int) -> list[list[str | None]]:
        """Run one statement with ``values`` for ``$1`` and so on; the rows it gives, as text."""
        self._send(b"P", b"\0" + statement.encode() + b"\0\0\0")
        texts = [str(value).encode() for value in values]
        bound = b"".join(struct.pack("!i", len(text)) + text for text in texts)
        self._send(b"B", b"\0\0\0\0" + struct.pack("!h", len(texts)) + bound + b"\0\0")
        self._send(b"E", b"\0\0\0\0\0")
        self._send(b"S", b"")
        return self._until_ready()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _send(self, kind: bytes, body: bytes) -> None:
        try:
            self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        except OSError as error:
            raise DatabaseError(str(error)) from error

    def _receive(self) -> tuple[bytes, bytes]:
        try:
            head = self._stream.read(5)
            body = self._stream.read(struct.unpack("!i", head[1:])[0] - 4) if len(head) == 5 else b""
        except OSError as error:
            raise DatabaseError(str(error)) from error
        if len(head) < 5:
            raise DatabaseError("the server closed the connection")
        return head[:1], body

    def _until_ready(self) -> list[list[str | None]]:
        rows, failure = [], ""
        while True:
            kind, body = self._receive()
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"E":
                failure = _reason(body)
            elif kind == b"Z":
                break
        if failure:
            raise DatabaseError(failure)
        return rows

    def _sign_in(self, password: str) -> None:
        nonce = secrets.token_urlsafe(18)
        first = f"n=,r={nonce}"
        proof = b""
        while True:
            kind, body = self._receive()
            if kind == b"E":
                raise DatabaseError(_reason(body))
            (step,) = struct.unpack("!i", body[:4]) if kind == b"R" else (-1,)
            if step == 0:
                return
            if step == 10:
                text = f"n,,{first}".encode()
                self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(text)) + text)
            elif step == 11:
                answer, proof = _answer(password, first, body[4:].decode())
                self._send(b"p", answer)
            elif step == 12:
                if base64.b64decode(body[4:].partition(b"v=")[2]) != proof:
                    raise DatabaseError("the server does not know the password either: is it the right one?")
            else:
                raise DatabaseError(f"the server requires another method than SCRAM-SHA-256 ({kind!r}, {step})")


def _answer(password: str, first: str, challenge: str) -> tuple[bytes, bytes]:
    given = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(given["s"]), int(given["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = f"c=biws,r={given['r']}"
    signed = ",".join((first, challenge, final)).encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
    mixed = bytes(a ^ b for a, b in zip(key, signature))
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
    return f"{final},p={base64.b64encode(mixed).decode()}".encode(), server


def _row(body: bytes) -> list[str | None]:
    (count,) = struct.unpack("!h", body[:2])
    found: list[t.Any] = []
    at = 2
    for _unused in range(count):
        (size,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        found.append(None if size < 0 else body[at : at + size].decode())
        at += max(size, 0)
    return found


def _reason(body: bytes) -> str:
    parts = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
    return parts.get(b"M", "an error without a text")
