# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_machine
short_description: One Podman machine as desired state
description:
  - Makes, changes, starts, stops or removes the virtual machine in which Podman runs containers on macOS (and with the
    provider V(qemu) on Linux).
  - Finds the machine in every provider, compares only the settings that are given, and applies all of them with at
    most one stop, one C(podman machine set) and one start. A running machine is only stopped when that is allowed.
  - V(started) means that the machine's API answers, not that Podman says C(running).
  - Every command has a time limit, since Podman has none.
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
      - V(present) makes the machine if it is not there, and applies settings; it is left as it runs or does not.
      - V(started) also starts it and waits for its API. V(stopped) also stops it. V(restarted) stops and starts it.
      - V(absent) removes it with all its containers, images and volumes.
    type: str
    choices: [present, started, stopped, restarted, absent]
    default: started
  provider:
    description:
      - What runs the virtual machine. Without it, the machine is found wherever it is, and a new one is made with
        Podman's default.
    type: str
    choices: [applehv, libkrun, qemu, wsl, hyperv]
  cpus:
    description: Number of virtual CPUs.
    type: int
  memory_mib:
    description:
      - Memory in MiB, or a size with unit such as V(4768MiB), V(4GiB) or V(5GB). It is rounded down to whole MiB.
    type: str
    aliases: [memory]
  disk_gib:
    description:
      - Size of the disk in GiB, or a size with unit such as V(93GiB) or V(100GB). It is rounded down to whole GiB.
      - A disk only grows. A smaller size is an error, and so is one of more than 64 TiB or of more than ten times the
        free space of this host.
    type: str
    aliases: [disk_size]
  swap_mib:
    description:
      - Swap in MiB, or a size with unit. Only a new machine can have it, from Podman 5.6 on.
    type: str
    aliases: [swap]
  rootful:
    description:
      - Whether containers run as root in the machine. Rootful and rootless containers and images are separate, so
        that a change hides what was there.
    type: bool
  volumes:
    description:
      - Directories of the host that the machine sees, as C(source), C(source:target) or C(source:target:ro), with
        environment variables. They replace Podman's defaults (on macOS C(/Users), C(/private), C(/var/folders)).
      - Only a new machine can have other volumes.
    type: list
    elements: str
  image:
    description: Disk image or image reference for a new machine. It is not compared later.
    type: str
  username:
    description: The guest's user. Only a new machine can have another one.
    type: str
  timezone:
    description: The guest's time zone for a new machine. It is not compared later.
    type: str
  default_connection:
    description: Whether the machine must be Podman's default system connection. V(false) leaves it as it is.
    type: bool
  apply:
    description:
      - When settings may be applied. V(never) only reports that they differ, V(when_stopped) does the same while the
        machine runs, V(restart) stops and starts it.
      - Without it, a running machine is restarted when O(allow_restart) is set, else the task fails and says what
        differs.
    type: str
    choices: [never, when_stopped, restart]
  allow_restart:
    description: Whether a running machine, and every container in it, may be stopped to apply settings.
    type: bool
    default: false
  recreate:
    description:
      - Whether the machine is made again when a setting differs that only a new machine can have, or when its disk
        has gone. Needs O(allow_destroy) as well.
    type: str
    choices: ["false", when_needed]
    default: "false"
  allow_destroy:
    description: Whether O(recreate) may lose every container, image and volume in the machine.
    type: bool
    default: false
  recover:
    description:
      - What to do with a machine that says it runs and does not answer, or that never got ready. V(none) fails and
        says so. V(kill_stale) stops it, ends exactly its own processes if that does not help, and goes on.
    type: str
    choices: [none, kill_stale]
    default: none
  must_see:
    description:
      - Directories of the host that the running machine must see. A token is written into each for a moment and read
        in the guest. The task fails when one is not seen, since it would be empty in a container.
    type: list
    elements: path
    default: []
  mend_clock:
    description:
      - Whether a guest whose clock is more than 30 seconds off gets the host's time, as after a laptop's sleep. Without
        it, that is a warning.
    type: bool
    default: false
  wait_api:
    description: Whether a start is done only when the API answers.
    type: bool
    default: true
  timeout_start:
    description: Seconds for a start. A start that somebody else began is also waited for as long as this.
    type: float
    default: 300.0
  timeout_stop:
    description: Seconds for a stop. Podman itself waits up to 90 on macOS.
    type: float
    default: 120.0
  timeout_init:
    description: Seconds for making a machine, the download of its image included.
    type: float
    default: 1800.0
  timeout:
    description: Seconds for every other command, and for an answer of the API.
    type: float
    default: 30.0
  executable:
    description: The podman client, as a path or a name to look for.
    type: str
    default: podman
  environment:
    description: Environment variables for podman, for example E(XDG_CONFIG_HOME).
    type: dict
    default: {}
notes:
  - Run it as the user who owns the machine, without C(become). Podman refuses root.
  - Podman 4 machines are read, never changed.
  - Another running machine is never stopped. Podman runs one at a time.
seealso:
  - module: onebox.stack.podman_machine_info
"""

EXAMPLES = r"""
- name: The machine of a small stack, as Podman Desktop would make it from 5 GB and 100 GB
  onebox.stack.podman_machine:
    name: 97layerOS
    provider: libkrun
    cpus: 5
    memory: 5GB
    disk_size: 100GB
    default_connection: true

- name: More memory, also if the machine has to be restarted for it
  onebox.stack.podman_machine:
    name: 97layerOS
    memory: 8GiB
    allow_restart: true

- name: Share another directory, which takes a new machine
  onebox.stack.podman_machine:
    name: 97layerOS
    volumes: ["$HOME", "/Volumes/Work:/Volumes/Work"]
    recreate: when_needed
    allow_destroy: true

- name: Bring back a machine that hangs after sleep, and set its clock
  onebox.stack.podman_machine:
    name: 97layerOS
    recover: kill_stale
    mend_clock: true
"""

RETURN = r"""
machine:
  description: The machine as it is after the task; empty when it is absent or would be made.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    provider:
      description: What runs it.
      type: str
    state:
      description: Podman's word; running, stopped, starting or unknown.
      type: str
    healthy:
      description: Whether its API answers and no start is under way.
      type: bool
    starting:
      description: Whether a start is under way, or was killed.
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
      description: Swap in MiB; null when this podman does not record it.
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
      description: The same as a value for E(DOCKER_HOST).
      type: str
    connection:
      description: Name of the system connection to the store in use.
      type: str
    default_connection:
      description: Whether that is Podman's default.
      type: bool
    ssh:
      description: Port, identity and username to reach the guest.
      type: dict
    config_path:
      description: The machine's configuration file.
      type: str
    last_up:
      description: When it was last up; empty when never.
      type: str
    podman_client:
      description: Version of the client.
      type: str
    podman_server:
      description: Version in the guest; empty when it does not answer.
      type: str
    clock_drift:
      description: The guest's clock minus the host's in seconds; null when it does not answer.
      type: float
actions:
  description: The commands that were run, or would be, as lists of words.
  returned: always
  type: list
  elements: list
  sample: [[podman, machine, set, --memory, "8192", 97layerOS]]
visible:
  description: For each of O(must_see) whether the guest sees it.
  returned: when not in check mode
  type: list
  elements: dict
  sample: [{path: /Users/97layer/97layerOS, guest_path: /Users/97layer/97layerOS, ok: true, message: ""}]
restart_required:
  description: Whether settings differ that wait for a restart of the machine.
  returned: always
  type: bool
recreate_required:
  description: Settings that differ and that only a new machine can have.
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
