# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bind_mount_verify
short_description: Prove that the directories of the host are the directories in the containers
description:
  - For each bind mount and volume of running containers, proves that source and destination are the same object
    (device and inode), seen through the kernel's view of the container's main process, and that the application may
    read or write it.
  - Runs nothing in a container, needs nothing in its image, and leaves no files.
  - Finds problems that C(docker inspect) cannot show, such as sources that were deleted, moved or replaced while the
    container runs, disks mounted too late, mounts covered by others, and directories that the engine created.
  - Never changes anything. If a mount is wrong, the task does not fail. Check RV(ignore:ok).
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox)
attributes:
  check_mode:
    description: Can run in check mode and return the same as otherwise.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  project:
    description:
      - Check all containers of this compose project, or of this stack on a Swarm that run on this host.
      - On a manager of the Swarm, services that lack replicas on any node are missing mounts. A manager without a
        container of the stack is ok if other nodes run it. A worker without one is ok, because it does not know.
      - Without O(project) and O(containers), all containers of the engine are checked.
    type: str
  containers:
    description: Check the containers of these names or ids.
    type: list
    elements: str
    default: []
  engine:
    description: The container engine. V(auto) uses Docker if it answers, else Podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  socket:
    description: Path of the engine's API socket, if it is not at a usual path.
    type: path
  expected:
    description:
      - Mounts that must exist. A missing mount, or one from another source, is a finding.
      - Without it, the mounts that the engine reports are proven.
    type: list
    elements: dict
    suboptions:
      container:
        description: Name of the container. Give this or O(expected[].service).
        type: str
      service:
        description: Name of the compose service. Give this or O(expected[].container).
        type: str
      source:
        description: Absolute path on the host. Without it, any source is accepted.
        type: str
      destination:
        description: Absolute path in the container.
        type: str
        required: true
      read_only:
        description: Whether the mount must be read-only or must not be. Without it, both are accepted.
        type: bool
      type:
        description: Required kind of the source.
        type: str
        choices: [file, dir]
      not_empty:
        description: Whether an empty directory is a finding.
        type: bool
        default: false
  access:
    description:
      - Access to try with the identity of each process of the container, except an init or a waiting shell.
        V(write) tries to read all mounts and to write to those that are not read-only. In a directory it writes to an
        unnamed temporary file, which never appears in the directory.
    type: str
    choices: [none, read, write]
    default: write
  ephemeral:
    description:
      - Whether to search for files that containers wrote outside every mount, which are lost when the containers are
        created again, and for data directories in their environment (C(*_DIR=/app/data)) that no mount covers.
      - Such findings are in RV(ephemeral_writes) and do not change RV(ignore:ok).
    type: bool
    default: false
  ephemeral_ignore:
    description: Paths (with all below them) and patterns that O(ephemeral) skips. Replaces the default.
    type: list
    elements: str
    default:
      - /tmp
      - /var/tmp
      - /run
      - /var/run
      - /dev
      - /proc
      - /sys
      - /var/cache
      - /root/.cache
      - /home/*/.cache
      - '*/__pycache__'
      - '*.pyc'
      - '*.pid'
      - '*.sock'
      - '*.lock'
      - /.dockerenv
      - /etc/mtab
      - /etc/ld.so.cache
      - /etc/hosts
      - /etc/hostname
      - /etc/resolv.conf
      - /etc/passwd
      - /etc/group
  working_dir:
    description: The project directory the containers must have been created from, compared with their labels.
      A container from another directory is in RV(label_mismatch), and RV(ignore:ok) is false.
    type: path
  config_files:
    description: The compose files they must have been created from, in order, compared in the same way.
    type: list
    elements: path
    default: []
  promised:
    description:
      - The record that M(onebox.stack.compose_stack) wrote after the last successful deploy of O(project), with its
        services, their number of containers and their mounts. Missing ones are in RV(missing_mounts). A source on
        another file system than recorded has the verdict V(host_mount_changed).
      - Without it, an existing file in the default state directory is read. An empty value reads none.
    type: path
  one_shots:
    description: Containers or services that may have finished with exit code 0.
    type: list
    elements: str
    default: []
  vm:
    description:
      - The virtual machine the containers run in, as on a Mac. The proof has two hops, into it and into the container.
      - The first is proven by the type of the file system in the machine and, with O(access=write), by a file in the
        source. The application's access is tried in the machine, which needs C(nsenter) and C(setpriv) there, and
        C(sudo) without a password if its user is not root.
    type: str
    choices: [none, podman, colima, docker_desktop]
    default: none
  vm_name:
    description: Name of the Podman machine or Colima profile, if it is not the default one.
    type: str
    default: ''
  vm_image:
    description: For O(vm=docker_desktop), a local image that has C(nsenter) and C(sh).
    type: str
    default: busybox
  timeout:
    description: Seconds one container may take before its mounts count as unverifiable.
    type: float
    default: 10.0
