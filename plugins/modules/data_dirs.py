# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make all directories of a stack right in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: data_dirs
short_description: Manage all directories of a stack in one call
description:
  - Creates the data directories of a stack and sets their owner, group and mode, in one call for any number of
    directories.
  - Inspects all directories first. If one has a problem, returns all problems at once and changes nothing.
  - Does not delete, move or replace a directory, so running containers keep their directories. Changes the content only
    with O(directories[].recursive).
  - Refuses paths that lose data, such as the deploy directory, paths through symbolic links, a mount point whose disk
    is not mounted, file systems without owners, and file systems mounted read-only.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the state of each directory that changes, before and after.
    support: full
options:
  directories:
    description: The directories.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Absolute path, or a path relative to O(base). V(.) is O(base) itself. C(~) and C($) are not expanded.
          - Missing parents are created with mode 0755 and belong to the caller.
        type: str
        required: true
      class:
        description:
          - Purpose of the directory. The mode is 0700 for V(secret) and 0750 for the others.
        type: str
        choices: [data, log, config, secret]
        default: data
      owner:
        description:
          - Name or number of the user. For a user that exists only in the container's image, use the number.
          - Without it, an existing directory keeps its owner, and a new one belongs to the caller.
        type: str
      group:
        description: Name or number of the group, as O(directories[].owner).
        type: str
      mode:
        description: Octal digits in quotes, instead of the mode of the class. Only its owner can access a secret.
        type: raw
      mountpoint:
        description:
          - Require a disk that is mounted exactly at this path.
          - The first run writes an identity to the file C(.onebox-disk) in the root of the disk, and records it in
            O(state_dir). Later runs refuse another disk at this path.
        type: bool
        default: false
      recursive:
        description:
          - Also set O(directories[].owner) and O(directories[].group) for everything below the directory. In a secret
            directory, files also get the mode 0400 and directories 0700.
          - Done once, and again after a change of the owner, the group or the directory itself.
          - Stays on one file system. Files with several hard links are not changed, and reported.
        type: bool
        default: false
  base:
    description: Directory of relative paths.
    type: path
  deploy_dir:
    description: The stack's deploy directory. A deploy replaces it, so it cannot contain data directories.
    type: path
  state_dir:
    description:
      - Directory in which disks and completed recursive changes are recorded.
      - The default is C(/var/lib/onebox) for root and C(~/.local/state/onebox) for others.
    type: path
notes:
  - Paths are opened by file descriptor without following symbolic links, so a user who can write to a parent cannot
    redirect a change.
"""

EXAMPLES = r"""
- name: Make the directories of a stack
  onebox.stack.data_dirs:
    base: /srv/observer
    deploy_dir: /opt/onebox/observer
    directories:
      - {path: journal, class: data, owner: "999", group: "999"}
      - {path: logs, class: log, owner: "999"}
      - {path: secrets, class: secret, owner: "999", recursive: true}
  register: dirs

- name: Use a disk, and fail if it is not mounted
  onebox.stack.data_dirs:
    directories:
      - {path: /mnt/archive, class: data, mountpoint: true}
      - {path: /mnt/archive/snapshots, class: data, mode: "0770", group: backup}
"""

RETURN = r"""
directories:
  description: Each directory after the task, or in check mode as it would be, in the order of their paths.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    path:
      description: Its absolute path.
      type: str
    class:
      description: The value of the option.
      type: str
    owner:
      description: Name of its user, or the number if the user has no name on this host.
      type: str
    group:
      description: Name of its group, or the number if the group has no name on this host.
      type: str
    mode:
      description: Its mode in octal digits.
      type: str
    changed:
      description: Whether the directory, its disk identity or its content changed.
      type: bool
    fstype:
      description: Type of its file system.
      type: str
    free_bytes:
      description: Free bytes for ordinary users on its file system, before the run.
      type: int
    free_inodes:
      description: Number of files and directories that can still be created, before the run. Null without a limit.
      type: int
    mountpoint:
      description: The value of the option.
      type: bool
    given:
      description: Number of entries below it whose owner changed.
      type: int
    left_alone:
      description: Files below it that were not changed because they have several hard links.
      type: list
      elements: str
problems:
  description: All problems of the directories. If there are any, the module fails.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The directory.
      type: str
    message:
      description: The problem, and the way to fix it.
      type: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.dirs.ensure import ensure
from ansible_collections.onebox.stack.plugins.module_utils.dirs.filesystem import Mounts
from ansible_collections.onebox.stack.plugins.module_utils.dirs.request import MODES


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Create and correct the directories. Problems fail the module and are listed."""
    given, world = module.params, World.real()
    usual = "/var/lib/onebox" if world.is_root else os.path.join(world.home, ".local", "state", "onebox")
    result = ensure(
        given["directories"],
        base=given["base"],
        deploy_dir=given["deploy_dir"],
        state_dir=given["state_dir"] or usual,
        check=module.check_mode,
        mounts=Mounts(world),
    )
    problems = result["problems"]
    if problems:
        done = "some directories were changed" if result["changed"] else "nothing was changed"
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        text = f"{count}, {done}: " + "; ".join(row["message"] for row in problems)
        return {**result, "failed": True, "msg": text}
    return result


def main() -> None:
    run_module(
        converge,
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "class": {"type": "str", "choices": list(MODES), "default": "data"},
                    "owner": {"type": "str"},
                    "group": {"type": "str"},
                    "mode": {"type": "raw"},
                    "mountpoint": {"type": "bool", "default": False},
                    "recursive": {"type": "bool", "default": False},
                },
            },
            "base": {"type": "path"},
            "deploy_dir": {"type": "path"},
            "state_dir": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
