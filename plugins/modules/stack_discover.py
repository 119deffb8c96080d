# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compose project on a host, whatever deployed it, read only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_discover
short_description: Report the compose projects of a host, whatever tool deployed them
description:
  - Lists the compose projects that have containers, by their labels, and compose files of which no container is.
    Projects of C(docker compose), C(podman-compose), Portainer, Dockge and Coolify are named as such.
  - Verifies the mounts of each project, as M(onebox.stack.bind_mount_verify) does, and reports the location of its
    data, the effect of a reboot, the ports for other machines, and the data without a backup.
  - Changes nothing. Needs no compose tool and no option.
  - The proof of mounts reads C(/proc) of the containers, so run it as root. For another user, mounts of other users'
    containers are unverifiable.
version_added: 0.2.0
author:
  - The onebox.stack developers (@onebox)
attributes:
  check_mode:
    description: Can run in check mode, which is the same as a normal run.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  project:
    description:
      - The only project to report. RV(bundle) then has the files that come with it, for
        O(onebox.stack.stack_scaffold#module:adopt).
      - The files can contain secrets. Set C(no_log) for the task.
    type: str
  engine:
    description: The container engine. With V(auto), projects of both engines are reported.
    type: str
    choices: [auto, docker, podman]
    default: auto
  socket:
    description: Path of the engine's socket. By default the usual paths are tried.
    type: path
  timeout:
    description: Seconds for the proof of all mounts. Mounts that are not checked by then are reported as not checked.
    type: float
    default: 45
seealso:
  - module: onebox.stack.stack_scaffold
  - module: onebox.stack.bind_mount_verify
"""

EXAMPLES = r"""
- name: Report the compose projects of this host
  onebox.stack.stack_discover:
  register: found

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ found.text }}"
"""

RETURN = r"""
projects:
  description: The compose projects that have containers, sorted by engine and name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the project.
      type: str
    engine:
      description: Its engine.
      type: str
    tool:
      description: The program that deployed it, with its version if the labels name one.
      type: str
      sample: docker compose 2.40.3
    provider:
      description: The compose tool that its containers are from, as O(onebox.stack.compose_stack#module:provider).
      type: str
    working_dir:
      description: Its directory, as its tool names it. For Portainer, a path in Portainer's container.
      type: str
    folder:
      description: That directory on the host. Empty if it does not exist.
      type: str
    files:
      description: Its compose files, relative to the directory.
      type: list
      elements: str
    env_file:
      description: Its environment file, relative to the directory.
      type: str
    services:
      description:
        - Its containers, with C(name) (of the service), C(container), C(image), C(status), C(health) and C(restart).
      type: list
      elements: dict
    mounts:
      description: The proof, with C(ok), C(checked), C(failed), C(unverifiable) and C(problems).
      type: dict
    data:
      description:
        - The mounted directories, files and volumes, with C(path), C(kind) (V(bind), V(volume) or V(anonymous)),
          C(name), C(services), C(destination), C(read_only), C(exists), C(folder), C(uid), C(gid) and C(mode).
        - Parts of the system, such as the engine's socket, are not listed.
      type: list
      elements: dict
    reboot:
      description:
        - C(starts) is V(yes), V(no), V(partly) or V(unknown). C(services) has the reason for each service that stays
          down. C(message) says the same in one line.
      type: dict
    public:
      description: The ports that other machines reach, one line each.
      type: list
      elements: str
    not_backed_up:
      description: The data without a backup by this collection, one line each.
      type: list
      elements: str
engines:
  description: The engines that answer, with C(name), C(version) and C(socket).
  returned: always
  type: list
  elements: dict
stopped:
  description: Directories with a compose file of which no container is.
  returned: always
  type: list
  elements: str
other:
  description: Names of the containers of no compose project.
  returned: always
  type: list
  elements: str
text:
  description: The report as lines for a terminal.
  returned: always
  type: list
  elements: str
bundle:
  description: The files that come with the project, as O(onebox.stack.stack_scaffold#module:bundle) reads them.
  returned: if O(project) is set
  type: str
left:
  description: Paths in the project's directory that are not in RV(bundle), with the reason.
  returned: if O(project) is set
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose.running import discover
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    order = discover.Order(
        engine=given["engine"],
        socket=given["socket"],
        project=given["project"] or "",
        seconds=given["timeout"],
    )
    return {"changed": False, **discover.discover(order, World.real())}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "project": {"type": "str"},
            "engine": {"type": "str", "choices": list(discover.ENGINES), "default": "auto"},
            "socket": {"type": "path"},
            "timeout": {"type": "float", "default": 45.0},
        },
    )


if __name__ == "__main__":
    main()