notes:
  - Needs Linux 5.8 or newer on the managed host, and root or the user who owns the (rootless) containers.
  - A mount that cannot be proven has the verdict V(unverifiable) and never counts as V(ok).
"""

EXAMPLES = r"""
- name: Prove the mounts of a stack
  onebox.stack.bind_mount_verify:
    project: 97layer
  register: proof

- name: Prove on a Mac that the containers of a Podman machine see the Mac's directories
  onebox.stack.bind_mount_verify:
    project: 97layer
    engine: podman
    vm: podman
    vm_name: 97layerOS

- name: Fail if a mount is wrong
  ansible.builtin.assert:
    that: proof.ok
    fail_msg: "{{ proof.containers | map(attribute='mounts') | flatten | map(attribute='message') | list }}"

- name: Prove that the journal is on the disk and can be read
  onebox.stack.bind_mount_verify:
    containers: [observer]
    engine: podman
    access: read
    expected:
      - container: observer
        source: /srv/observer/journal
        destination: /app/journal
        read_only: false
        not_empty: true
"""

RETURN = r"""
ok:
  description: Whether at least one mount was checked, all of them were proven, and no database keeps its data where it
    would be lost.
  returned: always
  type: bool
summary:
  description: Numbers of mounts that were checked, are ok, failed, or could not be verified.
  returned: always
  type: dict
  sample: {checked: 4, ok: 3, failed: 1, unverifiable: 0}
message:
  description: The outcome in one sentence.
  returned: always
  type: str
  sample: 3 of 4 mounts proven in 2 containers
containers:
  description: Each container with its mounts.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the container.
      type: str
    id:
      description: Id of the container.
      type: str
    service:
      description: Its compose service, or an empty string.
      type: str
    status:
      description: Its state, as the engine reports it.
      type: str
    pid:
      description: Process id of its main process on the host, 0 if none runs.
      type: int
    user:
      description:
        - Identity of the application, in ids of the host (uid, gid, groups, capabilities,
          own_user_namespace). Null if no access was tried. With O(vm) the ids are the machine's, groups and
          capabilities are null.
      type: dict
    mounts:
      description: Each bind mount and volume.
      type: list
      elements: dict
      contains:
        type:
          description: V(bind) or V(volume).
          type: str
        source:
          description: Path on the host, as requested from the engine.
          type: str
        destination:
          description: Path in the container.
          type: str
        verdict:
          description:
            - V(ok), V(missing), V(wrong_source), V(stale_deleted), V(stale_renamed), V(stale_file),
              V(symlink_retargeted), V(host_mount_changed), V(shadowed), V(unmounted_inside), V(submount_missing),
              V(auto_created), V(empty_unexpected), V(type_mismatch), V(ro_rw_mismatch), V(not_writable),
              V(not_readable), V(no_space), V(vm_not_shared), V(not_running), V(paused), V(source_is_a_link),
              V(anonymous_volume), or V(unverifiable).
          type: str
        proof:
          description: Basis of the verdict; V(inode), V(mountinfo), V(probe), V(canary), V(fstype),
              V(inspect), or V(none).
          type: str
        fix:
          description:
            - The fix; V(restart), V(recreate), V(chown), V(mount_disk), V(edit_compose), V(share_with_vm), or
              V(none) for a manual fix, see the message.
          type: str
        access:
          description: Declared mode (V(ro) or V(rw)), access tried (V(none), V(read) or V(write)), and the error.
          type: dict
        message:
          description: The problem, the mount, and the command to run next.
          type: str
missing_mounts:
  description: Expected mounts that do not exist, with container, service, source, destination and message.
  returned: always
  type: list
  elements: dict
label_mismatch:
  description:
    - Containers created from another directory or compose file; container, service, label, expected, found, message.
  returned: always
  type: list
  elements: dict
ephemeral_writes:
  description:
    - Data that would be lost, grouped by directory; container, service, path, files, bytes (null if unknown), newest,
      variable (the one that names the directory, or empty), complete (false if a limit ended the search), message.
  returned: always
  type: list
  elements: dict
