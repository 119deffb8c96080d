# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_hygiene
short_description: Find clutter and host processes of a project that runs in containers
description:
  - Finds files that Python and macOS leave in a project (C(__pycache__), C(*.pyc), C(.DS_Store), real AppleDouble
    C(._*) files), and can remove them.
  - Finds processes of the project that run on the host instead of in containers, by working directory and command line.
    The module's own process and its parents do not count.
  - Does not follow links, and skips other file systems, version control and virtual environments.
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
  paths:
    description: Absolute directories of the project.
    type: list
    elements: path
    required: true
  state:
    description: V(listed) changes nothing. V(absent) removes the clutter. Processes are listed and not stopped.
    type: str
    choices: [listed, absent]
    default: listed
  kinds:
    description: Kinds of clutter.
    type: list
    elements: str
    choices: [pycache, pyc, ds_store, apple_double]
    default: [pycache, pyc, ds_store, apple_double]
  exclude:
    description: Absolute paths to skip.
    type: list
    elements: path
    default: []
  foreign_filesystem:
    description:
      - The paths are on exFAT or FAT, where macOS creates every C(._) file with the AppleDouble mark. Elsewhere such a
        file counts only if its partner exists.
    type: bool
    default: false
  processes:
    description: Find processes.
    type: bool
    default: true
  process_patterns:
    description: Regular expressions of command lines that count, whatever their working directory.
    type: list
    elements: str
    default: []
  only_python:
    description: Apply O(paths) to Python programs only, so that an editor or a shell in the project does not count.
    type: bool
    default: true
  keep_processes:
    description: Regular expressions of command lines to ignore.
    type: list
    elements: str
    default: []
notes:
  - Uses C(ps), and on macOS C(lsof). Only root can read working directories of other users.
"""

EXAMPLES = r"""
- name: Find clutter and host processes
  onebox.stack.host_hygiene:
    paths: [/Users/97layer/97layerOS]
    process_patterns: ["snapshot_daemon|gcp_management_server|mac_realtime_receiver"]
  register: hygiene

- name: Fail if the project runs on the host
  ansible.builtin.assert:
    that: hygiene.processes | length == 0
    fail_msg: "{{ hygiene.processes | map(attribute='command') | list }}"

- name: Remove the clutter
  onebox.stack.host_hygiene:
    paths: [/Users/97layer/97layerOS]
    state: absent
"""

RETURN = r"""
clutter:
  description: Clutter that was found and, with O(state=absent), removed, by path.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file or directory.
      type: str
    kind:
      description: V(pycache), V(pyc), V(ds_store) or V(apple_double).
      type: str
    bytes:
      description: Size in bytes.
      type: int
bytes:
  description: Total size of RV(clutter) in bytes.
  returned: always
  type: int
processes:
  description: Processes of the project on the host.
  returned: always
  type: list
  elements: dict
  contains:
    pid:
      description: Process id.
      type: int
    command:
      description: Its command line, with likely secrets masked.
      type: str
    cwd:
      description: Its working directory. Empty if it cannot be read.
      type: str
    reasons:
      description: Reasons why it counts, V(cwd), V(argv), or the pattern.
      type: list
      elements: str
"""

import re
import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mac import clutter, hostprocs
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

_SECRET = re.compile(r"((?:token|secret|password|passwd|api[_-]?key)[=\s]+)\S+", re.IGNORECASE)


def _check_patterns(given: t.Mapping[str, t.Any]) -> None:
    for option in ("process_patterns", "keep_processes"):
        for text in given[option]:
            try:
                re.compile(text)
            except re.error as error:
                raise MacError(f"{option}: {text!r} is not a regular expression: {error}") from error


def _processes(given: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    if not given["processes"]:
        return []
    found = hostprocs.find(
        given["paths"],
        given["process_patterns"],
        only_python=given["only_python"],
        keep=given["keep_processes"],
        system=sys.platform,
        world=World.real(),
    )
    return [
        {
            "pid": one.pid,
            "command": _SECRET.sub(r"\1********", mask.printed(one.command)),
            "cwd": one.cwd,
            "reasons": list(one.reasons),
        }
        for one in found
    ]


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    _check_patterns(given)
    found = clutter.find(given["paths"], given["kinds"], given["exclude"], given["foreign_filesystem"])
    removing = given["state"] == "absent" and bool(found)
    result: dict[str, t.Any] = {
        "changed": removing,
        "clutter": [{"path": one.path, "kind": one.kind, "bytes": one.bytes} for one in found],
        "bytes": sum(one.bytes for one in found),
        "processes": _processes(given),
        "diff": {"before": "".join(f"{one.path}\n" for one in found) if removing else "", "after": ""},
    }
    if removing and not module.check_mode:
        failed = clutter.remove(found)
        if failed:
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
            result["changed"] = len(failed) < len(found)
            raise MacError(
                f"{len(failed)} of {len(found)} could not be removed: {'; '.join(failed[:3])}{more}; "
                "run it as their owner",
                facts=result,
            )
    return result


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "state": {"type": "str", "choices": ["listed", "absent"], "default": "listed"},
            "kinds": {
                "type": "list",
                "elements": "str",
                "choices": list(clutter.KINDS),
                "default": list(clutter.KINDS),
            },
            "exclude": {"type": "list", "elements": "path", "default": []},
            "foreign_filesystem": {"type": "bool", "default": False},
            "processes": {"type": "bool", "default": True},
            "process_patterns": {"type": "list", "elements": "str", "default": []},
            "only_python": {"type": "bool", "default": True},
            "keep_processes": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
