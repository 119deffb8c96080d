# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that brings a stack back, with a systemctl that only remembers: a real one is in the Molecule scenario."""

import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Boot, Host
from ansible_collections.onebox.stack.plugins.module_utils.core import process


class FakeSystemd:
    """Records the calls, and which units they enabled and started."""

    def __init__(self, ran):
        self.calls, self.on, self.active, self.ran = [], False, False, ran
        self.stopped_by, self.runtime = "", set()

    def run(self, argv, *, timeout, check=True, env=None):
        self.runtime.add((env or {}).get("XDG_RUNTIME_DIR"))
        words = list(argv)[1:]
        self.calls.append(" ".join(words))
        rc = 0
        if words[0] == "is-enabled":
            rc = 0 if self.on else 1
        elif words[0] == "is-active":
            rc = 0 if self.active else 3
        elif words[0] == "enable":
            self.on = True
        elif words[0] == "start":
            self.active = True
        elif words[0] == "disable":
            self.on = self.active = False
            self.stopped_by = self.ran.with_name("boot.sh").read_text()
            self.ran.write_text("")  # as the unit's ExecStop does
        return process.Result(tuple(argv), rc, "", "", 0.0)


@pytest.fixture
def systemd(tmp_path):
    return FakeSystemd(tmp_path / "state" / "shop" / "ran")


@pytest.fixture
def boot(tmp_path, systemd):
    (tmp_path / "run").mkdir()
    (tmp_path / "units").mkdir()
    host = Host(systemd.run, str(tmp_path / "run"), str(tmp_path / "units"), False, "")
    return Boot(host, "shop", str(tmp_path / "state" / "shop"))


def unit(tmp_path):
    return (tmp_path / "units" / "onebox-shop.service").read_text()


UNIT_OF_ROOT = """\
# Made by onebox.stack.compose_stack; do not edit.
[Unit]
Description=Stack shop
Wants=network-online.target
After=network-online.target docker.service docker.socket
RequiresMountsFor=/srv/50%%
RequiresMountsFor=/srv/data/

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {script} start
ExecStop=/bin/sh {script} stop
TimeoutStartSec=15min
TimeoutStopSec=5min

[Install]
WantedBy=multi-user.target
"""

UNIT_OF_USER = """\
# Made by onebox.stack.compose_stack; do not edit.
[Unit]
Description=Stack shop
Wants=network-online.target
After=network-online.target podman.service podman.socket

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {script} start
ExecStop=/bin/sh {script} stop
TimeoutStartSec=15min
TimeoutStopSec=5min

[Install]
WantedBy=default.target
"""


@pytest.mark.parametrize(
    ("user", "engine", "sources", "expected"),
    [
        pytest.param(False, "docker", ["/srv/data/", "/srv/50%"], UNIT_OF_ROOT, id="root"),
        pytest.param(True, "podman", [], UNIT_OF_USER, id="user"),
    ],
)
def test_unit_of_ordinary_stack_keeps_its_bytes(tmp_path, systemd, user, engine, sources, expected):
    (tmp_path / "linger").touch()
    host = Host(systemd.run, str(tmp_path), str(tmp_path), user, str(tmp_path / "linger") if user else "")
    folder = tmp_path / "state" / "shop"
    Boot(host, "shop", str(folder)).ensure(engine, sources, check=False)
    assert (tmp_path / "onebox-shop.service").read_text() == expected.format(script=folder / "boot.sh")


def test_source_that_systemd_would_ignore_is_written_as_the_engine_mounts_it(boot, tmp_path):
    boot.ensure("docker", ["/srv/app/../data"], check=False)
    assert "RequiresMountsFor=/srv/data\n" in unit(tmp_path)


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_source_that_a_unit_cannot_hold_is_refused_before_anything_is_written(boot, systemd, tmp_path, end):
    with pytest.raises(ComposeError, match="RequiresMountsFor: '/srv/a.*ExecStartPre=/bin/x'") as caught:
        boot.ensure("docker", [f"/srv/a{end}ExecStartPre=/bin/x"], check=False)
    assert "cannot set up the start of the stack at boot" in str(caught.value)
    assert list((tmp_path / "units").iterdir()) == []
    assert systemd.calls == []


def test_script_of_a_folder_with_any_name_is_one_word(tmp_path, systemd):
    folder = tmp_path / '50% of $HOME\'s "data"\n'
    Boot(Host(systemd.run, str(tmp_path), str(tmp_path), False, ""), "shop", str(folder)).ensure(
        "podman", [], check=False
    )
    text = (tmp_path / "onebox-shop.service").read_text()
    start = f'ExecStart=/bin/sh "{tmp_path}/50%% of $$HOME\'s \\"data\\"\\x0a/boot.sh" start\n'
    assert start in text
    assert start.replace("Start", "Stop").replace(" start", " stop") in text


def test_unit_is_created_enabled_and_started_once(boot, systemd, tmp_path):
    first = boot.ensure("podman", ["/srv/data", "/srv/a b"], check=False)
    assert (first["unit"], first["enabled"], first["changed"]) == ("onebox-shop.service", True, True)
    assert "daemon-reload" in systemd.calls
    text = unit(tmp_path)
    assert "RequiresMountsFor=/srv/data\n" in text
    assert 'RequiresMountsFor="/srv/a b"\n' in text
    assert "After=network-online.target podman.service" in text
    assert boot.ensure("podman", ["/srv/data", "/srv/a b"], check=False)["changed"] is False


