# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of strangers in messages: nothing in them reaches a terminal or a shell as a command."""

import shlex

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown


@pytest.mark.parametrize("path", ["/opt/onebox/shop", "/srv/a-b_c.d"])
def test_ordinary_path_is_shown_as_it_is(path):
    assert shown(path) == path


@pytest.mark.parametrize("path", ["/srv/a b", "/srv/$(reboot)", "/srv/it's", "/srv/ä `x`"])
def test_path_with_shell_characters_is_one_word_again(path):
    assert shlex.split(shown(path)) == [path]


@pytest.mark.parametrize("path", ["/srv/\x1b[2J", "/srv/a\nb", "/srv/\u202egnp"])
def test_control_characters_are_escaped(path):
    assert shown(path).isprintable()
