# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument spec the compose modules share, and what it becomes."""

from __future__ import annotations

import os
import pwd
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.boot import Host
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import KINDS

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")

COMMON: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "project_dir": {"type": "path", "required": True},
    "staged_dir": {"type": "path"},
    "files": {"type": "list", "elements": "str", "default": []},
    "env_file": {"type": "path"},
    "required_env": {"type": "list", "elements": "str", "default": []},
    "profiles": {"type": "list", "elements": "str", "default": []},
    "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
    "socket": {"type": "path"},
    "provider": {"type": "str", "choices": ["auto", "docker-compose", "podman-compose"], "default": "auto"},
    "provider_path": {"type": "path"},
    "state_dir": {"type": "path"},
    "public_ports": {"type": "list", "elements": "int", "default": []},
    "adopt": {"type": "bool", "default": False},
    "backed_up": {"type": "list", "elements": "str", "default": []},
    "remove_orphans": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": True},
    "vm": {"type": "str", "choices": list(KINDS), "default": "none"},
    "vm_name": {"type": "str", "default": ""},
}


def request_of(params: t.Mapping[str, t.Any], world: World) -> Request:
    """The run that a module's parameters ask for; those only one module has get their defaults.

    Raises:
        ComposeError: ``name`` is not a name for a stack.
    """
    if not _NAME.fullmatch(params["name"]):
        # The stack's lock and state lie in a directory of this name: an empty one is the directory of all stacks.
        raise ComposeError(
            f"name: {params['name']!r} is not a name for a stack. Use lower-case letters, digits, '_', '.' and '-'. "
            "Begin with a letter or a digit."
        )
    default_state = "/var/lib/onebox" if world.is_root else os.path.join(world.home, ".local/state/onebox")
    extra = {
        name: params[name]
        for name in (
            "state",
            "wait_timeout",
            "lock_timeout",
            "boot",
            "rollback",
            "keep",
            "revision",
            "force",
        )
        if params.get(name) is not None
    }
    return Request(
        name=params["name"],
        project_dir=os.path.normpath(params["project_dir"]),
        staged_dir=os.path.realpath(params["staged_dir"]) if params["staged_dir"] else "",
        files=tuple(params["files"]),
        env_file=params["env_file"],
        profiles=tuple(params["profiles"]),
        rules=declaration.Rules(tuple(params["required_env"]), tuple(params["public_ports"])),
        engine=params["engine"],
        socket=params["socket"],
        provider=params["provider"],
        provider_path=params["provider_path"],
        remove_orphans=params["remove_orphans"],
        adopt=params["adopt"],
        backed_up=tuple(params["backed_up"]),
        verify=params["verify"],
        vm=params["vm"],
        vm_name=params["vm_name"],
        http_checks=tuple(params.get("http_checks") or ()),
        prometheus_checks=tuple(params.get("prometheus_checks") or ()),
        freeze=tuple(params.get("freeze") or ()),
        state_dir=params["state_dir"] or default_state,
        **extra,
    )


def host_of(world: World) -> Host:
    """Where systemd keeps its units for the user the module runs as."""
    try:
        # Not World.user, which under sudo is the person who called it: the user's systemd is that of the id.
        name = pwd.getpwuid(world.uid).pw_name
    except KeyError:
        name = str(world.uid)
    return Host.here(world.run, world.uid, name, world.environ)
