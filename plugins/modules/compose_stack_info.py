# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the plan for a compose stack, read only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_stack_info
short_description: Show the plan for a compose stack
version_added: 0.1.0
description:
  - Returns the plan that M(onebox.stack.compose_stack) would carry out, with its reasons, and the state of the
    containers.
  - Changes nothing. If a deploy would be refused, returns the problems without failing.
author:
  - The onebox.stack developers (@onebox)
extends_documentation_fragment:
  - onebox.stack.compose
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
seealso:
  - module: onebox.stack.compose_stack
"""

EXAMPLES = r"""
- name: Show the plan of a deploy
  onebox.stack.compose_stack_info:
    name: observer
    project_dir: /opt/onebox/observer
  register: plan
"""

RETURN = r"""
project:
  description: Name of the stack.
  returned: always
  type: str
  sample: 97layer
backend:
  description: The compose tool and the engine in use.
  returned: if they were found
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
    - One entry for each service, with C(service), C(action), C(reasons), C(diff), C(downtime) and C(cascade_from).
    - Actions are C(keep), C(start), C(restart), C(recreate), C(rebuild), C(create) and C(remove_orphan).
    - A network or a volume that differs from its declaration has an entry too. Its C(service) is C(network) or
      C(volume) and the name in the compose file. A network is recreated together with its containers, a volume is kept.
    - C(diff) names variables without their values, except for those in O(show_env).
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
    - One entry for each container, with C(service), C(container), C(state), C(health), C(evidence), C(restarts) and
      C(exit_code).
    - C(evidence) is the check that passed, one of C(healthcheck), C(http) and C(port), or C(none) for a running
      container without a check.
  returned: always
  type: list
  elements: dict
images:
  description: The image of each service, with C(service), C(tag) and C(id).
  returned: always
  type: list
  elements: dict
pulls:
  description: Images that O(pull) would pull, with C(service) and C(image).
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
  description: All directories and files of the host that the stack binds.
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
    - Written or removed files, or in check mode those that would be, with C(path) and C(action).
    - Actions are C(create), C(update), C(overwrite), C(remove) and C(keep_edited). An overwritten file was edited, or
      others wrote it. A copy is kept in C(saved) in the stack's state directory. An edited file that is missing in the
      source is kept.
  returned: always
  type: list
  elements: dict
  sample:
    - {path: /opt/onebox/97layer/compose.yml, action: update}
directories:
  description:
    - Directories that are created, with C(path), C(owner), C(group), C(mode), C(service) and C(reason). The owner is
      empty if it is unknown.
  returned: always
  type: list
  elements: dict
networks:
  description: External networks that are created, because O(defaults) is V(derive) and they do not exist.
  returned: always
  type: list
  elements: str
derived:
  description:
    - Values that O(defaults) V(derive) takes from the compose file, with C(variable) (of the inventory), C(value) as
      YAML, and C(reason). Missing directories are created. Ports, checks and backup sources are proposals to declare.
  returned: always
  type: list
  elements: dict
  sample:
    - variable: compose_stack_http_checks
      value: '{ url: "http://127.0.0.1:8080/" }'
      reason: service web publishes 8080, a port of HTTP servers
foreign_files:
  description:
    - Topmost paths in the deploy directory that no deploy wrote, at most 50. They are never changed.
  returned: always
  type: list
  elements: str
staging_removed:
  description: The removed O(staging_dir), or the directory of O(bundle).
  returned: if O(staging_dir) or O(bundle) is set
  type: str
last_good:
  description:
    - The newest release, with C(number), C(at) and C(revision).
  returned: always
  type: dict
warnings:
  description: Warnings that do not fail the run.
  returned: always
  type: list
  elements: str
timings_ms:
  description: Duration of each step in milliseconds.
  returned: always
  type: dict
needs:
  description:
    - What the inventory must declare so that the stack deploys, with C(variable), C(value) and C(reason). A command for
      the host has no variable. The message of a refusal ends with them as a block for C(host_vars).
  returned: when the stack was refused
  type: list
  elements: dict
  sample:
    - variable: compose_stack_public_ports
      value: "443"
      reason: 443/tcp of service web
problems:
  description: Reasons for a refusal, with C(code), C(where) and C(message). Empty if the stack may be deployed.
  returned: always
  type: list
  elements: dict
history:
  description: The last runs that changed something or failed, oldest first.
  returned: always
  type: list
  elements: dict
text:
  description: The plan, the problems and the history as lines of text.
  returned: always
  type: list
  elements: str
would_change:
  description: Whether a deploy would change something.
  returned: always
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose import options, request
from ansible_collections.onebox.stack.plugins.module_utils.compose import result as outcome
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import bundle
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    world = World.real()
    with bundle.unpacked(module.params) as params, options.removing_staging(params) as staging:
        result = Stack(options.request_of(params, world), world, options.host_of(world)).info()
    if module._diff:
        result["diff"] = outcome.diff_text(result)
    return {**result, **staging}


def main() -> None:
    run_module(_run, argument_spec=request.COMMON)


if __name__ == "__main__":
    main()
