# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_machine
short_description: Manage a Podman machine
description:
  - Creates, changes, starts, stops or removes the virtual machine in which Podman runs containers on macOS (and with
    the provider V(qemu) on Linux).
  - Finds the machine in every provider, compares only the settings that you specify, and applies all of them with at
    most one stop, one C(podman machine set) and one start. A running machine is stopped only if you allow it.
  - V(started) waits until the machine's API answers. Podman's state C(running) is not enough.
  - Every command has a time limit, because Podman sets none.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: full
options:
  name:
    description: Name of the machine.
    type: str
    default: podman-machine-default
  state:
    description:
      - V(present) creates the machine if it does not exist, and applies settings. It does not start or stop the
        machine.
      - V(started) also starts the machine and waits for its API. V(stopped) also stops the machine. V(restarted) stops
        and starts it.
      - V(absent) removes the machine with all its containers, images and volumes.
    type: str
    choices: [present, started, stopped, restarted, absent]
    default: started
  provider:
    description:
      - Hypervisor of the virtual machine. Without it, the machine is found in any provider, and a new one is created
        with Podman's default.
    type: str
    choices: [applehv, libkrun, qemu, wsl, hyperv]
  cpus:
    description: Number of virtual CPUs.
    type: int
  memory_mib:
    description:
      - Memory in MiB, or a size with unit such as V(4768MiB), V(4GiB) or V(5GB). Rounded down to whole MiB.
    type: str
    aliases: [memory]
  disk_gib:
    description:
      - Size of the disk in GiB, or a size with unit such as V(93GiB) or V(100GB). Rounded down to whole GiB.
      - A disk can only grow. A smaller size is an error, and so is one above 64 TiB or above ten times the free space
        of this host.
    type: str
    aliases: [disk_size]
  swap_mib:
    description:
      - Swap in MiB, or a size with unit. Can be set for a new machine only, and needs Podman 5.6 or newer.
    type: str
    aliases: [swap]
  rootful:
    description:
      - Run containers as root in the machine. Rootful and rootless containers and images are separate, so a change
        hides the existing ones.
    type: bool
  volumes:
    description:
      - Directories of the host to share with the machine, as C(source), C(source:target) or C(source:target:ro), with
        environment variables. They replace Podman's defaults (on macOS C(/Users), C(/private), C(/var/folders)).
      - Can be set for a new machine only.
    type: list
    elements: str
  image:
    description: Disk image or image reference for a new machine. Not compared later.
    type: str
  username:
    description: The guest's user. Can be set for a new machine only.
    type: str
  timezone:
    description: The guest's time zone for a new machine. Not compared later.
    type: str
  default_connection:
    description: Make the machine Podman's default system connection. V(false) does not change the default.
    type: bool
  apply:
    description:
      - When to apply settings. V(never) only reports differences. V(when_stopped) does the same while the machine runs.
        V(restart) stops and starts the machine.
      - Without it, a running machine is restarted if O(allow_restart) is set. Otherwise the task fails and reports the
        differences.
    type: str
    choices: [never, when_stopped, restart]
  allow_restart:
    description: Allow stopping a running machine, and all of its containers, to apply settings.
    type: bool
    default: false
  recreate:
    description:
      - Create the machine again if a setting for new machines differs, or if its disk is missing. Also needs
        O(allow_destroy).
    type: str
    choices: ["false", when_needed]
    default: "false"
  allow_destroy:
    description: Allow O(recreate) to delete all containers, images and volumes in the machine.
    type: bool
    default: false
  recover:
    description:
      - Reaction to a machine in state running that does not answer, or that did not become ready. V(none) fails.
        V(kill_stale) stops the machine, kills only its own processes if that does not help, and continues.
    type: str
    choices: [none, kill_stale]
    default: none
  must_see:
    description:
      - Directories of the host that must be shared with the running machine. A temporary token in each is read in the
        guest. The task fails if a directory is not shared, because it would be empty in a container.
    type: list
    elements: path
    default: []
  mend_clock:
    description:
      - Set the guest's clock to the host's time if it is more than 30 seconds off, as after a laptop's sleep. Without
        it, the difference is a warning.
    type: bool
    default: false
  wait_api:
    description: Wait for the API at a start.
    type: bool
    default: true
  timeout_start:
    description: Seconds to wait for a start, also for one in progress.
    type: float
    default: 300.0
  timeout_stop:
    description: Seconds to wait for a stop. Podman itself waits up to 90 on macOS.
    type: float
    default: 120.0
  timeout_init:
    description: Seconds to wait for a new machine, including the download of its image.
    type: float
    default: 1800.0
  timeout:
    description: Seconds to wait for every other command, and for an answer of the API.
    type: float
    default: 30.0
  executable:
    description: Path or name of the podman client.
    type: str
    default: podman
  environment:
    description: Environment variables for podman, for example E(XDG_CONFIG_HOME).
    type: dict
    default: {}
