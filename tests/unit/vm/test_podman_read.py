# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read recorded files and output of podman 5.4.2, 5.8.6 and 6.1.1."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import model, paths, read
from recorded import SEED, VERSIONS, Recorded, alive, client, data, home_with, world


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_machine_is_read_equally_from_every_version(version: str, tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("qemu", data(version, "config-97layerOS.json")))
    recorded = Recorded(version, {"inspect": (version, "13-inspect")})
    found = read.machine(client(recorded, env), "97layerOS")
    assert found is not None
    assert (found.provider, found.state, found.healthy, found.rootful) == ("qemu", "stopped", False, False)
    assert (found.cpus, found.memory_mib, found.disk_gib) == (2, 4656, 20)
    assert found.as_dict()["volumes"][0] == "/home/mac:/home/mac"
    assert found.socket == "/run/user/1001/podman/97layerOS-api.sock"
    # The limit: at most three calls of podman to inspect one machine.
    assert len(recorded.calls) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_list_has_bytes_as_strings_and_may_be_empty_without_a_newline(version: str, tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path)
    two = client(Recorded(version, {"list": (version, "41-list-two")}), env).listing("qemu")
    assert [(one.name, one.memory_mib, one.disk_gib, one.default) for one in two] == [
        ("97layerOS", 2048, 21, True),
        ("second", 2048, 12, False),
    ]
    assert client(Recorded(version, {"list": (version, "02-list-empty")}), env).listing("qemu") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_name_with_a_known_one_is_skipped(version: str, tmp_path: pathlib.Path) -> None:
    podman = client(Recorded(version, {"inspect": (version, "36-inspect-two")}), home_with(tmp_path))
    assert [one.name for one in podman.inspect("qemu", ["97layerOS", "nosuch"])] == ["97layerOS"]


def test_macbook_machine_has_its_exact_sizes(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("libkrun", SEED))
    recorded = Recorded("5.8.6", {"inspect": ("derived-macos", "inspect-libkrun-seed-running.json")})
    found = read.machine(client(recorded, env, alive), "97layerOS")
    assert found is not None
    assert found.healthy
    row = found.as_dict()
    assert (row["cpus"], row["memory_mib"], row["disk_gib"], row["provider"]) == (5, 4768, 93, "libkrun")
    assert row["volumes"] == ["/Users:/Users", "/private:/private", "/var/folders:/var/folders"]
    assert row["docker_host"] == "unix:///var/folders/zz/abc123def456/T/podman/97layerOS-api.sock"


def test_libkrun_machine_is_found_with_applehv_in_the_environment(tmp_path: pathlib.Path) -> None:
    env = {**home_with(tmp_path, ("libkrun", SEED)), "CONTAINERS_MACHINE_PROVIDER": "applehv"}
    recorded = Recorded("5.4.2", {"inspect": ("derived-macos", "inspect-libkrun-seed-stopped.json")})
    found = read.machine(client(recorded, env), "97layerOS")
    assert found is not None
    assert found.provider == "libkrun"
    assert recorded.calls[-1][1]["CONTAINERS_MACHINE_PROVIDER"] == "libkrun"
    assert not any("--all-providers" in words for words, _unused in recorded.calls)


def test_name_in_two_providers_needs_the_provider_option(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("libkrun", SEED), ("applehv", SEED))
    recorded = Recorded("5.4.2", {"inspect": ("derived-macos", "inspect-libkrun-seed-stopped.json")})
    podman = client(recorded, env)
    with pytest.raises(MachineError, match="applehv, libkrun has a machine 97layerOS: set provider"):
        read.machine(podman, "97layerOS")
    found = read.machine(podman, "97layerOS", "libkrun")
    assert found is not None
    assert found.provider == "libkrun"


# As podman 4.9 writes it: one level flatter, paths as objects, no version. Shaped after its source, not recorded.
PODMAN_4 = {
    "Name": "old",
    "CPUs": 2,
    "Memory": 2048,
    "DiskSize": 100,
    "Rootful": True,
    "Mounts": [{"Type": "9p", "Tag": "vol0", "Source": "/Users", "Target": "/Users", "ReadOnly": False}],
    "ImagePath": {"Path": "/Users/x/old.qcow2"},
    "RemoteUsername": "core",
    "Starting": False,
}


def test_file_of_podman_4_is_read_with_version_0() -> None:
    config = model.parse_config(PODMAN_4, "qemu", "/x/old.json", 1.0)
    assert (config.version, config.cpus, config.memory_mib, config.disk_gib, config.rootful) == (0, 2, 2048, 100, True)
    assert config.image_path == "/Users/x/old.qcow2"


