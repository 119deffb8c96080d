# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options the compose modules share: the name of a stack is also the name of its directories."""

import dataclasses
import pwd

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import options
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

DEFAULTS = {key: option.get("default") for key, option in options.COMMON.items()}
ROOT = dataclasses.replace(World.real(), uid=0, home="/root")


@pytest.mark.parametrize("name", ["shop", "97layer", "a", "a.b_c-d", "0"])
def test_name_usable_as_directory_is_accepted(name: str):
    request = options.request_of({**DEFAULTS, "name": name, "project_dir": "/opt/x"}, ROOT)
    assert request.state_folder == f"/var/lib/onebox/{name}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/b", "/etc", "Shop", "shop\n", "-x", "_x", "a b", "\u00e4", "x\0", "a\\b"]
)
def test_name_that_is_no_directory_of_its_own_is_refused(name: str):
    with pytest.raises(ComposeError, match="name: .* is not a name for a stack"):
        options.request_of({**DEFAULTS, "name": name, "project_dir": "/opt/x"}, ROOT)


@pytest.mark.parametrize(("uid", "name"), [(1, pwd.getpwuid(1).pw_name), (4242424, "4242424")])
def test_user_units_are_those_of_the_user_id_and_not_of_who_called_sudo(uid: int, name: str):
    world = dataclasses.replace(World.real(), uid=uid, user="anna", environ={"HOME": "/home/x", "SUDO_USER": "anna"})
    host = options.host_of(world)
    assert (host.user, host.units) == (True, "/home/x/.config/systemd/user")
    assert host.linger == f"/var/lib/systemd/linger/{name}"
