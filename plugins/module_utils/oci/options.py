# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the oci modules, and the objects that are created from them."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier, sdk
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import HARD_FLOOR, Policy
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import LaunchSpec, Size

ArgumentSpec = dict[str, dict[str, t.Any]]

ACCOUNT: ArgumentSpec = {
    "config_file": {"type": "path", "default": "~/.oci/config"},
    "config_profile": {"type": "str", "default": "DEFAULT"},
    "auth": {"type": "str", "choices": list(sdk.AUTH_FORMS), "default": "auto"},
    "endpoint": {"type": "str", "default": ""},
}

# The options of an instance, for the launcher and the preflight.
INSTANCE: ArgumentSpec = {
    "name": {"type": "str", "required": True},
    "compartment_id": {"type": "str", "required": True},
    "availability_domains": {"type": "list", "elements": "str", "default": []},
    "subnet_id": {"type": "str"},
    "image_id": {"type": "str"},
    "shape": {"type": "str", "default": freetier.ARM_SHAPE},
    "ocpus": {"type": "float", "default": freetier.ARM_OCPUS},
    "memory_gb": {"type": "float", "default": freetier.ARM_MEMORY_GB},
    "boot_volume_gb": {"type": "int", "default": freetier.BOOT_VOLUME_MIN_GB},
    "ssh_public_key": {"type": "str"},
    "allow_paid": {"type": "bool", "default": False},
}

LAUNCH: ArgumentSpec = {
    **INSTANCE,
    **ACCOUNT,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "confirm": {"type": "str", "default": ""},
    "smaller_sizes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "ocpus": {"type": "float", "required": True},
            "memory_gb": {"type": "float", "required": True},
        },
    },
    "fault_domains": {"type": "list", "elements": "str", "default": []},
    "user_data": {"type": "str", "default": ""},
    "assign_public_ip": {"type": "bool", "default": True},
    "tags": {"type": "dict", "default": {}},
    "mode": {"type": "str", "choices": ["block", "tick"], "default": "block"},
    "max_duration": {"type": "float", "default": 604800.0},
    "max_attempts": {"type": "int", "default": 20000},
    "capacity_interval": {"type": "float", "default": 300.0},
    "throttle_base": {"type": "float", "default": 900.0},
    "throttle_max": {"type": "float", "default": 3600.0},
    "jitter_max": {"type": "float", "default": 120.0},
    "interval_floor": {"type": "float", "default": HARD_FLOOR},
    "state_file": {"type": "path", "default": ""},
    "replace": {"type": "bool", "default": False},
    "host_key_timeout": {"type": "float", "default": 0.0},
    "discord_webhook": {"type": "str", "default": "", "no_log": True},
}

PREFLIGHT: ArgumentSpec = {
    **INSTANCE,
    **ACCOUNT,
    "operating_system": {"type": "str", "default": "Canonical Ubuntu"},
    "operating_system_version": {"type": "str", "default": "24.04"},
    "ssh_private_key_file": {"type": "path", "default": ""},
}

NETWORK: ArgumentSpec = {
    **ACCOUNT,
    "name": {"type": "str", "required": True},
    "compartment_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "cidr": {"type": "str", "default": "10.0.0.0/16"},
    "subnet_cidr": {"type": "str", "default": "10.0.0.0/24"},
    "ssh_sources": {"type": "list", "elements": "str", "default": ["0.0.0.0/0"]},
    "confirm": {"type": "str", "default": ""},
}


def account(params: t.Mapping[str, t.Any]) -> sdk.Account:
    """The account of the options."""
    return sdk.Account(params["config_file"], params["config_profile"], params["auth"], params["endpoint"])


def policy(params: t.Mapping[str, t.Any]) -> Policy:
    """The waiting times. Raises :class:`OciError` if one is out of bounds."""
    names = ("capacity_interval", "throttle_base", "throttle_max", "jitter_max", "interval_floor")
    for name in ("max_duration", "max_attempts"):
        if params[name] < 0:
            raise OciError(f"{name} must be 0 (no limit) or more, not {params[name]:g}")
    return Policy(**{name: params[name] for name in names}, private=bool(params["endpoint"]))


def launch_spec(params: t.Mapping[str, t.Any]) -> LaunchSpec:
    """The instance. Raises :class:`OciError` if it is impossible, or not free."""
    smaller = [Size(row["ocpus"], row["memory_gb"]) for row in params.get("smaller_sizes") or ()]
    wanted = LaunchSpec(
        name=params["name"],
        compartment_id=params["compartment_id"],
        subnet_id=params["subnet_id"] or "",
        image_id=params["image_id"] or "",
        shape=params["shape"],
        sizes=(Size(params["ocpus"], params["memory_gb"]), *smaller),
        boot_volume_gb=params["boot_volume_gb"],
        ssh_public_key=params["ssh_public_key"] or "",
        user_data=params["user_data"],
        assign_public_ip=params["assign_public_ip"],
        fault_domains=tuple(params["fault_domains"]),
        tags={str(key): str(value) for key, value in params["tags"].items()},
        allow_paid=params["allow_paid"],
    )
    wanted.check()
    return wanted


def state_file(params: t.Mapping[str, t.Any], world: World) -> str:
    """Path of the state file: the option, or a file below the user's state directory, named after the instance."""
    if params["state_file"]:
        return os.path.abspath(params["state_file"])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", params["name"]):
        raise OciError(f"name must be 1 to 63 letters, digits, dots, dashes or underscores, not {params['name']!r}")
    base = world.environ.get("XDG_STATE_HOME") or os.path.join(world.home, ".local", "state")
    return os.path.join(base, "onebox", "oci", f"{params['name']}.json")