data_places:
  description:
    - Each path that a container persists data to. The evidence is the image, variables, settings, the mounts, the files
      that its processes have open for writing, and with O(ephemeral) the files written outside every mount.
  returned: always
  type: list
  elements: dict
  contains:
    container:
      description: Name of the container.
      type: str
    service:
      description: Its compose service, or an empty string.
      type: str
    path:
      description: Path in the container, empty for a server that writes nothing.
      type: str
    lies:
      description: V(bind), V(volume), V(anonymous) (a volume without a name), V(tmpfs), V(layer) (the container's own
        files), or V(memory) (a server that is configured to write nothing).
      type: str
    verdict:
      description:
        - V(persistent), V(lost_at_recreate), V(lost_at_down), or V(declared_unused) for a mount that is empty because
          the data goes elsewhere.
      type: str
    source:
      description: Directory on the host, empty if there is none.
      type: str
    volume:
      description: Name of the volume, or an empty string.
      type: str
    destination:
      description: The mount that the path lies on, or an empty string.
      type: str
    read_only:
      description: Whether the container may only read it.
      type: bool
    evidence:
      description: V(data_directory) (of a running server), V(setting NAME), V(variable NAME), V(open_file),
        V(image_volume), V(mount) and V(written), as far as they apply.
      type: list
      elements: str
    database:
      description: V(postgresql), V(mysql), V(redis), V(mongodb), V(influxdb), or an empty string.
      type: str
    files:
      description: Number of files, null if they were not counted, as those of V(persistent) paths.
      type: int
    bytes:
      description: Their size, null if unknown.
      type: int
    complete:
      description: False if a limit ended the count.
      type: bool
    intended:
      description: Whether the loss is declared, by a tmpfs or a setting.
      type: bool
    message:
      description: The problem and the command to run next, empty for V(persistent).
      type: str
    at_risk:
      description: Whether data would be lost that is not declared as disposable.
      type: bool
    fails:
      description: Whether RV(ignore:ok) is false because of it, as for the data of a database. Redis and Valkey count
        only if a setting makes them persist.
      type: bool
services:
  description: Number of services with a running container, and number of services in O(promised) (0 without it).
  returned: always
  type: dict
  sample: {running: 3, promised: 3}
table:
  description: The same as lines for a terminal, failures first.
  returned: always
  type: list
  elements: str
metrics:
  description: The same as Prometheus metrics in the text format.
  returned: always
  type: str
duration_ms:
  description: Duration of the check in milliseconds.
  returned: always
  type: float
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import ENGINES, find
from ansible_collections.onebox.stack.plugins.module_utils.mounts import metrics, promised
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted.scan import IGNORED
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import ACCESS, Check, verify
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import KINDS, Machine


def check(module: AnsibleModule) -> dict[str, t.Any]:
    """The verdict on each mount. Changes nothing."""
    given, world = module.params, World.real()
    through = None
    if given["vm"] != "none":
        machine = Machine.of(given["vm"], given["vm_name"], given["vm_image"], environ=world.environ)
        through = Prover(machine, world)
    wanted = Check(
        project=given["project"],
        names=given["containers"],
        expected=given["expected"],
        access=given["access"],
        ephemeral=given["ephemeral"],
        ephemeral_ignore=given["ephemeral_ignore"],
        working_dir=given["working_dir"] or "",
        config_files=given["config_files"],
        one_shots=given["one_shots"],
        promised=_promised(given, world),
        seconds=given["timeout"],
    )
    result = verify(find(given["engine"], given["socket"], world=world), wanted, world=world, through=through)
    result.pop("hosts")
    return {"changed": False, **result, "metrics": metrics.text(result, given["project"] or "", world.epoch())}


def _promised(given: dict[str, t.Any], world: World) -> str:
    if given["promised"] is not None or not given["project"]:
        return given["promised"] or ""
    return promised.place(given["project"], world)


def main() -> None:
    run_module(
        check,
        argument_spec={
            "project": {"type": "str"},
            "containers": {"type": "list", "elements": "str", "default": []},
            "engine": {"type": "str", "choices": list(ENGINES), "default": "auto"},
            "socket": {"type": "path"},
            "expected": {
                "type": "list",
                "elements": "dict",
                "mutually_exclusive": [("container", "service")],
                "required_one_of": [("container", "service")],
                "options": {
                    "container": {"type": "str"},
                    "service": {"type": "str"},
                    "source": {"type": "str"},
                    "destination": {"type": "str", "required": True},
                    "read_only": {"type": "bool"},
                    "type": {"type": "str", "choices": ["file", "dir"]},
                    "not_empty": {"type": "bool", "default": False},
                },
            },
            "access": {"type": "str", "choices": list(ACCESS), "default": "write"},
            "ephemeral": {"type": "bool", "default": False},
            "ephemeral_ignore": {"type": "list", "elements": "str", "default": list(IGNORED)},
            "promised": {"type": "path"},
            "working_dir": {"type": "path"},
            "config_files": {"type": "list", "elements": "path", "default": []},
            "one_shots": {"type": "list", "elements": "str", "default": []},
            "vm": {"type": "str", "choices": list(KINDS), "default": "none"},
            "vm_name": {"type": "str", "default": ""},
            "vm_image": {"type": "str", "default": "busybox"},
            "timeout": {"type": "float", "default": 10.0},
        },
        mutually_exclusive=[("project", "containers")],
    )


if __name__ == "__main__":
    main()
