"""The host keys from the serial console: complete, of the right type, and never a reason to fail."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import host_keys
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed

BEGIN, END = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"


def key(kind: str, fill: bytes = b"k") -> str:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + fill * 40
    return f"{kind} {base64.b64encode(blob).decode()}"


ED, EC = key("ssh-ed25519"), key("ecdsa-sha2-nistp256")


def test_keys_of_the_last_block_are_read_with_the_marks_of_a_real_console() -> None:
    old = key("ssh-ed25519", b"o")
    first = f"boot\n{BEGIN}\n{old}\n{END}\r\nagain\n"
    text = f"{first}{BEGIN}\r\n[  17.5] cloud-init[911]: {ED} root@vm\r\n{EC}\n{END}\nlogin: "
    assert host_keys.parse(text) == [ED, EC]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ED,
        f"{BEGIN}\n{ED}",
        f"{BEGIN}\n{END}",
        f"{BEGIN}\nssh-ed25519 {EC.split()[1]}\n{END}",
        f"{BEGIN}\nssh-ed25519 AAAA\n{END}",
        f"{BEGIN}\n{ED[:-3]}!!!\n{END}",
    ],
)
def test_incomplete_block_of_keys_has_no_keys(text: str) -> None:
    assert host_keys.parse(text) == []


class Console:
    def __init__(self, *answers: str | CallFailed | None) -> None:
        self.answers = list(answers)

    def console(self, identity: str) -> str | None:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, CallFailed):
            raise CallFailed(answer.answer)
        return answer


def read(*answers: str | CallFailed | None) -> tuple[list[str], str]:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    world = dataclasses.replace(World.real(), monotonic=lambda: now[0], sleep=sleep)
    return host_keys.read(Console(*answers), "i", 60, world)


def test_read_waits_for_the_keys_and_retries_failed_reads() -> None:
    busy = CallFailed(Answer(500, "InternalError"))
    assert read(None, busy, "still booting", f"{BEGIN}\n{ED}\n{END}") == ([ED], "")


def test_read_without_keys_returns_the_reason() -> None:
    assert read() == ([], "the console shows no host keys within 60 s")
    keys, reason = read(CallFailed(Answer(404, "NotAuthorizedOrNotFound")))
    assert keys == []
    assert "404 NotAuthorizedOrNotFound" in reason
