# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make all directories of a stack right in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: data_dirs
short_description: Make all directories of a stack right in one call
description:
  - Creates the directories a stack keeps its data in and gives them their owner, group and mode, in one call for any
    number of them.
  - Looks at all of them first. When anything is wrong with any of them, all problems are returned at once and nothing
    is changed.
  - Never deletes, moves or replaces a directory, so that a running container keeps seeing the one it has; never touches
    what is in them, unless O(directories[].recursive) asks for it.
  - Refuses places that lose data, such as the deploy directory, paths through symbolic links, a mount point whose disk
    is not mounted, file systems without owners, and file systems mounted read-only.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return what would be done, without changing anything.
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
          - Absolute, or relative to O(base); V(.) is O(base) itself. Taken as it is, without expanding C(~) or C($).
          - Missing parents are created as the caller's, with mode 0755.
        type: str
        required: true
      class:
        description:
          - What it is for. Decides the mode, 0700 for V(secret) and 0750 for the others, and what is refused.
        type: str
        choices: [data, log, config, secret]
        default: data
      owner:
        description:
          - Name or number of the user. A user that only the container's image knows is given by its number.
          - Without it, an existing directory keeps its owner, and a new one belongs to the caller.
        type: str
      group:
        description: Name or number of the group, as O(directories[].owner).
        type: str
      mode:
        description: Octal digits in quotes, instead of the mode of the class. A secret lets in nobody but its owner.
        type: raw
      mountpoint:
        description:
          - Whether a disk must be mounted exactly there. It is refused when none is.
          - At the first run, the disk gets an identity in the file C(.onebox-disk) in its root, which is remembered in
            O(state_dir). Later runs refuse another disk in its place.
        type: bool
        default: false
      recursive:
        description:
          - Whether all below it is given to O(directories[].owner) and O(directories[].group) as well. In a secret
            directory, files also get the mode 0400 and directories 0700.
          - Done once, not at each run; again when owner, group, or the directory itself changed.
          - Stays on one file system. Files with several hard links are left alone and reported.
        type: bool
        default: false
  base:
    description: The directory relative paths are relative to.
    type: path
  deploy_dir:
    description: The directory the stack is deployed to. It is replaced at a deploy, so no data may lie in it.
    type: path
  state_dir:
    description:
      - Where disks and finished recursive work are remembered between runs.
      - The default is C(/var/lib/onebox) for root and C(~/.local/state/onebox) for others.
    type: path
notes:
  - Paths are walked by file descriptor without following symbolic links, so that nobody who may write to a parent can
    turn a change elsewhere.
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

- name: Use a disk, and refuse to run when it is not mounted
  onebox.stack.data_dirs:
    directories:
      - {path: /mnt/archive, class: data, mountpoint: true}
      - {path: /mnt/archive/snapshots, class: data, mode: "0770", group: backup}
"""

RETURN = r"""
directories:
  description: Each directory as it is now, or would be, in the order of their paths.
  returned: when the options could be read
  type: list
  elements: dict
  contains:
    path:
      description: Its absolute path.
      type: str
    class:
      description: As given.
      type: str
    owner:
      description: Name of its user, or the number of one that has no name on this host.
      type: str
    group:
      description: Name of its group, or the number.
      type: str
    mode:
      description: Its mode in octal digits.
      type: str
    changed:
      description: Whether it, its identity as a disk, or what is below it was changed.
      type: bool
    fstype:
      description: Type of its file system.
      type: str
    free_bytes:
      description: Bytes that are free for ordinary users on its file system, before the run.
      type: int
    free_inodes:
      description: How many files and directories still fit, before the run. Null where that number is not fixed.
      type: int
    mountpoint:
      description: As given.
      type: bool
    given:
      description: How many entries below it were given to another owner.
      type: int
    left_alone:
      description: Files below it that were left alone because they have other names (hard links).
      type: list
      elements: str
problems:
  description: All that keeps a directory from being right. When there are any, the module fails.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The directory.
      type: str
    message:
      description: What is wrong, where, and what to do.
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