def test_machine_of_podman_4_is_refused_with_a_fix(tmp_path: pathlib.Path) -> None:
    podman = client(Recorded("5.4.2", {}), home_with(tmp_path, ("qemu", PODMAN_4)))
    with pytest.raises(MachineError, match="was created by podman 4, and podman 5.4.2 cannot use it"):
        read.machine(podman, "old")


def test_incomplete_configuration_is_named(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("qemu", SEED))
    path = tmp_path / ".config/containers/podman/machine/qemu/97layerOS.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(MachineError, match=str(path)):
        read.machine(client(Recorded("5.8.6", {}), env), "97layerOS")


def test_machine_unknown_to_podman_is_reported_with_its_file(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("qemu", SEED))
    podman = client(Recorded("5.8.6", {"inspect": ("5.8.6", "03-inspect-absent")}), env)
    with pytest.raises(MachineError, match="podman does not know the machine 97layerOS"):
        read.machine(podman, "97layerOS")


def test_starting_machine_is_unhealthy_even_if_the_api_answers(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("qemu", {**data("5.4.2", "config-97layerOS.json"), "Starting": True}))
    podman = client(Recorded("5.4.2", {"inspect": ("5.4.2", "86-inspect-while-starting")}), env, alive)
    found = read.machine(podman, "97layerOS")
    assert found is not None
    assert (found.state, found.starting, found.healthy) == ("running", True, False)


def test_default_is_the_connection_of_the_store_in_use(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("qemu", data("5.4.2", "config-97layerOS.json")))
    file = tmp_path / ".config/containers/podman-connections.json"
    file.write_text(json.dumps({"Connection": {"Default": "97layerOS-root"}}))
    rootful = client(Recorded("5.4.2", {"inspect": ("5.4.2", "29-inspect-rootful")}), env)
    found = read.machine(rootful, "97layerOS")
    assert found is not None
    assert (found.rootful, found.default, found.connection) == (True, True, "97layerOS-root")
    rootless = client(Recorded("5.4.2", {"inspect": ("5.4.2", "13-inspect")}), env)
    found = read.machine(rootless, "97layerOS")
    assert found is not None
    assert not found.default


def test_machines_of_every_provider_need_one_call_each(tmp_path: pathlib.Path) -> None:
    env = home_with(tmp_path, ("libkrun", SEED), ("qemu", data("5.8.6", "config-97layerOS.json")))
    recorded = Recorded("5.8.6", {"inspect": ("5.8.6", "13-inspect")})
    found = read.machines(client(recorded, env))
    assert [one.provider for one in found] == ["libkrun", "qemu"]
    assert len(recorded.calls) == 3


def environment(given: dict[str, str], environ: dict[str, str], system: str, **changes: t.Any) -> dict[str, str]:
    """The environment for podman of user 501, where processes are ``changes["run"]``."""
    return paths.environment(given, world(environ=environ, **{"uid": 501, **changes}), system=system)


def test_root_is_refused() -> None:
    with pytest.raises(MachineError, match="run this task as that user, without become"):
        environment({}, {"HOME": "/root"}, "darwin", uid=0)


def getconf(text: str, rc: int = 0) -> process.Runner:
    """Simulate getconf of a Mac (from its manual page: it prints a path and a newline)."""

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        assert argv == ["/usr/bin/getconf", "DARWIN_USER_TEMP_DIR"]
        return process.Result(tuple(argv), rc, text, "", 0.0)

    return run


def test_missing_tmpdir_is_set_from_the_system_on_a_mac() -> None:
    run = getconf("/var/folders/zz/abc/T/\n")
    env = environment({}, {"HOME": "/Users/x", "PATH": "/usr/bin"}, "darwin", run=run)
    assert env["TMPDIR"] == "/var/folders/zz/abc/T/"
    assert paths.runtime_dir(env, system="darwin", uid=501) == "/var/folders/zz/abc/T/podman"
    assert env["PATH"].split(":") == ["/usr/bin", *paths.EXTRA_PATH]
    given = environment({"TMPDIR": "/t"}, {"HOME": "/Users/x"}, "darwin", run=getconf("", 1))
    assert given["TMPDIR"] == "/t"
    with pytest.raises(MachineError, match="set TMPDIR in environment"):
        environment({}, {"HOME": "/Users/x"}, "darwin", run=getconf("", 1))


def test_linux_uses_the_runtime_directory_and_needs_no_tmpdir() -> None:
    env = environment({}, {"HOME": "/home/x"}, "linux", run=getconf("", 1))
    assert "TMPDIR" not in env
    assert paths.runtime_dir(env, system="linux", uid=1001) == "/run/user/1001/podman"
    assert os.path.isabs(paths.config_root({**env, "XDG_CONFIG_HOME": "/c"}))
