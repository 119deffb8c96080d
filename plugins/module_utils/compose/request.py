# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request for a run on a stack, and the options that all compose modules have."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration, freeze
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import KINDS

# An entry of ``backed_up`` that stands for every service.
EVERYTHING = "*"
COMMON: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "project_dir": {"type": "path", "required": True},
    "staged_dir": {"type": "path"},
    "staging_dir": {"type": "path"},
    "bundle": {"type": "str", "no_log": True},
    "env": {"type": "json", "no_log": True},
    "target": {"type": "str", "choices": ["host", "swarm"], "default": "host"},
    "secrets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "no_log": False,
        "options": {
            "name": {"type": "str"},
            "path": {"type": "path"},
            "value": {"type": "str", "required": True, "no_log": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
        },
        "mutually_exclusive": [("name", "path")],
        "required_one_of": [("name", "path")],
    },
    "content": {"type": "list", "elements": "path", "default": []},
    "files": {"type": "list", "elements": "str", "default": []},
    "env_file": {"type": "path"},
    "required_env": {"type": "list", "elements": "str", "default": []},
    "profiles": {"type": "list", "elements": "str", "default": []},
    "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
    "socket": {"type": "path"},
    "pull": {"type": "str", "choices": ["missing", "always", "newer"], "default": "missing"},
    "provider": {
        "type": "str",
        "choices": ["auto", "docker-compose", "podman-compose", "quadlet"],
        "default": "auto",
    },
    "provider_path": {"type": "path"},
    "state_dir": {"type": "path"},
    "public_ports": {"type": "list", "elements": "int", "default": []},
    "exposure": {"type": "str", "choices": ["public", "lan", "loopback"], "default": "public"},
    "defaults": {"type": "str", "choices": ["declare", "derive"], "default": "declare"},
    "adopt": {"type": "bool", "default": False},
    "backed_up": {"type": "list", "elements": "str", "default": []},
    "remove_orphans": {"type": "bool", "default": False},
    "show_env": {"type": "list", "elements": "str", "default": []},
    "verify": {"type": "bool", "default": True},
    "vm": {"type": "str", "choices": list(KINDS), "default": "none"},
    "vm_name": {"type": "str", "default": ""},
}
# The options that only the module has that deploys.
DEPLOY: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["present", "stopped", "absent", "rolled_back"], "default": "present"},
    "wait_timeout": {"type": "float", "default": 120},
    "lock_timeout": {"type": "float", "default": 300},
    "boot": {"type": "bool", "default": False},
    "rollback": {"type": "bool", "default": True},
    "keep": {"type": "int", "default": 3},
    "hold_for_images": {"type": "bool", "default": False},
    "rejection": {"type": "str", "default": ""},
    "revision": {"type": "str", "default": ""},
    "force": {"type": "bool", "default": False},
    "freeze": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "days": {"type": "list", "elements": "str", "choices": list(freeze.DAYS)},
            "start": {"type": "str", "required": True},
            "end": {"type": "str", "required": True},
            "timezone": {"type": "str", "default": "UTC"},
        },
    },
    "http_checks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"url": {"type": "str", "required": True}, "status": {"type": "int", "default": 200}},
    },
    "prometheus_checks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "url": {"type": "str", "required": True},
            "jobs": {"type": "list", "elements": "str", "default": []},
        },
    },
}


@dataclass(frozen=True)
class Request:
    """The wanted state of a stack. A field named after an option has its value; the modules document each.

    A list becomes a tuple, and an option without a value the default here. ``compose/options.py`` converts the others.
    """

    name: str
    project_dir: str
    staged_dir: str = ""
    staging_dir: str = ""
    env: t.Mapping[str, t.Any] | None = field(default=None, repr=False)
    secrets: tuple[t.Mapping[str, t.Any], ...] = field(default=(), repr=False)
    content: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    env_file: str | None = None
    profiles: tuple[str, ...] = ()
    rules: declaration.Rules = field(default_factory=declaration.Rules)
    engine: str = "auto"
    socket: str | None = None
    pull: str = "missing"
    provider: str = "auto"
    provider_path: str | None = None
    target: str = "host"
    state: str = "present"
    wait_timeout: float = 120.0
    settle: float = 3.0
    lock_timeout: float = 300.0
    remove_orphans: bool = False
    show_env: tuple[str, ...] = ()
    adopt: bool = False
    backed_up: tuple[str, ...] = ()
    verify: bool = True
    vm: str = "none"
    vm_name: str = ""
    boot: bool = False
    rollback: bool = True
    keep: int = 3
    hold_for_images: bool = False
    rejection: str = ""
    revision: str = ""
    freeze: tuple[t.Mapping[str, t.Any], ...] = ()
    force: bool = False
    http_checks: tuple[t.Mapping[str, t.Any], ...] = ()
    prometheus_checks: tuple[t.Mapping[str, t.Any], ...] = ()
    state_dir: str = "/var/lib/onebox"

    @property
    def secret_files(self) -> list[t.Mapping[str, t.Any]]:
        """The secrets that are files."""
        return [secret for secret in self.secrets if secret.get("path")]

    @property
    def podman_secrets(self) -> dict[str, str]:
        """Name -> value of the secrets that Podman keeps."""
        return {str(secret["name"]): str(secret["value"]) for secret in self.secrets if secret.get("name")}

    @property
    def state_folder(self) -> str:
        """Where this stack's lock and state are kept."""
        return os.path.join(self.state_dir, self.name)
