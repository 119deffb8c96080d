# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a compose stack: plan, lock, apply, wait until it is healthy, verify the mounts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_stack
short_description: Deploy a compose stack, with a reason for each change
version_added: 0.1.0
description:
  - Deploys, stops, removes or rolls back a stack that compose files declare, on one host.
  - Inspects the stack first and plans one action with its reasons for each service. Then carries out exactly this plan.
  - Refuses a stack that must not be deployed before it changes anything, and returns all problems together. Examples
    are variables without a value, missing bind sources, data in the deploy directory, ports that are in use, ports that
    are open to other machines but not listed, and another stack of the same name.
  - Waits until all services are healthy, verifies every bind mount and checks every URL. Fails if any check fails.
  - Only one run at a time works on a stack.
author:
  - The onebox.stack developers (@onebox)
options:
  state:
    description:
      - The state of the stack. V(present) deploys it.
      - V(stopped) stops its containers and keeps them.
      - V(absent) removes containers and networks. Volumes and directories, which contain data, are never removed.
      - V(rolled_back) restores the files and images of the newest release that differs from the present one. Later
        releases are removed.
    type: str
    choices: [present, stopped, absent, rolled_back]
    default: present
  wait_timeout:
    description:
      - Seconds to wait for services to become healthy.
      - A service with a healthcheck must be healthy. A service without one must run for some seconds without a restart
        and listen on the TCP ports that it publishes. A service without a restart policy may also have exited with 0.
    type: float
    default: 120
  lock_timeout:
    description:
      - Seconds to wait for another run on the same stack.
    type: float
    default: 300
  boot:
    description:
      - Start the stack after a reboot, by its own systemd unit that waits for the disks with the stack's data.
      - Only containers that ran at the last shutdown start again. On a host without systemd, the result reports that.
      - V(false) does not change an existing unit. O(state=absent) removes it in any case.
    type: bool
    default: false
  rollback:
    description:
      - If a deploy fails, restore the files and images of the last release. The module still fails.
    type: bool
    default: true
  keep:
    description:
      - Number of releases to keep. A release is the files and images of a healthy deploy.
    type: int
    default: 3
  hold_for_images:
    description:
      - With O(target=swarm), end before the deploy if other nodes may need an image that no registry has. The images
        are on this host then, and RV(held) is true. The role P(onebox.stack.compose_stack#role) sends them and runs the
        module again.
    type: bool
    default: false
    version_added: 0.2.0
  rejection:
    description:
      - Why the deployed version is wrong, found by a check outside of this module. Needs O(target=swarm) and
        O(state=rolled_back).
      - The version is no longer kept as a release, and O(rollback) decides whether the release before it is restored.
        The module fails with this text and how the rollback ended.
    type: str
    default: ""
    version_added: 0.2.0
  revision:
    description:
      - Revision of the source, recorded in the history.
    type: str
    default: ""
  freeze:
    description:
      - Change freezes, in which the stack must not be changed, for example while it collects data that it can collect
        only once. A run that changes nothing does not fail then.
    type: list
    elements: dict
    default: []
    suboptions:
      days:
        description:
          - Days that the freeze begins on. The default is every day.
        type: list
        elements: str
        choices: [mon, tue, wed, thu, fri, sat, sun]
      start:
        description:
          - Begin of the freeze, as C(HH:MM).
        type: str
        required: true
      end:
        description:
          - End of the freeze, as C(HH:MM). It is on the next day unless it is after O(freeze[].start).
        type: str
        required: true
      timezone:
        description:
          - IANA name of the timezone, for example C(Asia/Seoul).
        type: str
        default: UTC
  force:
    description:
      - Change the stack also during O(freeze).
    type: bool
    default: false
  http_checks:
    description:
      - URLs that must answer. They are requested from the host without a proxy.
      - C(user:password@) in a URL is sent as basic authentication. Results show neither it nor the query.
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
          - The expected HTTP status.
        type: int
        default: 200
  prometheus_checks:
    description:
      - Prometheus servers whose targets must be up. They are queried from the host without a proxy.
      - After a change only later scrapes count, so O(wait_timeout) must be longer than the scrape interval.
      - C(user:password@) in a URL is sent as basic authentication and not shown in results.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description:
          - URL of the server, for example C(http://127.0.0.1:9090).
        type: str
        required: true
      jobs:
        description:
          - Jobs that must have targets. By default all targets of the server are checked, and at least one must exist.
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
      - Returns the plan. If the deploy directory or the engine does not exist yet, because an earlier task of the same
        playbook would create it, the module warns and does not fail.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
seealso:
  - module: onebox.stack.compose_stack_info
  - module: onebox.stack.bind_mount_verify
"""

EXAMPLES = r"""
- name: Deploy the stack
  onebox.stack.compose_stack:
    name: 97layer
    project_dir: /opt/onebox/97layer
    required_env: [LAYER97_WORKSPACE]
    public_ports: [8081, 9876]
    http_checks:
      - url: http://127.0.0.1:8081/status

- name: Remove the containers and networks of the stack, and keep its data
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
actions:
  description: Containers that would be stopped or removed, with C(service) and C(container).
  returned: in check mode, when O(state) is V(stopped) or V(absent)
  type: list
  elements: dict
mounts:
  description:
    - The result of M(onebox.stack.bind_mount_verify) for the stack. Empty if no mount was verified.
    - Its C(data_places) have only paths whose data would be lost, and mounts without use.
  returned: always
  type: dict
endpoints:
  description: One entry for each URL, with C(url), C(status), C(expected), C(ok), C(ms) and C(message).
  returned: always
  type: list
  elements: dict
targets:
  description: One entry for each target, with C(url), C(job), C(instance), C(health), C(ok) and C(message).
  returned: always
  type: list
  elements: dict
boot:
  description: The start at boot, with C(unit), C(enabled), C(changed) and C(message).
  returned: if O(boot) is true
  type: dict
data_written:
  description:
    - Writable mounts of containers that ran in the version that a rollback replaced, with C(service), C(source) and
      C(destination). A rollback does not restore data.
  returned: always
  type: list
  elements: dict
held:
  description: Whether the run ended before the deploy, see O(hold_for_images).
  returned: if it did
  type: bool
released:
  description: Whether the run kept the stack as a new release.
  returned: if O(target) is V(swarm) and the deploy succeeded
  type: bool
node_images:
  description:
    - Images that no registry has, and that other nodes of the Swarm need, with C(reference), C(id) and C(layers). Each
      layer is a list of its hash, its bytes, and its bytes in an archive.
  returned: if O(target) is V(swarm)
  type: list
  elements: dict
  sample:
    - reference: localhost/onebox/observer/web:2b66fd261ee5
      id: sha256:2b66fd261ee5c6cfc8de7fa466bab600bcfe4f69a3a2f0a1d3c3f1a9d5e6c7b8
      layers: [["sha256:9f54eef412758095c8079ac465d494a2872e02e90bf1fb5f12a1641c0d1bb78b", 74800332, 74800332]]
node_images_kept:
  description: Names of this kind that the stack or one of its releases needs. All others of the stack can be removed.
  returned: if O(target) is V(swarm)
  type: list
  elements: str
rolled_back:
  description: Whether an earlier release was restored and is healthy.
  returned: always
  type: bool
rollback_reason:
  description: Reason for the rollback.
  returned: if a deploy failed and a rollback was tried
  type: str
history_file:
  description: The file with one JSON object for each run that changed something or failed.
  returned: if this run is one of them
  type: str
needs:
  description:
    - What the inventory must declare so that the stack deploys, with C(variable), C(value) and C(reason). A command for
      the host has no variable. The message of a refusal ends with them as a block for C(host_vars).
  returned: if the stack was refused
  type: list
  elements: dict
  sample:
    - variable: compose_stack_public_ports
      value: "443"
      reason: 443/tcp of service web
problems:
  description: Reasons for a refusal, with C(code), C(where), C(message) and C(need).
  returned: if the stack was refused
  type: list
  elements: dict
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
        stack = Stack(options.request_of(params, world), world, options.host_of(world))
        result = stack.preview(tolerate_missing=True) if module.check_mode else stack.converge()
    if module._diff:
        result["diff"] = outcome.diff_text(result)
    return {**result, **staging}


def main() -> None:
    run_module(
        _run,
        argument_spec={**request.COMMON, **request.DEPLOY},
    )


if __name__ == "__main__":
    main()