notes:
  - Run it as the user who owns the machine, without C(become). Podman refuses root.
  - Machines of Podman 4 are read and not changed.
  - Podman runs one machine at a time. This module does not stop another running machine.
seealso:
  - module: onebox.stack.podman_machine_info
"""

EXAMPLES = r"""
- name: Create a machine as Podman Desktop does for 5 GB and 100 GB
  onebox.stack.podman_machine:
    name: 97layerOS
    provider: libkrun
    cpus: 5
    memory: 5GB
    disk_size: 100GB
    default_connection: true

- name: Increase the memory, with a restart if needed
  onebox.stack.podman_machine:
    name: 97layerOS
    memory: 8GiB
    allow_restart: true

- name: Share another directory, which needs a new machine
  onebox.stack.podman_machine:
    name: 97layerOS
    volumes: ["$HOME", "/Volumes/Work:/Volumes/Work"]
    recreate: when_needed
    allow_destroy: true

- name: Recover a machine that hangs after sleep, and set its clock
  onebox.stack.podman_machine:
    name: 97layerOS
    recover: kill_stale
    mend_clock: true
"""

RETURN = r"""
machine:
  description: The machine after the task. Empty if it is absent, and in check mode before it exists.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the machine.
      type: str
    provider:
      description: Its hypervisor.
      type: str
    state:
      description: Podman's state of the machine, V(running), V(stopped), V(starting) or V(unknown).
      type: str
    healthy:
      description: Whether its API answers and no start is in progress.
      type: bool
    starting:
      description: Whether a start is in progress, or was killed.
      type: bool
    cpus:
      description: Virtual CPUs.
      type: int
    memory_mib:
      description: Memory in MiB.
      type: int
      sample: 4768
    disk_gib:
      description: Disk in GiB.
      type: int
      sample: 93
    swap_mib:
      description: Swap in MiB. Null if this version of Podman does not record it.
      type: int
    rootful:
      description: Whether containers run as root.
      type: bool
    volumes:
      description: Shared directories.
      type: list
      elements: str
      sample: ["/Users:/Users", "/private:/private"]
    socket:
      description: Path of the API socket.
      type: str
    docker_host:
      description: The socket as a value for E(DOCKER_HOST).
      type: str
    connection:
      description: Name of the system connection to the rootful or rootless store in use.
      type: str
    default_connection:
      description: Whether RV(machine.connection) is Podman's default.
      type: bool
    ssh:
      description: Port, identity and username to reach the guest.
      type: dict
    config_path:
      description: The machine's configuration file.
      type: str
    last_up:
      description: Time of the last start. Empty before the first one.
      type: str
    podman_client:
      description: Version of the client.
      type: str
    podman_server:
      description: Version in the guest. Empty if it does not answer.
      type: str
    clock_drift:
      description: The guest's clock minus the host's, in seconds. Null if the guest does not answer.
      type: float
actions:
  description: Commands that were, or would be, run, as lists of words.
  returned: always
  type: list
  elements: list
  sample: [[podman, machine, set, --memory, "8192", 97layerOS]]
