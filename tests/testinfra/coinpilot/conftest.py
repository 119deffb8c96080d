# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to coinpilot's services from their host, like those through an SSH tunnel."""

import json

import pytest

# Runs on the host, which has no curl: prints the status, then the body.
ASK = """
import base64, sys, urllib.error, urllib.request
url, user, password, data, secret = sys.argv[1:6]
request = urllib.request.Request(url, data.encode() or None)
if user:
    known = dict(line.split("=", 1) for line in open("/opt/onebox/coinpilot/.env") if "=" in line)
    pair = user + ":" + known[password].strip().strip("'\\"")
    request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
if data:
    request.add_header("Content-Type", "application/json")
if secret:
    request.add_header("X-Coinpilot-Secret", secret)
try:
    answer = urllib.request.urlopen(request, timeout=15)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
print(answer.read().decode())
"""


@pytest.fixture
def inside(host):
    """Request a URL from the host itself: (status, body as JSON or text).

    A password is passed by its name in the stack's environment file: sudo writes command lines to the journal, which is
    searched for secrets.
    """

    def ask(url: str, *, user: str = "", password: str = "", data: str = "", secret: str = ""):
        printed = host.check_output("python3 -c %s %s %s %s %s %s", ASK, url, user, password, data, secret)
        status, _newline, body = printed.partition("\n")
        try:
            return int(status), json.loads(body)
        except ValueError:
            return int(status), body

    return ask


@pytest.fixture
def sql(host):
    """One value from the stack's database."""

    def ask(statement: str) -> str:
        return host.check_output("docker exec coinpilot-db-1 psql -qAtX -U coinpilot -d coinpilot -c %s", statement)

    return ask
