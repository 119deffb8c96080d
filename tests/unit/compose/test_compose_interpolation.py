# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of a compose file that are not set."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation as variables


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$A and ${B}", {"A": "", "B": ""}),
        ("$$A ${B:-x} ${C-}", {}),
        ("${A:?say it}", {"A": "say it"}),
        ("${A?}", {"A": ""}),
        ("${A:-${B}}", {"B": ""}),
        ("${A:-${B:-c}}/x", {}),
        ("${A:+x}${A+y}", {}),
        ("$", {}),
        ("100$ ${", {}),
        ("a$$$B", {"B": ""}),
    ],
)
def test_which_variables_are_unset(text, found):
    assert variables.unset({"services": {"a": {"command": [text]}}}, {}) == found


@pytest.mark.parametrize(
    ("text", "missing"), [("${A}", False), ("${A:?}", True), ("${A?}", False), ("$A", False), ("${A:-}", False)]
)
def test_empty_value_is_missing_only_with_a_colon(text, missing):
    assert ("A" in variables.unset([text], {"A": ""})) is missing


def test_comments_of_the_file_do_not_count_and_keys_neither():
    assert variables.unset({"${KEY}": "x"}, {}) == {}


@pytest.mark.parametrize(("profiles", "taken"), [(variables.NO_PROFILE, {"a", "w"}), (["other"], {"a", "z"})])
def test_profile_without_a_name_is_taken_where_none_is_chosen(profiles, taken):
    services = {"a": {}, "w": {"profiles": ["", "vectors"]}, "z": {"profiles": ["other"]}}
    assert variables.taken(services, profiles) == taken