visible:
  description: For each directory of O(must_see), whether it is shared with the guest.
  returned: when not in check mode
  type: list
  elements: dict
  sample: [{path: /Users/97layer/97layerOS, guest_path: /Users/97layer/97layerOS, ok: true, message: ""}]
restart_required:
  description: Whether settings differ that need a restart of the machine.
  returned: always
  type: bool
recreate_required:
  description: Settings that differ and need a new machine.
  returned: always
  type: list
  elements: str
  sample: [volumes]
"""

import sys
import typing as t
import uuid

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import ensure, paths, sizes, volumes
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.apply import Limits
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import APPLY, STATES, Wanted


def _size(given: t.Mapping[str, t.Any], option: str, unit: str) -> int | None:
    return None if given[option] is None else sizes.parse(given[option], unit, option)


def _wanted(given: t.Mapping[str, t.Any], env: t.Mapping[str, str]) -> Wanted:
    shared = given["volumes"]
    return Wanted(
        name=given["name"],
        state=given["state"],
        provider=given["provider"],
        cpus=given["cpus"],
        memory_mib=_size(given, "memory_mib", "MiB"),
        disk_gib=_size(given, "disk_gib", "GiB"),
        swap_mib=_size(given, "swap_mib", "MiB"),
        rootful=given["rootful"],
        volumes=None if shared is None else tuple(volumes.parse(text, env) for text in shared),
        image=given["image"],
        username=given["username"],
        timezone=given["timezone"],
        default_connection=given["default_connection"],
        apply=given["apply"],
        allow_restart=given["allow_restart"],
        recreate=given["recreate"] == "when_needed",
        allow_destroy=given["allow_destroy"],
        recover=given["recover"],
    )


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    world = World.real()
    extra = {str(key): str(value) for key, value in given["environment"].items()}
    env = paths.environment(extra, world, system=sys.platform)
    podman = Podman(given["executable"], env, given["timeout"], world)
    options = ensure.Options(
        system=sys.platform,
        check=module.check_mode,
        limits=Limits(given["timeout_start"], given["timeout_stop"], given["timeout_init"]),
        wait_api=given["wait_api"],
        must_see=tuple(given["must_see"]),
        token=uuid.uuid4().hex,
        mend_clock=given["mend_clock"],
    )
    return ensure.ensure(podman, _wanted(given, env), options, ensure.host_facts(podman))


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "name": {"type": "str", "default": "podman-machine-default"},
            "state": {"type": "str", "choices": list(STATES), "default": "started"},
            "provider": {"type": "str", "choices": ["applehv", "libkrun", "qemu", "wsl", "hyperv"]},
            "cpus": {"type": "int"},
            "memory_mib": {"type": "str", "aliases": ["memory"]},
            "disk_gib": {"type": "str", "aliases": ["disk_size"]},
            "swap_mib": {"type": "str", "aliases": ["swap"]},
            "rootful": {"type": "bool"},
            "volumes": {"type": "list", "elements": "str"},
            "image": {"type": "str"},
            "username": {"type": "str"},
            "timezone": {"type": "str"},
            "default_connection": {"type": "bool"},
            "apply": {"type": "str", "choices": list(APPLY)},
            "allow_restart": {"type": "bool", "default": False},
            "recreate": {"type": "str", "choices": ["false", "when_needed"], "default": "false"},
            "allow_destroy": {"type": "bool", "default": False},
            "recover": {"type": "str", "choices": ["none", "kill_stale"], "default": "none"},
            "must_see": {"type": "list", "elements": "path", "default": []},
            "mend_clock": {"type": "bool", "default": False},
            "wait_api": {"type": "bool", "default": True},
            "timeout_start": {"type": "float", "default": 300.0},
            "timeout_stop": {"type": "float", "default": 120.0},
            "timeout_init": {"type": "float", "default": 1800.0},
            "timeout": {"type": "float", "default": 30.0},
            "executable": {"type": "str", "default": "podman"},
            "environment": {"type": "dict", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
