# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: scheduled_job
short_description: Run a command on a schedule with systemd, launchd or cron
description:
  - Installs a systemd service and its timer, or a LaunchAgent on macOS. On a host with neither, returns the line to add
    to a crontab.
  - Units and agents of the same name are replaced. One call can put a command on several schedules.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the units or the property list before and after, without tokens and passwords of URLs.
    support: full
options:
  name:
    description: Name of the job. The units are C(<name>.service) and C(<name>.timer).
    type: str
    required: true
  state:
    description:
      - V(present) installs the job and starts its timer. The command itself does not run at once.
      - V(absent) stops the timer and removes its files. A run in progress ends by itself.
    type: str
    choices: [present, absent]
    default: present
  kind:
    description:
      - The scheduler. V(auto) uses launchd on macOS, systemd where it runs the host, and otherwise V(cron).
      - V(cron) changes nothing. The line for the crontab is in RV(job.cron).
    type: str
    choices: [auto, systemd, launchd, cron]
    default: auto
  scope:
    description:
      - For systemd, V(system) for a job of the host and V(user) for a job of the user who runs the task.
      - By default V(system) for root, and V(user) for every other user.
    type: str
    choices: [system, user]
  command:
    description:
      - Absolute path of the program, and its arguments. They are not interpreted by a shell.
      - Required with O(state=present). Anyone on the host can read the command, so pass secrets in files.
    type: list
    elements: str
  environment:
    description: Environment variables of the command. Anyone on the host can read them.
    type: dict
    default: {}
  working_directory:
    description: Directory in which the command starts, as an absolute path.
    type: path
  on_calendar:
    description:
      - When to run, as systemd's C(OnCalendar). A run that was missed while the host was off starts later.
      - launchd and cron accept only the forms V(*-*-* 02:15:00) and V(Sun,Wed *-*-* 02:15:00). cron skips missed runs.
    type: str
  interval:
    description:
      - Time between two runs, such as V(15min), V(6h) or V(90) in seconds.
      - launchd accepts whole seconds. cron accepts whole minutes that divide an hour, and whole hours that divide a
        day.
    type: str
  interval_from:
    description: For systemd, whether O(interval) is measured from the start or the end of a run.
    type: str
    choices: [start, end]
    default: start
  boot_delay:
    description: With systemd and O(interval), time from boot to the first run.
    type: str
    default: 2min
  random_delay:
    description:
      - With systemd, the largest random delay of a run. With O(on_calendar), each host keeps the same delay.
    type: str
  schedules:
    description:
      - Schedules of the same command. Each is a separate job, named C(<name>-<schedule name>).
      - Replaces O(on_calendar) and O(interval).
    type: list
    elements: dict
    suboptions:
      name:
        description: Last part of the job's name.
        type: str
        required: true
      state:
        description: Whether this job exists. Use V(absent) to remove the job of an earlier configuration.
        type: str
        choices: [present, absent]
        default: present
      arguments:
        description: Arguments that follow those of O(command).
        type: list
        elements: str
        default: []
      on_calendar:
        description: As O(on_calendar).
        type: str
      interval:
        description: As O(interval).
        type: str
      description:
        description: As O(description).
        type: str
  description:
    description: One line that C(systemctl list-timers) and the journal show. By default the job's name.
    type: str
  timer_description:
    description: The same for the timer. By default O(description).
    type: str
  comment:
    description: First line of both units.
    type: str
  timer_comment:
    description: First line of the timer. By default O(comment).
    type: str
  quote:
    description:
      - For systemd, words of O(command) to write in quotes - V(needed) only those that need it, V(paths) also absolute
        paths, V(all) every word. Units of earlier releases keep their text this way.
    type: str
    choices: [needed, paths, all]
    default: needed
  unit:
    description: For systemd, further settings of the service's section C([Unit]), in order, such as C(After).
    type: list
    elements: dict
    default: []
  service:
    description:
      - For systemd, further settings of the section C([Service]), in order, such as C(ProtectSystem) or
        C(TimeoutStartSec). The key C(#) is a comment.
      - Values are written so that systemd reads them unchanged. A key without a known rule is refused.
    type: list
    elements: dict
    default: []
  timer:
    description:
      - For systemd, settings of the section C([Timer]), in order. They replace the settings that this module writes.
    type: list
    elements: dict
    default: []
  agent:
    description: For launchd, further keys of the property list. They replace the keys that this module writes.
    type: dict
    default: {}
  label:
    description: For launchd, the agent's label. By default C(stack.onebox.) and the job's name.
    type: str
  domain:
    description:
      - For launchd, the domain of the agent. V(gui) exists while the user is logged in at the screen, V(user) always.
      - V(auto) prefers V(gui).
    type: str
    choices: [auto, gui, user]
    default: auto
  directory:
    description: For launchd, the folder of the agents.
    type: path
    default: ~/Library/LaunchAgents
  launchctl:
    description: For launchd, the C(launchctl) to use.
    type: path
    default: /bin/launchctl
  timeout:
    description: For launchd, seconds to wait for the agent to load or to stop.
    type: float
    default: 20.0
  from_within:
    description:
      - The job itself runs this task, with O(state=absent). A LaunchAgent then loses its file but stays loaded, because
        unloading it would end the task. The command unloads it as its last action.
    type: bool
    default: false
notes:
  - Run it without C(become) for a job of the user.
  - A user's systemd timers run only while the user is logged in, unless lingering is enabled with
    C(loginctl enable-linger).
"""

EXAMPLES = r"""
- name: Check the certificates every night
  onebox.stack.scheduled_job:
    name: check-certificates
    description: Check the certificates
    command: [/usr/local/bin/check-certificates, --days, "14"]
    on_calendar: "*-*-* 04:30:00"

- name: Send a heartbeat every five minutes, without access to home directories
  onebox.stack.scheduled_job:
    name: heartbeat
    command: [/usr/bin/curl, -fsS, https://status.example.com/ping/box]
    interval: 5min
    unit:
      - {Wants: network-online.target, After: network-online.target}
    service:
      - {TimeoutStartSec: 1min, ProtectSystem: strict, ProtectHome: true, PrivateTmp: true}

- name: Run one program on two schedules, and stop running it monthly
  onebox.stack.scheduled_job:
    name: report
    command: [/usr/local/bin/report]
    schedules:
      - {name: daily, arguments: [--short], on_calendar: "*-*-* 06:00:00"}
      - {name: weekly, arguments: [--all], on_calendar: "Mon *-*-* 06:10:00"}
      - {name: monthly, state: absent}
  register: report
- name: Show when the reports run next, or the lines for a crontab
  ansible.builtin.debug:
    msg: "{{ report.jobs | map(attribute='next') | list + report.jobs | map(attribute='cron') | list }}"

- name: Remove the heartbeat
  onebox.stack.scheduled_job:
    name: heartbeat
    state: absent
"""

RETURN = r"""
job:
  description: The job. With O(schedules), the one that runs next.
  returned: success
  type: dict
  contains: &job
    name:
      description: Name of the job.
      type: str
      sample: check-certificates
    kind:
      description: Its scheduler, V(systemd), V(launchd) or V(cron).
      type: str
      sample: systemd
    next:
      description:
        - Time of the next run, as ISO 8601 in UTC. Empty in check mode before the job exists. launchd and cron do not
          report it.
      type: str
      sample: "2026-11-30T04:30:00Z"
    cron:
      description: The line for the crontab. Empty with other schedulers.
      type: str
      sample: 30 4 * * * /usr/local/bin/check-certificates --days 14
    previous_command:
      description: The command that was scheduled under this name before the task. Empty without one.
      type: list
      elements: str
jobs:
  description: All jobs of the task, in the order of O(schedules), also those that were removed.
  returned: success
  type: list
  elements: dict
  contains: *job
files:
  description: Files that were, or would be, written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/check-certificates.service, /etc/systemd/system/check-certificates.timer]
"""

import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core import mask, scheduled
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.systemd import Systemd
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mac import own_agent
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError
from ansible_collections.onebox.stack.plugins.module_utils.mac.launchd import Launchctl


def _kind(wanted: str, systemd: Systemd) -> str:
    if wanted != "auto":
        return wanted
    if sys.platform == "darwin":
        return "launchd"
    return "systemd" if systemd.runs() else "cron"


def _launchd(module: AnsibleModule, world: World, request: scheduled.Request) -> scheduled.Change:
    given, check = module.params, module.check_mode
    if world.is_root and request.wanted:
        raise MacError("kind: LaunchAgents belong to the user who is logged in. Run this task without become.")
    folder = own_agent.Folder(
        Launchctl(world, given["launchctl"]), given["directory"], given["domain"], given["timeout"]
    )
    base = given["label"] or f"stack.onebox.{given['name']}"
    labels = {name: base + name[len(given["name"]) :] for name in request.names}
    definitions = {job.name: scheduled.agent(job) for job in request.wanted}
    change = scheduled.Change()
    for name in request.unwanted:
        change.add(folder.remove(name, labels[name], from_within=given["from_within"], check=check))
    for name, definition in definitions.items():
        change.add(folder.ensure(name, labels[name], definition, check=check))
    return change


def _diff(change: scheduled.Change, path: str) -> dict[str, str]:
    before, after = mask.forms(change.before[path]), mask.forms(change.after[path])
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def schedule(module: AnsibleModule) -> dict[str, t.Any]:
    """Install or remove the jobs with the scheduler of this host."""
    given, check, world = module.params, module.check_mode, World.real()
    request = scheduled.request(given)
    systemd = Systemd(world, user=(given["scope"] or ("system" if world.is_root else "user")) == "user")
    kind = _kind(given["kind"], systemd)
    change = scheduled.Change()
    next_runs: dict[str, str] = {}
    lines: dict[str, str] = {}
    if kind == "systemd":
        change = systemd.converge(request, check=check)
        next_runs = systemd.next_runs([job.name for job in request.wanted])
    elif kind == "launchd":
        change = _launchd(module, world, request)
    else:
        lines = {job.name: scheduled.cron(job) for job in request.wanted}
    rows = [
        {
            "name": name,
            "kind": kind,
            "next": next_runs.get(name, ""),
            "cron": lines.get(name, ""),
            "previous_command": change.commands.get(name, []),
        }
        for name in request.names
    ]
    return {
        "changed": change.changed,
        "job": min(rows, key=lambda row: (row["name"] in request.unwanted, not row["next"], row["next"])),
        "jobs": rows,
        "files": sorted(change.before),
        "diff": [_diff(change, path) for path in sorted(change.before)],
    }


def main() -> None:
    run_module(
        schedule,
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "kind": {"type": "str", "choices": ["auto", "systemd", "launchd", "cron"], "default": "auto"},
            "scope": {"type": "str", "choices": ["system", "user"]},
            "command": {"type": "list", "elements": "str"},
            "environment": {"type": "dict", "default": {}},
            "working_directory": {"type": "path"},
            "on_calendar": {"type": "str"},
            "interval": {"type": "str"},
            "interval_from": {"type": "str", "choices": ["start", "end"], "default": "start"},
            "boot_delay": {"type": "str", "default": "2min"},
            "random_delay": {"type": "str"},
            "schedules": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "arguments": {"type": "list", "elements": "str", "default": []},
                    "on_calendar": {"type": "str"},
                    "interval": {"type": "str"},
                    "description": {"type": "str"},
                },
            },
            "description": {"type": "str"},
            "timer_description": {"type": "str"},
            "comment": {"type": "str"},
            "timer_comment": {"type": "str"},
            "quote": {"type": "str", "choices": ["needed", "paths", "all"], "default": "needed"},
            "unit": {"type": "list", "elements": "dict", "default": []},
            "service": {"type": "list", "elements": "dict", "default": []},
            "timer": {"type": "list", "elements": "dict", "default": []},
            "agent": {"type": "dict", "default": {}},
            "label": {"type": "str"},
            "domain": {"type": "str", "choices": ["auto", "gui", "user"], "default": "auto"},
            "directory": {"type": "path", "default": "~/Library/LaunchAgents"},
            "launchctl": {"type": "path", "default": "/bin/launchctl"},
            "timeout": {"type": "float", "default": 20.0},
            "from_within": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["command"])],
    )


if __name__ == "__main__":
    main()
