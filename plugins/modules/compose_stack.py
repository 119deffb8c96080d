# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a compose stack: plan, lock, apply, wait for health, prove the mounts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_stack
short_description: Deploy a compose stack, and say why
version_added: 0.1.0
description:
  - Brings a stack declared by a compose file to the wanted state on one host.
  - Looks first, and makes a plan with one action and its reasons for each service; then does exactly that.
  - Refuses a stack that must not be deployed before anything is touched, with all problems at once, for example
    variables nobody set, bind sources that do not exist, data in the deploy directory, ports that are taken, ports open
    to other machines that nobody listed, another stack of the same name.
  - Waits until every service is well, proves every bind mount, asks every URL. When one of these fails, so does the
    module.
  - Runs one at a time for each stack.
author:
  - The onebox.stack developers (@onebox)
options:
  state:
    description:
      - V(present) deploys the stack.
      - V(stopped) stops its containers and keeps them.
      - V(absent) removes containers and networks. Volumes and directories, which are data, stay in any case.
      - V(rolled_back) brings back the files and images with which the stack was last well, other than the present ones.
        What was kept later than these is forgotten.
    type: str
    choices: [present, stopped, absent, rolled_back]
    default: present
  wait_timeout:
    description:
      - Seconds the services have to get well. A service with a healthcheck must be healthy; one without must run for
        some seconds without a restart and listen on the TCP ports that it publishes; one that nothing restarts may
        also have ended with exit code 0.
    type: float
    default: 120
  lock_timeout:
    description:
      - Seconds to wait for another run on the same stack.
    type: float
    default: 300
  boot:
    description:
      - Bring the stack back after a reboot, by a systemd unit of its own that waits for the disks the stack's data
        is on.
      - What ran at the last shutdown is what comes back. Where systemd does not run the host, the result says so.
      - V(false) leaves such a unit alone. O(state=absent) removes it in any case.
    type: bool
    default: false
  rollback:
    description:
      - When a deploy does not end well, bring back the files and images with which the stack was last well. The module
        fails all the same.
    type: bool
    default: true
  keep:
    description:
      - How many sets of files and images with which the stack was well are kept.
    type: int
    default: 3
  revision:
    description:
      - Revision of the source, for the history.
    type: str
    default: ""
  freeze:
    description:
      - Hours in which the stack must not be changed, for example while it collects what it cannot collect again.
        A run that changes nothing is no error then.
    type: list
    elements: dict
    default: []
    suboptions:
      days:
        description:
          - Days the window begins on; every day by default.
        type: list
        elements: str
        choices: [mon, tue, wed, thu, fri, sat, sun]
      start:
        description:
          - When it begins, as C(HH:MM).
        type: str
        required: true
      end:
        description:
          - When it ends, as C(HH:MM). When that is not after O(freeze[].start), it is on the next day.
        type: str
        required: true
      timezone:
        description:
          - IANA name of the timezone, for example C(Asia/Seoul).
        type: str
        default: UTC
  force:
    description:
      - Change the stack also within O(freeze).
    type: bool
    default: false
  http_checks:
    description:
      - URLs that must answer, asked from the host itself, without any proxy. C(user:password@) in a URL is sent as
        basic authentication. Results show neither it nor the query.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description:
          - The URL.
        type: str
        required: true
      status:
        description:
          - The HTTP status it must answer with.
        type: int
        default: 200
  prometheus_checks:
    description:
      - Prometheus servers whose targets must be up, asked from the host itself, without any proxy. After a change only
        what was scraped since counts, so O(wait_timeout) must be longer than the scrape interval. C(user:password@) in
        a URL is sent as basic authentication and not shown in results.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description:
          - Where it answers, for example C(http://127.0.0.1:9090).
        type: str
        required: true
      jobs:
        description:
          - Jobs that must have targets; by default every target it has, and at least one.
        type: list
        elements: str
        default: []
extends_documentation_fragment:
  - onebox.stack.compose
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
    details:
      - Returns the plan. Where an earlier task of the same playbook would make the deploy directory or install the
        engine, a warning says so instead of an error.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
seealso:
  - module: onebox.stack.compose_stack_info
  - module: onebox.stack.bind_mount_verify
"""

EXAMPLES = r"""
- name: Run the stack
  onebox.stack.compose_stack:
    name: 97layer
    project_dir: /opt/onebox/97layer
    required_env: [LAYER97_WORKSPACE]
    public_ports: [8081, 9876]
    http_checks:
      - url: http://127.0.0.1:8081/status

- name: Remove its containers and networks, and leave its data
  onebox.stack.compose_stack:
    name: 97layer
    project_dir: /opt/onebox/97layer
    state: absent
"""

RETURN = r"""
project:
  description: Name of the stack.
  returned: always
  type: str
  sample: 97layer
backend:
  description: The compose tool and the engine that were used.
  returned: when they were found
  type: dict
  sample:
    name: podman-compose
    version: 1.6.0
    command: /usr/bin/podman-compose
    engine: podman
    engine_version: 4.3.1
    socket: ""
plan:
  description:
    - One entry a service, with C(service), C(action), C(reasons), C(diff), C(downtime) and C(cascade_from).
    - Actions are C(keep), C(start), C(restart), C(recreate), C(rebuild), C(create) and C(remove_orphan).
    - A network or a volume that is not as declared has an entry, too. Its C(service) is C(network) or C(volume) and
      the name in the compose file. A network is recreated with the containers on it, a volume is kept.
    - C(diff) names variables without their values, except those in O(show_env).
  returned: always
  type: list
  elements: dict
  sample:
    - service: web
      action: recreate
      reasons: [env_changed]
      diff: {environment.LEVEL: {before: info, after: debug}}
      downtime: recreate
      cascade_from: ""
health:
  description:
    - One entry a container, with C(service), C(container), C(state), C(health), C(evidence), C(restarts) and
      C(exit_code).
    - C(evidence) is why it counts as healthy, one of C(healthcheck), C(http), C(port), and C(none) for a container that
      runs and of which nothing was asked.
  returned: always
  type: list
  elements: dict
images:
  description: Which image each service runs, with C(service), C(tag) and C(id).
  returned: always
  type: list
  elements: dict
pulls:
  description:
    - Images of services that O(pull) replaced by another version, with C(service) and C(image). In check mode, all
      images that would be pulled.
  returned: always
  type: list
  elements: dict
  sample:
    - {service: web, image: docker.io/library/nginx:1.27}
orphans:
  description: Services that have containers in this project and are no longer declared.
  returned: always
  type: list
  elements: str
sources:
  description: Every directory or file of the host that the stack binds.
  returned: always
  type: list
  elements: str
files_read:
  description:
    - The compose files, in the order they are merged, and the environment file. Paths are those of the deployed files.
  returned: always
  type: list
  elements: str
  sample: [/opt/onebox/97layer/compose.yml, /opt/onebox/97layer/.env]
files:
  description:
    - Files that were, or would be, written or removed, with C(path) and C(action).
    - Actions are C(create), C(update), C(overwrite), C(remove) and C(keep_edited). An overwritten file was edited, or
      written by somebody else; a copy is kept in C(saved) in the stack's state directory. An edited file that left the
      source is kept.
  returned: always
  type: list
  elements: dict
  sample:
    - {path: /opt/onebox/97layer/compose.yml, action: update}
foreign_files:
  description:
    - Names in the deploy directory that no deploy wrote, the topmost ones and at most 50. They are never changed.
  returned: always
  type: list
  elements: str
staging_removed:
  description: The directory O(staging_dir), which is gone.
  returned: when it was given
  type: str
last_good:
  description:
    - The newest kept set of files and images with which the stack was well, with C(number), C(at) and C(revision).
  returned: always
  type: dict
warnings:
  description: What the user should know.
  returned: always
  type: list
  elements: str
timings_ms:
  description: Milliseconds each step took.
  returned: always
  type: dict
actions:
  description: What would be stopped or removed, in check mode with O(state) V(stopped) or V(absent).
  returned: in check mode, when O(state) is V(stopped) or V(absent)
  type: list
  elements: dict
mounts:
  description: The proof of the mounts as M(onebox.stack.bind_mount_verify) returns it; empty when it was not made.
  returned: always
  type: dict
endpoints:
  description: One entry a URL, with C(url), C(status), C(expected), C(ok), C(ms) and C(message).
  returned: always
  type: list
  elements: dict
targets:
  description: One entry a target, with C(url), C(job), C(instance), C(health), C(ok) and C(message).
  returned: always
  type: list
  elements: dict
boot:
  description: The start at boot, with C(unit), C(enabled), C(changed) and C(message).
  returned: when O(boot) is true
  type: dict
data_written:
  description:
    - Writable mounts of containers that ran in the version that was left by a rollback, with C(service), C(source) and
      C(destination). A rollback does not bring data back.
  returned: always
  type: list
  elements: dict
rolled_back:
  description: Whether an earlier state was brought back, and is well.
  returned: always
  type: bool
rollback_reason:
  description: Why it was.
  returned: when a deploy failed and going back was tried
  type: str
history_file:
  description: The file with one JSON object for each run that changed something or failed.
  returned: when this was one
  type: str
problems:
  description: Why the stack was refused, with C(code), C(where) and C(message).
  returned: when the stack was refused
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose import options, request
from ansible_collections.onebox.stack.plugins.module_utils.compose import result as outcome
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

STATES = ("present", "stopped", "absent", "rolled_back")


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    world = World.real()
    with options.removing_staging(module.params) as staging:
        stack = Stack(options.request_of(module.params, world), world, options.host_of(world))
        result = stack.preview(tolerate_missing=True) if module.check_mode else stack.converge()
    if module._diff:
        result["diff"] = outcome.diff_text(result)
    return {**result, **staging}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            **request.COMMON,
            "state": {"type": "str", "choices": list(STATES), "default": "present"},
            "wait_timeout": {"type": "float", "default": 120},
            "lock_timeout": {"type": "float", "default": 300},
            "boot": {"type": "bool", "default": False},
            "rollback": {"type": "bool", "default": True},
            "keep": {"type": "int", "default": 3},
            "revision": {"type": "str", "default": ""},
            "force": {"type": "bool", "default": False},
            "freeze": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "days": {"type": "list", "elements": "str", "choices": list(freeze.DAYS)},
                    "start": {"type": "str", "required": True},
                    "end": {"type": "str", "required": True},
                    "timezone": {"type": "str", "default": "UTC"},
                },
            },
            "http_checks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"url": {"type": "str", "required": True}, "status": {"type": "int", "default": 200}},
            },
            "prometheus_checks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "url": {"type": "str", "required": True},
                    "jobs": {"type": "list", "elements": "str", "default": []},
                },
            },
        },
    )


if __name__ == "__main__":
    main()