def test_check_mode_changes_nothing(boot, systemd, tmp_path):
    assert boot.ensure("podman", [], check=True)["changed"] is True
    assert list((tmp_path / "units").iterdir()) == []
    assert systemd.calls == ["is-enabled --quiet onebox-shop.service", "is-active --quiet onebox-shop.service"]


def test_new_source_is_a_change(boot, tmp_path):
    boot.ensure("docker", ["/a"], check=False)
    assert boot.ensure("docker", ["/a", "/b"], check=False)["changed"] is True
    assert "RequiresMountsFor=/b" in unit(tmp_path)


def test_removed_with_all_it_made(boot, systemd, tmp_path):
    boot.ensure("podman", [], check=False)
    assert boot.remove(check=True) is True
    assert boot.remove(check=False) is True
    assert list((tmp_path / "units").iterdir()) == []
    assert list((tmp_path / "state" / "shop").iterdir()) == []
    assert not systemd.on
    # Quadlets may run the containers by now.
    assert systemd.stopped_by == "exit 0\n"
    assert boot.remove(check=False) is False


def test_unusual_socket_and_stop_timeout_are_in_the_script(boot, tmp_path):
    boot.ensure("docker", [], check=False, socket="/run/user/1000/docker.sock", grace=90)
    script = (tmp_path / "state" / "shop" / "boot.sh").read_text()
    assert "export DOCKER_HOST=unix:///run/user/1000/docker.sock\n" in script
    assert '"$engine" stop --time 90 $ids' in script


def test_without_systemd_it_says_so(tmp_path, systemd):
    boot = Boot(Host(systemd.run, str(tmp_path / "none"), str(tmp_path), False, ""), "shop", str(tmp_path))
    found = boot.ensure("podman", [], check=False)
    assert (found["enabled"], found["changed"]) == (False, False)
    assert "systemd does not run this host" in found["message"]
    assert systemd.calls == []


def test_user_without_linger_gets_the_command_for_root(tmp_path, systemd):
    host = Host(systemd.run, str(tmp_path), str(tmp_path), True, str(tmp_path / "linger" / "anna"))
    assert "loginctl enable-linger anna" in Boot(host, "shop", str(tmp_path)).missing()


def test_systemd_of_a_user_is_found_without_a_session(tmp_path, systemd):
    (tmp_path / "home/.config/systemd/user").mkdir(parents=True)
    host = Host.here(systemd.run, 1000, "anna", {"HOME": str(tmp_path / "home")})
    host.systemctl("is-active", "x")
    assert systemd.runtime == {"/run/user/1000"}
    assert systemd.calls == ["--user is-active x"]


ENGINE = """#!/bin/sh
echo "$*" >>"$LOG"
[ "$1" != ps ] || [ ! -e "$LOG.down" ] || exit 1
[ "$*" != "start child" ] || grep -q "^start parent$" "$LOG" || exit 1
case "$1" in
ps) [ "$*" = "${*%--all}" ] && printf 'run1\\nrun2\\n' || printf 'run1\\nrun2\\noff\\nstopped\\n' ;;
inspect)
  [ "$2" = gone ] && exit 1
  [ "$2" != --format ] || case "$4" in
  off) echo no 100 50 ;;
  stopped) echo unless-stopped 100 200 ;;
  *) echo unless-stopped 100 -62135596800 ;;
  esac ;;
esac
"""


class TestScript:
    """The real script under a real shell, with an engine command that records its arguments."""

    @pytest.fixture
    def call(self, boot, tmp_path):
        boot.ensure("podman", [], check=False)
        (tmp_path / "bin").mkdir()
        fake = tmp_path / "bin" / "podman"
        fake.write_text(ENGINE)
        fake.chmod(0o755)
        log = tmp_path / "log"

        def call(word):
            log.write_text("")
            env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "LOG": str(log)}
            script = tmp_path / "state" / "shop" / "boot.sh"
            subprocess.run(["sh", str(script), word], env=env, check=True)
            return [line for line in log.read_text().splitlines() if line.split()[0] in ("start", "stop")]

        return call

    def test_containers_that_ran_are_started_again(self, call, tmp_path):
        assert call("stop") == ["stop run1 run2"]
        assert call("start") == ["start run1", "start run2"]
        assert not (tmp_path / "state" / "shop" / "ran").exists()

    def test_replaced_container_is_ignored(self, call, tmp_path):
        (tmp_path / "state" / "shop" / "ran").write_text("gone\nrun1\n")
        assert call("start") == ["start run1"]

    def test_containers_with_restart_always_are_started_after_a_power_cut(self, call):
        assert call("start") == ["start run1", "start run2"]

    def test_one_that_lives_in_anothers_network_starts_after_it(self, call, tmp_path):
        ran = tmp_path / "state" / "shop" / "ran"
        ran.write_text("child\nparent\n")
        assert call("start") == ["start child", "start parent", "start child"]
        assert not ran.exists()

    def test_engine_without_an_answer_at_shutdown_keeps_the_earlier_list(self, call, tmp_path):
        (tmp_path / "log.down").touch()
        with pytest.raises(subprocess.CalledProcessError):
            call("stop")
        assert not (tmp_path / "state" / "shop" / "ran").exists()
