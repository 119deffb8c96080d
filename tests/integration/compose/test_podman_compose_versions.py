# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How real versions of podman-compose fill in variables: right, or refused and not deployed wrongly."""

from __future__ import annotations

import os
import re

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    keys as podman_compose_keys,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from onebox_testbed import podman
from onebox_testbed.base import CACHE

VERSIONS = ("1.3.0", "1.5.0", "1.6.0")
OLD, MIDDLE, NEW = VERSIONS


@pytest.fixture(params=VERSIONS)
def tool(request):
    place = podman.compose(f"podman-compose=={request.param}", CACHE / f"podman-compose-{request.param}")
    version = tuple(int(part) for part in request.param.split("."))
    return PodmanCompose((str(place),), version, dict(os.environ))


def model(tool, folder, service):
    (folder / "compose.yml").write_text(f"services:\n  web:\n    image: tiny\n{service}")
    (folder / ".env").write_text("SET=here\n")
    (folder / ".env").chmod(0o600)
    return tool.resolve(locate("shop", str(folder), (), None, ()), World.real())


@pytest.mark.parametrize(
    ("value", "filled", "from_version"),
    [
        ("${SET}", "here", OLD),
        ("${SET:-x}", "here", OLD),
        ("a-${OTHER:-1}-${MORE-2}", "a-1-2", OLD),
        ("$${OTHER}", "${OTHER}", OLD),
        ("${NAME:-x}", "x", MIDDLE),
        ("${OTHER:-${MORE:-deep}}", "deep", NEW),
        ("${SET:+alt}", "alt", NEW),
    ],
)
def test_value_is_right_or_refused(tool, tmp_path, value, filled, from_version):
    def environment():
        return model(tool, tmp_path, f"    environment:\n      NAME: {value}\n").services["web"].environment

    if VERSIONS.index(tool.version_text) >= VERSIONS.index(from_version):
        assert environment() == {"NAME": filled}
        return
    with pytest.raises(BadStack) as caught:
        environment()
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("unsupported", "services.web.environment.NAME")
    assert tool.version_text in problem.message


def test_default_overridden_by_the_services_own_environment_is_refused(tool, tmp_path):
    service = "    command: [echo, '${LEVEL:-info}']\n    environment:\n      LEVEL: debug\n"
    with pytest.raises(BadStack, match="replaces \\$\\{LEVEL\\} with the value in the service's own environment"):
        model(tool, tmp_path, service)


def test_same_default_in_both_places_is_accepted(tool, tmp_path):
    service = "    command: [echo, '${LEVEL:-info}']\n    environment:\n      LEVEL: ${LEVEL:-info}\n"
    if tool.version_text == OLD:
        with pytest.raises(BadStack, match="does not replace"):
            model(tool, tmp_path, service)
        return
    assert model(tool, tmp_path, service).services["web"].command == ("echo", "info")


# What this collection does in its place, and what means nothing on one host.
NOT_ITS_OWN = {
    "_SERVICE": {"configs", "develop"},
    "_TOP": {"configs"},
    "_NETWORK": {"attachable"},
    "_DEPLOY": {"endpoint_mode", "placement", "restart_policy", "rollback_config", "update_config"},
}
TABLES = [name for name, value in vars(podman_compose_keys).items() if isinstance(value, frozenset)]


def test_keys_that_count_as_carried_out_are_in_its_source(tool):
    (place,) = (CACHE / f"podman-compose-{tool.version_text}").glob("lib/python3*/site-packages/podman_compose.py")
    words = set(re.findall(r"""["']([A-Za-z0-9_]+)["']""", place.read_text()))
    assert len(TABLES) > 10
    for table in TABLES:
        keys = getattr(podman_compose_keys, table)
        since = getattr(podman_compose_keys, f"{table}_SINCE", {})
        now = {key for key, version in since.items() if version <= tool.version}
        assert (keys | now) - NOT_ITS_OWN.get(table, set()) <= words, table
        assert not (set(since) - now) & words, f"{table}: known to an earlier version"
