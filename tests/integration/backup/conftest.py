# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack the backup tests run on."""

from __future__ import annotations

import secrets
import typing as t

import backup_stack
import pytest
from backup_stack import Stack, docker
from migration_stacks import Old


@pytest.fixture(scope="session")
def images() -> t.Any:
    return backup_stack.load("images")


@pytest.fixture(scope="module")
def stack(images: t.Any, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Stack]:
    made = Stack(f"obx-backup-{secrets.token_hex(3)}", tmp_path_factory.mktemp("backup"))
    try:
        made.start(images)
        made.fill()
        yield made
    finally:
        made.stop()
        left = docker("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={made.name}")
        for container in left.split():
            docker("rm", "-f", "-v", container)
        assert left == "", "a throwaway container was left behind"


@pytest.fixture(scope="session")
def old(images, tmp_path_factory):
    made = Old(f"obx-migrate-old-{secrets.token_hex(3)}", tmp_path_factory.mktemp("old"))
    try:
        made.start(images)
        made.fill()
        made.take(made.base / "taken")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def new(images, tmp_path_factory):
    made = Stack(f"obx-migrate-{secrets.token_hex(3)}", tmp_path_factory.mktemp("new"), ("pg17", "redis8"))
    try:
        made.start(images)
        yield made
    finally:
        left = made.do("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={made.name}")
        for container in left.split():
            made.do("rm", "-f", "-v", container)
        made.stop()
        assert left == "", "a throwaway container was left behind"
