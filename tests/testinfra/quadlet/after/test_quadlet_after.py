# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of quadlets on Podman 5.4, checked from outside."""

UNITS = "/etc/containers/systemd"
SECRET = "not to be read by others"


def test_service_runs_as_a_unit_of_systemd(host, containers):
    found = containers("shop")
    assert {name: entry["Name"] for name, entry in found.items()} == {
        name: f"shop_{name}_1" for name in ("migrate", "web", "worker")
    }
    for name in ("web", "worker"):
        assert found[name]["State"]["Running"]
        assert found[name]["Config"]["Labels"]["PODMAN_SYSTEMD_UNIT"] == f"shop-{name}.service"
        assert host.check_output("systemctl is-active shop-%s", name) == "active"
    assert found["web"]["State"]["Health"]["Status"] == "healthy"


def test_page_of_the_host_answers_from_outside(get):
    assert get(8080, "/page.html") == (200, "served from the host")


def test_health_and_end_of_dependencies_are_awaited(host, containers):
    assert "Notify=healthy" in host.file(f"{UNITS}/shop-web.container").content_string
    after = host.check_output("systemctl show --property After --value shop-worker").split()
    assert {"shop-web.service", "shop-migrate.service"} <= set(after)
    # The migration ran once, although the stack was deployed twice.
    assert len(host.file("/srv/shop data/migrated").content_string.splitlines()) == 1
    assert containers("shop")["migrate"]["State"]["ExitCode"] == 0


def test_secret_is_in_private_files_only(host, containers):
    worker = containers("shop")["worker"]["Config"]
    assert f"SECRET={SECRET}" in worker["Env"]
    assert worker["Labels"]["shop.token"] == SECRET
    holders = host.run("grep -rl %s /etc/containers /run/systemd/generator", SECRET).stdout.splitlines()
    assert sorted(holders) == [f"{UNITS}/shop-worker.env", f"{UNITS}/shop-worker.labels"]
    assert {host.file(path).mode for path in holders} == {0o600}


def test_volume_and_network_have_the_labels_of_the_stack(host):
    for kind, name in (("volume", "shop_work"), ("network", "shop_default")):
        listed = host.check_output("podman %s ls --quiet --filter label=com.docker.compose.project=shop", kind)
        assert listed == name


def test_mounts_are_verified(host):
    found = host.run("cat /var/lib/onebox/shop/promised.json")
    assert found.rc == 0
    assert "/srv/shop data" in found.stdout
