# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets never reach visible text, regardless of their names and encodings."""

import base64
import json
import shlex
import urllib.parse

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.mask import MASK, Secrets, credentials, forms, printed
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "pa/ss'w\"o$rd %41\\ä"


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        shlex.quote(SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        SECRET.replace("$", "$$"),
        base64.b64encode(SECRET.encode()).decode(),
        f"redis://:{SECRET}@cache:6379/0",
        f"--requirepass {SECRET}",
        f"prefix{SECRET}suffix",
    ],
)
def test_value_is_masked_in_every_spelling(spelling: str):
    shown = Secrets([SECRET]).text(f"before {spelling} after")
    assert MASK in shown
    for part in ("pa/ss", "pa%2Fss", 'w\\"o'):
        assert part not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.text(min_size=8, max_size=60), st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=300, derandomize=True)
def test_long_value_never_survives_in_any_text(secret: str, before: str, after: str):
    if len(secret.strip()) >= 8 and secret not in MASK and secret not in before + MASK + after:
        assert secret not in Secrets([secret]).text(before + secret + after)


@pytest.mark.parametrize("secret", ["hunter2", "1234", "abc"])
def test_short_value_is_masked_as_a_word_and_leaves_longer_words(secret: str):
    shown = Secrets([secret]).text(f"password={secret}; x{secret}y")
    assert shown == f"password={MASK}; x{secret}y"


@pytest.mark.parametrize("value", ["", "1", "no", " ", "true", "Info", "\ttrue\n"])
def test_value_too_short_or_common_is_left(value: str):
    assert Secrets([value]).text("no 1 is here, true, info, Info") == "no 1 is here, true, info, Info"


def test_each_line_of_a_key_is_masked():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    shown = Secrets([key]).text("log: kqhkiG9w0BAQEF")
    assert shown == f"log: {MASK}"


def test_public_value_stays_readable():
    secrets = Secrets(["/srv/data", "8080", "s3cret-s3cret"], public=["/srv/data", "8080"])
    assert secrets.text("/srv/data on 8080: s3cret-s3cret") == f"/srv/data on 8080: {MASK}"


def test_value_that_is_part_of_a_public_text_stays_readable_there_only():
    secrets = Secrets(["16-alpine", "data"], public=["postgres:16-alpine", "/srv/data/db"])
    shown = secrets.text("postgres:16-alpine binds /srv/data/db, 16-alpine data")
    assert shown == f"postgres:16-alpine binds /srv/data/db, {MASK} {MASK}"


def test_value_that_only_overlaps_a_public_text_is_masked():
    assert Secrets(["data/secret-1"], public=["/srv/data"]).text("/srv/data/secret-1") == f"/srv/{MASK}"


def test_values_that_overlap_each_other_are_masked_whole():
    assert Secrets(["abcdefgh", "efghijkl"]).text("xabcdefghijklx") == f"x{MASK}x"


def test_text_that_is_not_utf8_is_masked():
    assert Secrets(["secret-\udcff-1"]).text("a secret-\udcff-1 b") == f"a {MASK} b"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://u:p%40ss@h/x", ["p%40ss", "p@ss"]),
        ("http://h/x?a=b%20c#frag", ["b c", "frag", "b%20c", "b c"]),
        ("http://h:80/x", []),
        ("http://[broken", ["http://[broken"]),
    ],
)
def test_credentials_of_a_url_are_found(url: str, found: list[str]):
    assert sorted(set(credentials(url))) == sorted(set(found))


def test_longer_of_two_overlapping_values_is_masked_whole():
    assert Secrets(["topsecret", "topsecret-and-more"]).text("x topsecret-and-more y") == f"x {MASK} y"


def test_values_of_shown_keys_stay():
    value = {"state": "running", "names": ["running", {"msg": "running"}], "msg": ["running"]}
    assert Secrets(["running"]).data(value, {"state", "names"}) == {
        "state": "running",
        "names": ["running", {"msg": MASK}],
        "msg": [MASK],
    }


def test_structures_are_masked_and_keep_their_keys():
    secrets = Secrets(["topsecret"])
    assert secrets.data({"topsecret": ["topsecret", 1, None, {"a": "is topsecret"}]}) == {
        "topsecret": [MASK, 1, None, {"a": f"is {MASK}"}]
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://app:pa/ss@db:5432/x", f"postgres://app:{MASK}@db:5432/x"),
        ("redis://:pa@ss@db/0", f"redis://:{MASK}@db/0"),
        ("http://h/x?user=u&password=abc&y=1", f"http://h/x?user=u&password={MASK}&y=1"),
        ("GET /?api_key=abc", f"GET /?api_key={MASK}"),
        ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {MASK}"),
        ("http://127.0.0.1:8080/a:b", "http://127.0.0.1:8080/a:b"),
        ("image docker.io/library/app:1@sha256:00", "image docker.io/library/app:1@sha256:00"),
        ("mail to a@b.c: http://x/y", "mail to a@b.c: http://x/y"),
    ],
)
def test_password_is_recognised_by_its_form(text: str, shown: str):
    assert forms(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "--password=hunter22 --level=1",
        "api_token: 'hunter22'",
        "connecting with PGPASSWORD=hunter22;",
        '{"client_secret": "hunter22"}',
        "redis://:hunter22@cache",
    ],
)
def test_secret_of_unknown_value_in_output_is_recognised_by_its_name(text: str):
    assert "hunter22" not in printed(text)
    assert MASK in printed(text)
