# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Misspelt variables are found with the nearest right name, and nothing else is."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.plugin_utils import variable_names

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLES = [path.name for path in (ROOT / "roles").iterdir() if path.is_dir()]
KNOWN = variable_names.known(ROOT / "roles")
INVENTORY = [*(ROOT / "inventories").glob("*_vars/*.yml"), *(ROOT / "inventories").glob("*_vars/*.example")]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("data_dirs_directorys", "data_dirs_directories"),
        ("compose_stack_requierd_env", "compose_stack_required_env"),
        ("onebox_stak", "onebox_stack"),
        ("backups_retension", "backups_retention"),
        ("data_dir_directories", "data_dirs_directories"),
    ],
)
def test_misspelt_name_is_found_with_the_nearest(name: str, nearest: str) -> None:
    assert variable_names.unknown([name], KNOWN, ROLES) == [variable_names.Unknown(name, nearest)]


def test_every_variable_of_a_role_is_known() -> None:
    assert variable_names.unknown(KNOWN, KNOWN, ROLES) == []


@pytest.mark.parametrize("name", ["compose_stack_result", "layer97_workspace", "container_engine", "backup_wait"])
def test_name_of_another_kind_is_left_alone(name: str) -> None:
    assert variable_names.unknown([name], KNOWN, ROLES) == []


@pytest.mark.parametrize("path", INVENTORY, ids=lambda path: path.name)
def test_no_variable_of_the_inventory_is_refused(path: pathlib.Path) -> None:
    names = yaml.safe_load(path.read_text()) or {}
    assert variable_names.unknown(names, KNOWN, ROLES) == []
