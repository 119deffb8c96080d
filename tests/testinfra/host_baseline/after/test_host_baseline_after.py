# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh VM with the firewall rules of Oracle's images, as host_baseline and container_engine leave it."""

RULES = "/etc/iptables/rules.v4"


def test_containers_talk_to_each_other_and_to_the_world(host, container, server):
    for other in (server(), host.check_output("ip route show default").split()[2]):
        result = container("ping", "-c", "1", "-W", "10", other)
        assert result.rc == 0, result.stdout + result.stderr


def test_loading_the_rules_again_does_not_cut_containers_off(host, container, eventually):
    gateway = host.check_output("ip route show default").split()[2]
    assert "-j DOCKER-USER" in host.check_output("iptables -S FORWARD")
    host.check_output("systemctl restart netfilter-persistent")
    eventually(lambda: "-j DOCKER-USER" in host.check_output("iptables -S FORWARD"), 180)
    eventually(lambda: host.service("docker").is_running, 180)
    eventually(lambda: container("ping", "-c", "1", "-W", "5", gateway).rc == 0)


def test_only_what_is_declared_is_let_in(listening, reached):
    listening(8088, 8089)
    assert reached(8088)
    assert not reached(8089)


def test_rules_of_the_image_stay(host):
    rules = host.check_output("iptables -S")
    assert "-A INPUT -j REJECT --reject-with icmp-host-prohibited" in rules
    assert "-A InstanceServices -d 169.254.0.2/32 -p tcp -m owner --uid-owner 0 -m tcp --dport 3260 -j ACCEPT" in rules
    assert rules.count("--dport 8088") == 1
    kept = host.file(RULES).content_string
    assert kept.index("--dport 8088") < kept.index("-A INPUT -j REJECT")
    assert host.run("iptables-restore --test %s", RULES).rc == 0
    # Docker's are of the moment; saved, they would be in the way of the next start.
    assert "DOCKER" not in kept


def test_port_that_is_no_longer_declared_is_closed(host, playbook_of_role, listening, reached):
    listening(8088, 8090)
    playbook_of_role("[8090]")
    assert reached(8090)
    assert not reached(8088)
    assert "8088" not in host.file(RULES).content_string
    playbook_of_role("[8088]")
    assert reached(8088)
    assert not reached(8090)


def test_security_updates_are_configured(host):
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(timer).is_enabled, timer
        assert host.service(timer).is_running, timer
    dump = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in dump
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "04:30";' in dump
    # The program itself, with this host's configuration.
    said = host.run("unattended-upgrade --dry-run --debug")
    assert said.rc == 0, said.stderr
    assert "Debian-Security" in said.stdout + said.stderr


def test_clock_is_kept(host):
    assert host.service("systemd-timesyncd").is_enabled
    assert host.service("systemd-timesyncd").is_running


def test_swap_is_active_as_declared(host):
    used = [line.split()[0] for line in host.file("/proc/swaps").content_string.splitlines()[1:]]
    if host.ansible.get_variables()["host_baseline_swap_mib"] == 0:
        assert "swapfile" not in host.file("/etc/fstab").content_string
    elif "/var/lib/docker/swapfile" in used:
        assert host.file("/var/lib/docker/swapfile").mode == 0o600
        assert "/var/lib/docker/swapfile none swap sw" in host.file("/etc/fstab").content_string
    else:
        # Swap is the whole machine's: where the tests' own machine has some, a host has, too, and is left alone.
        assert used
        assert not host.file("/var/lib/docker/swapfile").exists


def test_engine_of_this_release(host):
    debian12 = host.file("/etc/debian_version").content_string.startswith("12")
    assert host.check_output("docker --version").startswith(
        "Docker version 20.10." if debian12 else "Docker version 26."
    )
    assert host.check_output("docker compose version --short").startswith("2.26.")
    assert host.run("docker buildx version").rc == 0
    assert host.service("docker").is_enabled


def test_systemd_is_content(host):
    assert host.check_output("systemctl --failed --no-legend") == ""
