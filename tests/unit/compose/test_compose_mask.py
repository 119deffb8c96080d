# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets never reach what people see."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import mask


@pytest.mark.parametrize(
    "name",
    ["POSTGRES_PASSWORD", "apiKey", "SLACK_WEBHOOK_URL", "token", "DB_PASS", "CLIENT_SECRET", "MYSQL_PWD", "GCP_CRED"],
)
def test_values_of_such_names_are_hidden(name):
    assert mask.value(name, "s3cret") == mask.MASK


@pytest.mark.parametrize(("name", "value"), [("LEVEL", "debug"), ("PORT", 80), ("HOST", "db")])
def test_others_are_shown(name, value):
    assert mask.value(name, value) == str(value)


@pytest.mark.parametrize(
    ("shown", "hidden"),
    [
        ("postgres://app:hunter22@db/x", "hunter22"),
        ("redis://:hunter22@db", "hunter22"),
        ("postgres://app:s3@hunter22@db/x", "hunter22"),
        ("--password=hunter22 --level=1", "hunter22"),
        ("api_token: 'hunter22'", "hunter22"),
        ("connecting with PGPASSWORD=hunter22;", "hunter22"),
        ('{"client_secret": "hunter22"}', "hunter22"),
    ],
)
def test_passwords_within_text_are_hidden(shown, hidden):
    assert hidden not in mask.text(shown)


def test_known_values_are_hidden_wherever_they_stand():
    environment = {"DB_PASSWORD": "hunter22", "LEVEL": "debug", "SHORT_KEY": "1"}
    text = mask.text("log in as app/hunter22 at debug 1", mask.secrets_of(environment))
    assert text == f"log in as app/{mask.MASK} at debug 1"


def test_no_value_stays_none():
    assert mask.value("PASSWORD", None) is None
