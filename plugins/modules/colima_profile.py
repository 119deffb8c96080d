# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: colima_profile
short_description: Manage sizes and shared directories of a Colima profile
description:
  - Edits keys of a profile's C(colima.yaml) and keeps all comments. Adds shared directories and keeps the home
    directory, which Colima does not share once a list is set.
  - Compares the running VM with the file, and restarts the VM if you allow it.
  - Refuses changes that Colima would silently discard - keys that are fixed at the first start, and paths with spaces.
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
  profile:
    description: Name of the profile.
    type: str
    default: default
  state:
    description: V(present) edits the file only. V(started) and V(stopped) also start or stop the VM.
    type: str
    choices: [present, started, stopped]
    default: present
  cpus:
    description: Number of virtual CPUs.
    type: int
  memory_gib:
    description: Memory in GiB.
    type: float
  disk_gib:
    description: Disk in GiB. It can only grow.
    type: int
  mounts:
    description:
      - Directories to share with the VM. Existing entries are kept. A directory below a shared one is not added.
    type: list
    elements: dict
    default: []
    suboptions:
      location:
        description: Absolute path, or a path that begins with V(~/).
        type: str
        required: true
      writable:
        description: Let containers write to it.
        type: bool
        default: true
      mount_point:
        description: Path in the VM, if it differs from the host's.
        type: str
        default: ""
  arch:
    description: Architecture. Fixed at the first start.
    type: str
  runtime:
    description: Container runtime. Fixed at the first start.
    type: str
    choices: [docker, containerd, incus]
  vm_type:
    description: Hypervisor of the VM. Fixed at the first start.
    type: str
    choices: [qemu, vz, krunkit]
  mount_type:
    description: Driver of the shared directories. Fixed at the first start.
    type: str
    choices: [virtiofs, sshfs, 9p]
  allow_restart:
    description: Allow stopping a running VM, and all of its containers, to apply settings.
    type: bool
    default: false
  check_paths:
    description: Directories to diagnose for bind mounts, for example on an external disk. See RV(paths).
    type: list
    elements: path
    default: []
  timeout:
    description: Seconds to wait for a start or a stop.
    type: float
    default: 600.0
  executable:
    description: Path or name of C(colima).
    type: str
    default: colima
notes:
  - Run it as the user who owns the profile, without C(become).
"""

EXAMPLES = r"""
- name: Share a work disk in addition to the home directory, and restart Colima
  onebox.stack.colima_profile:
    state: started
    mounts:
      - location: /Volumes/Work
    allow_restart: true

- name: Find out why a directory is empty in the container
  onebox.stack.colima_profile:
    check_paths: ["/Volumes/Extreme SSD/02_GitHub.nosync/30_OmniVibePro"]
  register: colima

- name: Show the solutions, best first
  ansible.builtin.debug:
    msg: "{{ colima.paths[0].ways_out }}"
"""

RETURN = r"""
profile:
  description: The profile in its file after the task. In check mode, the planned profile.
  returned: always
  type: dict
  sample: {name: default, state: Running, cpus: 4, memory_gib: 8, disk_gib: 100, vm_type: vz}
restart_required:
  description: Whether the running VM has other settings than the file.
  returned: always
  type: bool
actions:
  description: Commands that were, or would be, run.
  returned: always
  type: list
  elements: list
paths:
  description: For each directory of O(check_paths), whether containers can bind it.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The directory.
      type: str
    ok:
      description: Whether it has no problems.
      type: bool
    filesystem:
      description: Kind of its file system.
      type: str
    mount_point:
      description: Mount point of its disk.
      type: str
    problems:
      description: Any of V(missing), V(not_shared), V(space_in_path), V(no_unix_permissions) and V(read_only).
      type: list
      elements: str
    ways_out:
      description: Solutions, best first.
      type: list
      elements: str
"""

import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm import sizes
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima import profile as colima
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima import settings
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima.yaml_text import Mount
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import filesystems, paths


def _wanted(given: t.Mapping[str, t.Any]) -> colima.Wanted:
    mounts = tuple(Mount(one["location"].rstrip("/"), one["writable"], one["mount_point"]) for one in given["mounts"])
    plain = ("profile", "state", "cpus", "memory_gib", "disk_gib", "arch", "runtime", "vm_type", "mount_type")
    return colima.Wanted(**{key: given[key] for key in plain}, mounts=mounts, allow_restart=given["allow_restart"])


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    world = World.real()
    env = {**world.environ, "HOME": world.home}
    env["PATH"] = ":".join([env.get("PATH", "/usr/bin:/bin"), *paths.EXTRA_PATH])
    wanted = _wanted(given)
    path, applied_path, socket = settings.paths(settings.root(env), wanted.profile)
    client = colima.Colima(given["executable"], env, given["timeout"], world)
    word = client.status(wanted.profile)
    config, applied = settings.read(path), settings.read(applied_path)
    free = sizes.free_gib(env["HOME"])
    if config is None:
        outcome = colima.first(wanted, path, env["HOME"], socket, free)
    else:
        outcome = colima.plan(wanted, config, applied, word, env["HOME"], socket, free)
    # Check mode reports what would be seen after the task, else what is seen now or, when it is restarted, then.
    ahead = module.check_mode or bool(outcome.steps)
    seen = settings.effective(config if ahead or applied is None else applied)
    seen = [*seen, *wanted.mounts] if config is None else seen
    shared = [guest for _host, guest in settings.shared(seen, env["HOME"])]
    result: dict[str, t.Any] = {
        "profile": outcome.profile,
        "restart_required": outcome.restart_required,
        "actions": [["colima", *words] for words in outcome.steps],
        "paths": [
            filesystems.diagnose(
                one, engine="colima", shared=shared, system=sys.platform, spaces_work=False, world=world
            )
            for one in given["check_paths"]
        ],
        "diff": {"before": outcome.before, "after": outcome.after},
        "warnings": outcome.warnings,
    }
    diagnosis_only = config is None and given["state"] == "present" and bool(given["check_paths"])
    if diagnosis_only:
        return {**result, "changed": False, "actions": [], "diff": {"before": {}, "after": {}}}
    if outcome.refusal:
        return {**result, "failed": True, "msg": outcome.refusal, "warnings": []}
    result["changed"] = outcome.text is not None or bool(outcome.steps)
    if module.check_mode:
        return result
    if outcome.text is not None:
        settings.save(path, outcome.text)
    for words in outcome.steps:
        client.change(words)
    if outcome.steps:
        result["profile"]["state"] = client.status(wanted.profile)
        result["restart_required"] = False
    return result


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "profile": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "started", "stopped"], "default": "present"},
            "cpus": {"type": "int"},
            "memory_gib": {"type": "float"},
            "disk_gib": {"type": "int"},
            "mounts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "location": {"type": "str", "required": True},
                    "writable": {"type": "bool", "default": True},
                    "mount_point": {"type": "str", "default": ""},
                },
            },
            "arch": {"type": "str"},
            "runtime": {"type": "str", "choices": ["docker", "containerd", "incus"]},
            "vm_type": {"type": "str", "choices": ["qemu", "vz", "krunkit"]},
            "mount_type": {"type": "str", "choices": ["virtiofs", "sshfs", "9p"]},
            "allow_restart": {"type": "bool", "default": False},
            "check_paths": {"type": "list", "elements": "path", "default": []},
            "timeout": {"type": "float", "default": 600.0},
            "executable": {"type": "str", "default": "colima"},
        },
    )


if __name__ == "__main__":
    main()
