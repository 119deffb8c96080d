# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the container engine of a host and make sure that it really runs a container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_engine_preflight
short_description: Find the container engine and verify that it can run a container
version_added: 0.1.0
description:
  - Finds the engine that answers, and the compose tool that fits it.
  - Runs a probe container with a published port. The probe is built locally, without a registry. It is skipped if one
    passed since the boot and since the last change of the engine and its settings, or if a healthy container with a
    published port was started since that change.
  - If the probe fails on Podman, settings of C(containers.conf) that fix it are found by trial (limits, cgroup manager,
    event log, OCI runtime, network). The fewest of them are written to C(50-onebox.conf) in C(containers.conf.d). Other
    files do not change.
  - Removes the probe.
  - Does not fail if the engine is missing or does not answer. RV(name) is then empty, RV(problem) has the attempts and
    the command to run, and RV(missing_packages) the packages to install.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: partial
    details:
      - In check mode no probe is run, so settings are not predicted. Packages that are missing because there is no
        engine count as a change.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
options:
  engine:
    description:
      - The engine to find; V(auto) uses Docker if it answers, else Podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  state:
    description:
      - V(present) finds the engine and writes the settings it needs.
      - V(absent) removes the settings this module wrote. It keeps them while Podman has a container, which could not
        start without them, and names its project in RV(kept_for).
    type: str
    choices: [present, absent]
    default: present
  packages:
    description:
      - Debian packages of the engine and its compose tool. Compared with the installed ones if RV(problem) is set.
    type: list
    elements: str
    default: []
  builder_packages:
    description:
      - Debian packages that build substitute images. They count as missing if a registry of O(standins) has no address.
    type: list
    elements: str
    default: []
  commands:
    description:
      - Commands required in addition to the engine. A missing one is a RV(problem).
    type: list
    elements: str
    default: []
  images:
    description:
      - References of images to find. Those of the engine are in RV(images).
    type: list
    elements: str
    default: []
  standins:
    description:
      - References of the images that may have to be built.
    type: list
    elements: str
    default: []
seealso:
  - module: onebox.stack.container_images
  - module: onebox.stack.container_compose_tool
"""

EXAMPLES = r"""
- name: Find the engine and check that it works
  onebox.stack.container_engine_preflight:
  register: engine

- name: Fail without an engine
  ansible.builtin.assert:
    that: engine.name | length > 0
    fail_msg: "{{ engine.problem }}"
"""

RETURN = r"""
name:
  description: V(docker), V(podman), or empty if none answers.
  returned: O(state=present)
  type: str
  sample: podman
version:
  description: Version of the engine.
  returned: always
  type: str
  sample: 4.3.1
socket:
  description: Path of its socket; empty if the command line is used.
  returned: always
  type: str
rootless:
  description: Whether it runs containers without root.
  returned: always
  type: bool
runtime:
  description: The OCI runtime Podman uses; empty for Docker, and in check mode.
  returned: always
  type: str
  sample: runc
cgroup_manager:
  description: Podman's cgroup manager; empty for Docker, and in check mode.
  returned: always
  type: str
  sample: cgroupfs
settings:
  description: Settings that a container needs to start.
  returned: always
  type: list
  elements: str
  sample: [default_ulimits, runtime=runc]
provider:
  description: The compose tool that fits the engine, with C(name), C(version) and C(path); empty without one.
  returned: always
  type: dict
  sample: {name: podman-compose, version: 1.6.0, path: /opt/onebox/podman-compose/bin/podman-compose}
problem:
  description: Why there is no engine or no compose tool, and the command to run. Empty without a problem.
  returned: always
  type: str
missing_packages:
  description: Those of O(packages) and O(builder_packages) that should be installed. Empty if RV(problem) is empty.
  returned: always
  type: list
  elements: str
