# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a stack, taken before anything else: no engine is needed here. The lock itself is core's."""

import dataclasses
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Host
from ansible_collections.onebox.stack.plugins.module_utils.core import lock
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def never(*words, **options):
    raise AssertionError(f"nothing is to be started, and {words} was")


@pytest.fixture
def world():
    """A world without processes, with a clock that moves only when somebody sleeps."""
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    return dataclasses.replace(World.real(), run=never, monotonic=lambda: now[0], sleep=sleep, user="anna")


def stack_of(state_dir, world, **changes):
    request = Request("shop", os.path.join(state_dir, "none"), state_dir=str(state_dir), **changes)
    return Stack(request, world, Host(never, "/nowhere", "/nowhere", False, ""))


def test_locked_stack_is_refused_with_its_holder_and_the_option(tmp_path, world):
    (tmp_path / "shop").mkdir()
    with (
        lock.held(str(tmp_path / "shop" / "lock"), purpose="state absent", timeout=0, world=world),
        pytest.raises(lock.LockHeld) as caught,
    ):
        stack_of(tmp_path, world, lock_timeout=3).converge()
    text = str(caught.value)
    assert text.startswith(f"stack shop: {tmp_path}/shop/lock is locked by process {os.getpid()} of user anna")
    assert "(state absent, since " in text
    assert "lock_timeout" in text
    assert world.monotonic() == pytest.approx(3)


@pytest.mark.parametrize("plant", ["file in place of the directory", "link in place of the lock"])
def test_unusable_state_directory_is_refused_with_the_option(tmp_path, world, plant):
    if plant == "file in place of the directory":
        (tmp_path / "shop").write_text("")
    else:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "lock").symlink_to("elsewhere")
    with pytest.raises(ComposeError, match="stack shop: .*(Set|Correct) state_dir") as caught:
        stack_of(tmp_path, world).converge()
    assert str(tmp_path) in str(caught.value)


def test_lock_is_readable_only_for_the_user_and_the_group(tmp_path, world):
    before = os.umask(0)
    try:
        with pytest.raises(ComposeError):
            stack_of(tmp_path, world, engine="docker", socket=str(tmp_path / "none.sock")).converge()
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("shop", "shop/lock")] == [0o750, 0o640]
