# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables of a stranger's stack are secrets, and which value each gets."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import values

RANDOM = "k3J9xQ2vLm7TzR5bWn8YcD4f"


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "dbPassword", "JWT_SECRET", "API_KEY", "AUTH_TOKEN", "SENTRY_DSN", "MYSQL_PWD"]
)
def test_secret_by_name(name):
    assert values.judge(name, "correct horse", "", public=False).secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TZ", "Europe/Berlin"),
        ("DB_PASSWORD_FILE", "/run/secrets/db"),
        ("PUBLIC_KEY", "ssh-ed25519"),
        ("PASSWORD_RESET_ENABLED", "true"),
        ("KEYBOARD", "de"),
        ("MONKEY", "x"),
        ("IMAGE", "ghcr.io/acme/web:1.4.2-rc1"),
        ("DATA_DIR", "/srv/app/2026/data1"),
        ("URL", "https://example.org/a/b"),
        ("HOSTNAME", "web-01.internal.example.org"),
    ],
)
def test_value_without_a_sign_of_a_secret_is_plain(name, value):
    judged = values.judge(name, value, "", public=False)
    assert (judged.secret, judged.value) == (False, value)


def test_secret_by_form_of_a_random_value():
    judged = values.judge("SEED", RANDOM, "", public=False)
    assert judged.secret
    assert "seems random" in judged.reason
    assert RANDOM not in judged.reason


def test_secret_by_form_of_a_url_with_a_password():
    assert values.judge("BROKER", "amqp://app:hunter2hunter2@mq:5672/", "", public=False).secret


def test_secret_by_position():
    document = {
        "services": {
            "db": {"environment": {"POSTGRES_PASSWORD": "${A}", "POSTGRES_DB": "${NO}"}},
            "cache": {"command": "redis-server --requirepass ${B}"},
            "web": {"environment": ["URL=postgres://app:${C}@db/app", "SHOW=${NO}"]},
        }
    }
    found = values.positions(document)
    assert set(found) == {"A", "B", "C"}
    assert found["A"] == "it is POSTGRES_PASSWORD of service db"
    assert values.judge("A", "correct horse", found["A"], public=False).secret


@pytest.mark.parametrize(
    "placeholder", ["changeme", "change_me_please", "<your password>", "example", "secret", "xxxx", "", "password1"]
)
def test_example_value_of_an_inner_secret_becomes_random(placeholder):
    judged = values.judge("DB_PASSWORD", placeholder, "", public=True)
    assert judged.secret
    assert len(judged.value) == 32
    assert judged.value != values.judge("DB_PASSWORD", placeholder, "", public=True).value


def test_value_of_an_example_is_never_kept_as_a_secret():
    assert values.judge("DB_PASSWORD", RANDOM, "", public=True).value != RANDOM


def test_value_of_the_owner_is_kept():
    judged = values.judge("DB_PASSWORD", RANDOM, "", public=False)
    assert (judged.value, judged.open) == (RANDOM, False)


def test_secret_that_others_issue_is_an_empty_slot():
    judged = values.judge("OPENAI_API_KEY", "sk-xxxx", "", public=True)
    assert (judged.secret, judged.value) == (True, "")
    assert "only its issuer" in judged.reason


def test_plain_variable_without_a_value_is_an_open_slot():
    judged = values.judge("DOMAIN", None, "", public=False)
    assert (judged.secret, judged.value, judged.open) == (False, "", True)
