"""The socket reader against a real unix socket, whose other end sends valid and invalid answers."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import threading
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine import socket_http
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError, NotFound, SocketEngine


def plain(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    pieces = b"".join(b"%x;x=y\r\n%s\r\n" % (len(one), one) for one in (body[:half], body[half:]) if one)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\nTrailer: x\r\n\r\n"


def inspect(target: str) -> bytes:
    name = target.split("/")[2]
    return json.dumps({"Id": name * 2, "Name": f"/{name}", "State": {"Status": "running", "Pid": 7}}).encode()


class Server:
    """Answers each question by ``reply``; a connection is closed after ``limit`` answers."""

    def __init__(self, path: pathlib.Path, reply: t.Callable[[str], bytes], limit: int = 10**9) -> None:
        self.reply, self.limit = reply, limit
        self.connections = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
                for _number in range(self.limit):
                    target = stream.readline().split()
                    if not target:
                        break
                    while stream.readline().strip():
                        pass
                    connection.sendall(self.reply(target[1].decode()))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def serve(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., tuple[Server, SocketEngine]]]:
    made = []

    def start(reply: t.Callable[[str], bytes], limit: int = 10**9) -> tuple[Server, SocketEngine]:
        def answer(target: str) -> bytes:
            return plain(b'{"Version": "1"}') if target in ("/_ping", "/version") else reply(target)

        path = tmp_path / f"engine{len(made)}.sock"
        made.append(Server(path, answer, limit))
        return made[-1], SocketEngine(str(path), timeout=5)

    yield start
    for one in made:
        one.close()


@pytest.mark.parametrize("form", [plain, chunked, lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + plain(body)])
def test_many_questions_are_answered_in_order(serve: t.Callable[..., t.Any], form: t.Callable[[bytes], bytes]) -> None:
    server, engine = serve(lambda target: form(inspect(target)))
    names = [f"c{number:03}" for number in range(3 * socket_http.WINDOW + 1)]
    assert [one.name for one in engine.containers(names=names)] == names
    assert server.connections == 1


def test_connection_that_is_closed_now_and_then_loses_nothing(serve: t.Callable[..., t.Any]) -> None:
    """An engine that restarts midway: unanswered requests are repeated, answers are not lost."""
    server, engine = serve(lambda target: plain(inspect(target)), limit=7)
    names = [f"c{number:03}" for number in range(50)]
    assert [one.name for one in engine.containers(names=names)] == names
    assert server.connections > 7


def test_missing_container_is_named_and_the_connection_is_still_good(serve: t.Callable[..., t.Any]) -> None:
    def reply(target: str) -> bytes:
        if "/gone/" in target:
            return plain(b'{"message": "No such container: gone"}', "404 Not Found")
        return plain(inspect(target))

    _server, engine = serve(reply)
    with pytest.raises(NotFound, match="gone"):
        engine.containers(names=["a", "gone", "b"])
    assert [one.name for one in engine.containers(names=["b", "a"])] == ["a", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Enc",
    ],
)
def test_other_end_that_is_not_an_engine(tmp_path: pathlib.Path, answer: bytes) -> None:
    server = Server(tmp_path / "s", lambda _target: answer, limit=1)
    with pytest.raises(EngineError, match="does not answer"):
        SocketEngine(str(tmp_path / "s"), timeout=5)
    server.close()


def test_error_of_the_engine_is_quoted(serve: t.Callable[..., t.Any]) -> None:
    _server, engine = serve(lambda _target: plain(b'{"message": "disk is full"}', "500 Oops"))
    with pytest.raises(EngineError, match="500 .*disk is full"):
        engine.containers(names=["a"])


def test_unread_answers_are_not_mistaken_for_others(serve: t.Callable[..., t.Any]) -> None:
    def reply(target: str) -> bytes:
        return plain(b"no JSON" if "/bad/" in target else inspect(target))

    _server, engine = serve(reply)
    with pytest.raises(ValueError, match="Expecting value"):
        engine.containers(names=["bad", "a", "b"])
    assert [one.name for one in engine.containers(names=["c"])] == ["c"]


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("Docker/20.10.24+dfsg1 (linux)", ("docker", "20.10.24+dfsg1")),
        ("Libpod/4.3.1 (linux)", ("podman", "4.3.1")),
        ("proxy", ("podman", "5.4.2")),
        ("", ("podman", "5.4.2")),
    ],
)
def test_engine_and_version_come_from_its_header_or_else_from_its_own_words(
    tmp_path: pathlib.Path, server: str, told: tuple[str, str]
) -> None:
    """Headers as Docker 20.10 and Podman 4.3 send them."""

    def reply(target: str) -> bytes:
        if target == "/_ping":
            return b"HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Length: 2\r\n\r\nOK" % server.encode()
        return plain(b'{"Version": "5.4.2", "Components": [{"Name": "Podman Engine"}]}')

    one = Server(tmp_path / "s", reply)
    engine = SocketEngine(str(tmp_path / "s"), timeout=5)
    assert (engine.name, engine.version) == told
    one.close()
