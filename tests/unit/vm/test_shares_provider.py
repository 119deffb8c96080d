# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Podman machine is queried with its own provider: before podman 6 it does not exist for another one."""

from __future__ import annotations

import pathlib

from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine


def made(home: pathlib.Path, *providers: str) -> dict[str, str]:
    for provider in providers:
        folder = home / ".config/containers/podman/machine" / provider
        folder.mkdir(parents=True)
        (folder / "97layerOS.json").write_text("{}")
    return {"HOME": str(home)}


def test_libkrun_machine_is_queried_with_its_provider(tmp_path: pathlib.Path) -> None:
    machine = Machine.of("podman", "97layerOS", environ=made(tmp_path, "libkrun"))
    assert machine.command("id") == [
        "env", "CONTAINERS_MACHINE_PROVIDER=libkrun", "podman", "machine", "ssh", "97layerOS", "id",
    ]  # fmt: skip


def test_default_provider_is_used_if_the_provider_is_unclear(tmp_path: pathlib.Path) -> None:
    plain = ["podman", "machine", "ssh", "97layerOS", "id"]
    assert Machine.of("podman", "97layerOS", environ={"HOME": str(tmp_path)}).command("id") == plain
    twice = made(tmp_path, "applehv", "libkrun")
    assert Machine.of("podman", "97layerOS", environ=twice).command("id") == plain
    assert Machine.of("colima", "97layerOS", environ=twice).provider == ""
