# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of a destroyed Docker host, restored from off-site on a Podman host and checked from outside."""

import json

import pytest


@pytest.fixture
def fresh(host):
    if "fresh" not in host.backend.get_pytest_id():
        pytest.skip("the Docker host is destroyed, and the off-site host has no stack")
    return host


def container(fresh, service):
    words = f"--filter label=com.docker.compose.project=shop --filter label=com.docker.compose.service={service}"
    return fresh.check_output(f"podman ps -q {words}")


def test_every_row_is_back_in_postgresql(fresh):
    psql = f"podman exec {container(fresh, 'db')} psql -XAtU shop -d shop -c"
    found = fresh.check_output(f"{psql} \"SELECT count(*), md5(string_agg(id || what, ',' ORDER BY id)) FROM orders\"")
    rows = "SELECT md5(string_agg(n || md5(n::text), ',' ORDER BY n)) FROM generate_series(1, 20000) n"
    assert found == "20000|" + fresh.check_output(f'{psql} "{rows}"')


def test_every_note_is_back_in_sqlite(fresh):
    count = "sqlite3.connect('/state/notes.db').execute('SELECT count(*) FROM notes').fetchone()[0]"
    ask = f"import sqlite3; print({count})"
    assert fresh.check_output(f'podman exec {container(fresh, "notes")} python3 -c "{ask}"') == "5000"


def test_page_is_served_from_the_restored_volume(fresh):
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/a%20page.html').read().decode())"
    assert fresh.check_output(f'python3 -c "{page}"').strip() == "worth keeping"
    stat = f"podman exec {container(fresh, 'web')} stat -c '%u %g %a %s' /app/data/private/photo"
    assert fresh.check_output(stat) == "999 998 600 300000"


def test_data_lies_in_the_volumes_of_the_stack(fresh):
    mounts = {
        service: json.loads(fresh.check_output(f"podman inspect {container(fresh, service)}"))[0]["Mounts"]
        for service in ("db", "notes", "web")
    }
    names = {service: [row["Name"] for row in rows] for service, rows in mounts.items()}
    assert names == {"db": ["shop_db"], "notes": ["shop_notes"], "web": ["shop_files"]}
