# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: launch_agents
short_description: Retire, restore or load LaunchAgents
description:
  - Retires LaunchAgents of a user by label or pattern, so that they do not start at later logins. Each agent is
    disabled and unloaded, and its file is moved to an archive outside C(LaunchAgents).
  - Restores agents from that archive, or loads one agent with a given definition.
  - Reports the state that launchd shows afterwards. Exit codes do not count, because they differ between versions.
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
  labels:
    description:
      - Labels, or shell patterns of labels such as V(com.97layer.*). The name of the file does not matter.
      - With O(state=loaded), exactly one label.
    type: list
    elements: str
    required: true
    aliases: [patterns]
  keep:
    description: Labels or patterns of agents to keep although O(labels) match them.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(retired) disables and archives the agents. V(present) restores retired agents unchanged.
      - V(loaded) writes, enables and loads the agent with O(definition), or the one of O(bring_back) or O(rotate_logs).
    type: str
    choices: [retired, present, loaded]
    default: retired
  definition:
    description: The agent's property list for O(state=loaded), without its C(Label).
    type: dict
  bring_back:
    description:
      - For O(state=loaded), the agent that starts a stack after a login. It starts the Podman machine and waits for its
        API and for each of the sources. Then it starts the containers, except those that a user stopped, or deploys the
        stack if it has no containers.
    type: dict
    suboptions:
      script:
        description: Path of the script.
        type: path
        required: true
      log:
        description: Path of its log.
        type: path
        required: true
      machine:
        description: Name of the machine.
        type: str
        required: true
      provider:
        description: Provider of the machine.
        type: str
        required: true
      connection:
        description: System connection of the store in use.
        type: str
        required: true
      project:
        description: The compose project.
        type: str
        required: true
      sources:
        description: Directories of the host that containers bind.
        type: list
        elements: path
        default: []
      compose:
        description: The command that deploys the stack. E(DOCKER_HOST) and a C(PATH) with Homebrew's are set for it.
        type: list
        elements: str
        required: true
      podman:
        description: The podman client.
        type: str
        default: podman
      timeout:
        description: Seconds to wait for each of the machine, its API and the sources.
        type: int
        default: 300
  rotate_logs:
    description:
      - For O(state=loaded), the agent that rotates the stack's logs. It compresses and empties a log, so that a
        container can continue to write it. While the machine runs, this happens inside the machine.
    type: dict
    suboptions:
      script:
        description: Path of the script.
        type: path
        required: true
      log:
        description: Path of its log.
        type: path
        required: true
      machine:
        description: Name of the machine.
        type: str
        required: true
      provider:
        description: Provider of the machine.
        type: str
        required: true
      directories:
        description: Directories with the C(*.log) files to rotate.
        type: list
        elements: path
        required: true
      max_mib:
        description: Size in MiB above which a log is rotated.
        type: int
        default: 10
      keep:
        description: Number of compressed logs to keep.
        type: int
        default: 5
      every_minutes:
        description: Minutes between two rotations.
        type: int
        default: 60
      podman:
        description: The podman client.
        type: str
        default: podman
  domain:
    description:
      - Domain of launchd. V(gui) exists while the user is logged in at the screen, V(user) always. V(auto) uses both.
    type: str
    choices: [auto, gui, user]
    default: auto
  directory:
    description: The user's folder of LaunchAgents.
    type: path
    default: ~/Library/LaunchAgents
  archive_dir:
    description: Directory for the files of retired agents, with the data to restore them.
    type: path
    default: ~/Library/Application Support/onebox/retired-agents
  timeout:
    description: Seconds to wait for one agent to stop or to load.
    type: float
    default: 20.0
  executable:
    description: The C(launchctl) to use.
    type: path
    default: /bin/launchctl
notes:
  - Run it as the user who owns the agents, without C(become).
"""

EXAMPLES = r"""
- name: Retire all agents of the old system except the machine's
  onebox.stack.launch_agents:
    patterns: ["com.97layer.*"]
    keep: [com.97layer.podman]

- name: Restore all retired agents
  onebox.stack.launch_agents:
    patterns: ["com.97layer.*"]
    state: present

- name: Load one agent
  onebox.stack.launch_agents:
    labels: [com.97layer.podman]
    state: loaded
    definition:
      ProgramArguments: [/bin/sh, /Users/97layer/.local/share/onebox/97layer/bring-back.sh]
      RunAtLoad: true
      AbandonProcessGroup: true

- name: Keep the stack's logs below 10 MiB each
  onebox.stack.launch_agents:
    labels: [com.97layer.podman.logs]
    state: loaded
    rotate_logs:
      script: /Users/97layer/.local/share/onebox/agents/logs.sh
      log: /Users/97layer/.local/share/onebox/agents/logs.log
      machine: 97layerOS
      provider: libkrun
      directories: [/Users/97layer/97layerOS/logs]
"""

RETURN = r"""
agents:
  description: One entry for each agent that was, or would be, changed or inspected.
  returned: always
  type: list
  elements: dict
  contains:
    label:
      description: Its label.
      type: str
    loaded_before:
      description: Whether launchd had it loaded.
      type: bool
    domains:
      description: Domains in which it was loaded.
      type: list
      elements: str
      sample: [gui/501]
    disabled_before:
      description: Whether it was disabled before.
      type: bool
    pid:
      description: Its process before the task. 0 if it did not run.
      type: int
    plist_from:
      description: Path of its file before the task. Empty if launchd had loaded it without a file.
      type: str
    plist_to:
      description: Path of its file after the task.
      type: str
    survivors:
      description: Processes with its command line that still run. They are reported and not stopped.
      type: list
      elements: int
