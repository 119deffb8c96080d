# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options the compose modules share: the name of a stack is also the name of its directories."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import options as arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError

DEFAULTS = {key: option.get("default") for key, option in arguments.COMMON.items()}


@pytest.mark.parametrize("name", ["shop", "97layer", "a", "a.b_c-d", "0"])
def test_name_usable_as_directory_is_accepted(name: str):
    request = arguments.request_of({**DEFAULTS, "name": name, "project_dir": "/opt/x"}, 0, "/root")
    assert request.state_folder == f"/var/lib/onebox/{name}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/b", "/etc", "Shop", "shop\n", "-x", "_x", "a b", "\u00e4", "x\0", "a\\b"]
)
def test_name_that_is_no_directory_of_its_own_is_refused(name: str):
    with pytest.raises(ComposeError, match="name: .* is not a name for a stack"):
        arguments.request_of({**DEFAULTS, "name": name, "project_dir": "/opt/x"}, 0, "/root")