images:
  description: Those of O(images) that exist, as RV(onebox.stack.container_images#module:images) has them.
  returned: always
  type: list
  elements: dict
starts_at_boot:
  description: Whether the engine runs after a reboot. Podman always does.
  returned: always
  type: bool
kept_for:
  description: Projects, else containers, for which V(absent) kept the settings.
  returned: O(state=absent)
  type: list
  elements: str
  sample: [blog]
notes:
  description: Remarks about this engine.
  returned: always
  type: list
  elements: str
"""

import json
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import (
    advice,
    containers_conf,
    images,
    preflight,
    settings_users,
    survey,
)


def look(module: AnsibleModule, drop_in: containers_conf.DropIn, world: World) -> dict[str, t.Any]:
    result: dict[str, t.Any] = {
        "changed": False,
        "name": "",
        "version": "",
        "socket": "",
        "rootless": False,
        "runtime": "",
        "cgroup_manager": "",
        "settings": [],
        "provider": {},
        "problem": "",
        "missing_packages": [],
        "images": [],
        "starts_at_boot": False,
        "notes": [],
    }
    engine, result["problem"] = survey.look(module.params["engine"], world)
    if engine is not None:
        describe(module, drop_in, engine, world, result)
    lacking = [command for command in module.params["commands"] if shutil.which(command) is None]
    if lacking and not result["problem"]:
        result["problem"] = f"{', '.join(lacking)} is not installed on this host; install it"
    if result["problem"]:
        wanted = list(module.params["packages"])
        if survey.builder_is_wanted(module.params["standins"], world):
            wanted += module.params["builder_packages"]
        result["missing_packages"] = survey.missing_packages(wanted, world)
        if module.check_mode and result["missing_packages"]:
            result["changed"] = True
            result["notes"].append("would install " + ", ".join(result["missing_packages"]))
    return result


def describe(
    module: AnsibleModule, drop_in: containers_conf.DropIn, engine: Engine, world: World, result: dict[str, t.Any]
) -> None:
    rootless = survey.is_rootless(engine, world)
    result.update(name=engine.name, version=engine.version, socket=engine.socket, rootless=rootless)
    try:
        tool = find.find("auto", engine, environment.clean(world.environ), world)
        result["provider"] = {"name": tool.kind, "version": tool.version_text, "path": " ".join(tool.argv)}
    except ComposeError as error:
        result["problem"] = str(error)
    result["images"] = [row for row in (images.present(engine, name) for name in module.params["images"]) if row]
    before = drop_in.read()
    if not module.check_mode:
        result["changed"] = survey.prove(engine, drop_in, world)
    after = drop_in.read()
    if before != after:
        result["diff"] = {"before": before, "after": after, "before_header": drop_in.path, "after_header": drop_in.path}
    if engine.name == "podman":
        result["settings"] = preflight.names_in(after)
        result["starts_at_boot"] = True
        if not module.check_mode:
            result["runtime"], result["cgroup_manager"] = podman_facts(world)
    elif advice.has_systemd():
        result["starts_at_boot"] = survey.docker_starts_at_boot(world)
    if not advice.has_systemd():
        result["notes"].append("no systemd here: after a reboot only another run starts the containers")


def podman_facts(world: World) -> tuple[str, str]:
    """The OCI runtime and the cgroup manager that Podman reports."""
    host = json.loads(world.run(["podman", "info", "--format", "json"], timeout=60).stdout)["host"]
    return str(host["ociRuntime"]["name"]), str(host["cgroupManager"])


def forget(module: AnsibleModule, drop_in: containers_conf.DropIn, world: World) -> dict[str, t.Any]:
    """Remove the settings, unless a container needs them.

    Raises:
        EngineError: Podman is installed and does not answer, so its containers are unknown.
    """
    before = drop_in.read()
    kept_for = settings_users.of(world) if before else []
    after = before if kept_for else ""
    if not module.check_mode and before != after:
        drop_in.write(after)
    return {"changed": before != after, "kept_for": kept_for, "diff": {"before": before, "after": after}}


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    world = World.real()
    drop_in = containers_conf.DropIn(containers_conf.folder_of(world.uid, world.home))
    if module.params["state"] == "absent":
        return forget(module, drop_in, world)
    return look(module, drop_in, world)


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "builder_packages": {"type": "list", "elements": "str", "default": []},
            "commands": {"type": "list", "elements": "str", "default": []},
            "images": {"type": "list", "elements": "str", "default": []},
            "standins": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
