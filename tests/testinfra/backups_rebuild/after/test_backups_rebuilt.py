# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new host, rebuilt from the off-site repository and its keys, checked from outside."""

import json

import pytest


@pytest.fixture
def fresh(host):
    if "fresh" not in host.backend.get_pytest_id():
        pytest.skip("the old host is lost, and the off-site host has no stack")
    return host


def test_every_row_is_back(fresh):
    sql = "SELECT count(*), md5(string_agg(id || what, ',' ORDER BY id)) FROM orders"
    found = fresh.check_output(f'docker exec shop-db-1 psql -XAtU shop -d shop -c "{sql}"')
    assert found.startswith("20000|")
    wanted = "SELECT md5(string_agg(n || md5(n::text), ',' ORDER BY n)) FROM generate_series(1, 20000) n"
    assert found.split("|")[1] == fresh.check_output(f'docker exec shop-db-1 psql -XAtU shop -d shop -c "{wanted}"')


def test_cache_is_back_and_survives_a_restart(fresh):
    ask = "docker exec shop-cache-1 sh -c 'REDISCLI_AUTH=$REDIS_PASSWORD valkey-cli GET cart:1'"
    assert fresh.check_output(ask) == 'three "apples"'
    assert fresh.run("docker restart -t 5 shop-cache-1").rc == 0
    assert fresh.check_output(f'for n in $(seq 50); do out=$({ask}); [ -n "$out" ] && break; done; echo "$out"') != ""
    assert fresh.check_output(ask) == 'three "apples"'


def test_page_is_served_from_the_restored_directory(fresh):
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/a%20page.html').read().decode())"
    assert fresh.check_output(f'python3 -c "{page}"').strip() == "worth keeping"
    assert fresh.run("ls -d /srv/shop/uploads.before-*").rc == 0


def test_containers_are_healthy(fresh):
    rows = fresh.check_output("docker ps --format '{{json .}}'").splitlines()
    states = {row["Names"]: row["Status"] for row in map(json.loads, rows)}
    assert set(states) == {"shop-db-1", "shop-cache-1", "shop-web-1"}
    assert "healthy" in states["shop-db-1"]