"""

import shutil
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mac import agents, bringback, logs
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError
from ansible_collections.onebox.stack.plugins.module_utils.mac.launchd import Launchctl


def _found(program: str) -> str:
    """The program that is used now, for an agent's own PATH may have another one, or none. As it is when not found."""
    return shutil.which(program) or program


def _load(module: AnsibleModule, launchctl: Launchctl) -> agents.Result:
    given = module.params
    if len(given["labels"]) != 1:
        raise MacError(f"labels: state loaded takes exactly one label, not {len(given['labels'])}")
    definition, written = given["definition"], False
    if given["bring_back"]:
        one = dict(given["bring_back"])
        script, log = one.pop("script"), one.pop("log")
        one["compose"] = tuple(map(_found, one["compose"][:1])) + tuple(one["compose"][1:])
        stack = bringback.Stack(**{**one, "sources": tuple(one["sources"]), "podman": _found(one["podman"])})
        written = agents.ensure_file(script, bringback.script(stack), module.check_mode)
        definition = bringback.definition(script, log)
    if given["rotate_logs"]:
        one = dict(given["rotate_logs"])
        script, log, minutes = one.pop("script"), one.pop("log"), one.pop("every_minutes")
        if min(minutes, one["max_mib"], one["keep"]) < 1:
            raise MacError("rotate_logs: every_minutes, max_mib and keep must be 1 or more")
        kept = logs.Logs(
            machine=one["machine"],
            provider=one["provider"],
            directories=tuple(one["directories"]),
            max_bytes=one["max_mib"] << 20,
            keep=one["keep"],
            podman=_found(one["podman"]),
        )
        written = agents.ensure_file(script, logs.script(kept), module.check_mode)
        definition = logs.definition(script, log, minutes)
    result = agents.ensure_loaded(
        launchctl,
        folder=given["directory"],
        label=given["labels"][0],
        definition=definition,
        domain=given["domain"],
        timeout=given["timeout"],
        check=module.check_mode,
    )
    return agents.Result(result.changed or written, result.agents, result.warnings)


def _change(module: AnsibleModule, world: World) -> agents.Result:
    given = module.params
    launchctl = Launchctl(world, given["executable"])
    if given["state"] == "loaded":
        return _load(module, launchctl)
    selection = agents.Selection(given["directory"], given["archive_dir"], tuple(given["labels"]), tuple(given["keep"]))
    if given["state"] == "present":
        return agents.restore(launchctl, selection, timeout=given["timeout"], check=module.check_mode)
    return agents.retire(
        launchctl,
        selection,
        domain=given["domain"],
        stamp=time.strftime("%Y%m%d-%H%M%S", time.localtime(world.epoch())),
        timeout=given["timeout"],
        check=module.check_mode,
    )


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    world = World.real()
    if world.is_root:
        raise MacError(
            "LaunchAgents belong to the user who is logged in, and root has others: run this task without become"
        )
    result = _change(module, world)
    target = {"retired": "retired", "present": "as before", "loaded": "loaded"}[module.params["state"]]
    labels = [row["label"] for row in result.agents] if result.changed else []
    return {
        "changed": result.changed,
        "agents": result.agents,
        "diff": {"before": "", "after": "".join(f"{label}: {target}\n" for label in labels)},
        "warnings": result.warnings,
    }


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "labels": {"type": "list", "elements": "str", "required": True, "aliases": ["patterns"]},
            "keep": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["retired", "present", "loaded"], "default": "retired"},
            "definition": {"type": "dict"},
            "bring_back": {
                "type": "dict",
                "options": {
                    "script": {"type": "path", "required": True},
                    "log": {"type": "path", "required": True},
                    "machine": {"type": "str", "required": True},
                    "provider": {"type": "str", "required": True},
                    "connection": {"type": "str", "required": True},
                    "project": {"type": "str", "required": True},
                    "sources": {"type": "list", "elements": "path", "default": []},
                    "compose": {"type": "list", "elements": "str", "required": True},
                    "podman": {"type": "str", "default": "podman"},
                    "timeout": {"type": "int", "default": 300},
                },
            },
            "rotate_logs": {
                "type": "dict",
                "options": {
                    "script": {"type": "path", "required": True},
                    "log": {"type": "path", "required": True},
                    "machine": {"type": "str", "required": True},
                    "provider": {"type": "str", "required": True},
                    "directories": {"type": "list", "elements": "path", "required": True},
                    "max_mib": {"type": "int", "default": 10},
                    "keep": {"type": "int", "default": 5},
                    "every_minutes": {"type": "int", "default": 60},
                    "podman": {"type": "str", "default": "podman"},
                },
            },
            "domain": {"type": "str", "choices": ["auto", "gui", "user"], "default": "auto"},
            "directory": {"type": "path", "default": "~/Library/LaunchAgents"},
            "archive_dir": {"type": "path", "default": "~/Library/Application Support/onebox/retired-agents"},
            "timeout": {"type": "float", "default": 20.0},
            "executable": {"type": "path", "default": "/bin/launchctl"},
        },
        required_if=[("state", "loaded", ["definition", "bring_back", "rotate_logs"], True)],
        mutually_exclusive=[("definition", "bring_back", "rotate_logs")],
    )


if __name__ == "__main__":
    main()
