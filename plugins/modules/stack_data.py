# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_data
short_description: Move the data of a stack to another directory or volume
description:
  - Copies a directory or a volume to a directory or a volume, also between Docker and Podman. Compares owners, modes,
    times, attributes and the content of each file. The source is kept.
  - Copies while the services run. Containers that can write to the source are stopped for the last pass. They stay
    stopped, because they would write to the source. Deploy the stack with the new mount to start them.
  - If the move fails, the stopped containers are started again. If it is killed, run it again to continue.
  - Needs root.
version_added: 0.2.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Checks whether the move can begin. Stops and copies nothing.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  name:
    description: Name of the stack, which is the name of its compose project.
    type: str
    required: true
  state:
    description: The data is at the target.
    type: str
    choices: [moved]
    default: moved
  source:
    description: The present place of the data, either a directory or a volume.
    type: dict
    required: true
    suboptions: &end
      path:
        description: Absolute path of a directory.
        type: path
      volume:
        description: Name of a volume in the engine. An anonymous volume has a name of 64 digits.
        type: str
      key:
        description: Name of the volume in the compose file. A missing target volume is created with labels of compose.
        type: str
      engine:
        description: The engine of the volume, and of the containers to stop.
        type: str
        choices: [auto, docker, podman]
        default: auto
      socket:
        description: Path of the engine's socket. By default the usual paths are tried.
        type: path
  target:
    description: The new place, which must be empty or missing.
    type: dict
    required: true
    suboptions: *end
  dump:
    description:
      - Path of an existing dump of the database in the source. A running database is moved only with one.
    type: path
  state_dir:
    description: Directory for the record of the move.
    type: path
    default: /var/lib/onebox
"""

EXAMPLES = r"""
- name: Move an anonymous volume to the directory that the compose file now declares
  onebox.stack.stack_data:
    name: blog
    source: {volume: 3f0c9d0e5a7b4c1d8e2f6a9b0c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d}
    target: {path: /srv/blog/uploads}

- name: Move a volume from Docker to Podman
  onebox.stack.stack_data:
    name: blog
    source: {volume: blog_data, engine: docker}
    target: {volume: blog_data, key: data, engine: podman}
"""

RETURN = r"""
source:
  description: Directory of the source on the host.
  returned: success
  type: str
target:
  description: Directory of the target on the host, empty for a volume that does not exist yet.
  returned: success
  type: str
files:
  description: Number of files that were compared.
  returned: success
  type: int
bytes:
  description: Their size.
  returned: success
  type: int
sha256:
  description: Hash of names, owners, modes, times, attributes and contents, equal in source and target.
  returned: success
  type: str
stopped:
  description: Containers that were stopped and stay stopped until the next deploy.
  returned: success
  type: list
  elements: str
warnings_found:
  description: Entries that were not copied, such as sockets.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup.moves import move
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

END: dict[str, t.Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "path": {"type": "path"},
        "volume": {"type": "str"},
        "key": {"type": "str", "no_log": False},
        "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
        "socket": {"type": "path"},
    },
    "mutually_exclusive": [("path", "volume")],
    "required_one_of": [("path", "volume")],
}


def move_data(module: AnsibleModule) -> dict[str, t.Any]:
    """Move the data of a stack."""
    return move.by_options(module.params, module.check_mode, World.real())


def main() -> None:
    run_module(
        move_data,
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["moved"], "default": "moved"},
            "source": END,
            "target": END,
            "dump": {"type": "path"},
            "state_dir": {"type": "path", "default": "/var/lib/onebox"},
        },
    )


if __name__ == "__main__":
    main()
