# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the container engine of a host and make sure that it really runs a container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_engine_preflight
short_description: Find the container engine and make sure that it really runs a container
version_added: 0.1.0
description:
  - Finds the engine that answers, and the compose tool that fits it.
  - Runs a probe container with a published port. The probe is made on the spot, so no registry is needed.
  - When the probe fails on Podman, the settings of C(containers.conf) that mend it are found by trying (limits, cgroup
    manager, event log, OCI runtime, network) and the fewest of them are written to C(50-onebox.conf) in
    C(containers.conf.d). No other file is touched.
  - The probe image, a few hundred bytes, stays for the next run until O(state=absent).
  - An engine that is not there is no failure; C(name) is empty then, and C(problem) says what was tried.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: partial
    details:
      - In check mode no probe is run, so settings that would be found are not predicted.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
options:
  engine:
    description:
      - The engine to look for; V(auto) takes Docker when it answers, else Podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  state:
    description:
      - V(present) finds the engine and settles what it needs; V(absent) removes the settings this module wrote.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: onebox.stack.container_images
"""

EXAMPLES = r"""
- name: See which engine is here and whether it works
  onebox.stack.container_engine_preflight:
  register: engine

- name: Stop when there is none
  ansible.builtin.assert:
    that: engine.name | length > 0
    fail_msg: "{{ engine.problem }}"
"""

RETURN = r"""
name:
  description: V(docker), V(podman), or empty when none answers.
  returned: always
  type: str
  sample: podman
version:
  description: Version of the engine.
  returned: always
  type: str
  sample: 4.3.1
socket:
  description: Path of its socket; empty when it is used by its command line.
  returned: always
  type: str
rootless:
  description: Whether it runs containers without root.
  returned: always
  type: bool
settings:
  description: What had to be set so that a container starts.
  returned: always
  type: list
  elements: str
  sample: [ulimits]
provider:
  description: The compose tool that fits the engine, with C(kind), C(version) and C(path); empty when there is none.
  returned: always
  type: dict
  sample: {kind: podman-compose, version: 1.6.0, path: /opt/onebox/podman-compose/bin/podman-compose}
problem:
  description: Why there is no engine or no compose tool; empty when all is well.
  returned: always
  type: str
"""

import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils import process
from ansible_collections.onebox.stack.plugins.module_utils.compose import environ, provider
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.engine import preflight
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.find import find


def look(module: AnsibleModule, podman: preflight.Podman) -> dict[str, t.Any]:
    result: dict[str, t.Any] = {
        "changed": False,
        "name": "",
        "version": "",
        "socket": "",
        "rootless": False,
        "settings": [],
        "provider": {},
        "problem": "",
    }
    try:
        engine = find(module.params["engine"])
    except EngineError as error:
        result["problem"] = str(error)
        return result
    rootless = os.geteuid() != 0 and (engine.name == "podman" or engine.socket.startswith("/run/user/"))
    result.update(name=engine.name, version=engine.version, socket=engine.socket, rootless=rootless)
    before = podman.read()
    if not module.check_mode:
        if engine.name == "podman":
            result["changed"] = podman.settle()
        else:
            preflight.probe_docker()
    after = podman.read()
    result["settings"] = preflight.names_in(after, preflight.known()) if engine.name == "podman" else []
    result["diff"] = {"before": before, "after": after, "before_header": podman.path, "after_header": podman.path}
    try:
        tool = provider.find("auto", engine, environ.clean(os.environ))
        result["provider"] = {"kind": tool.kind, "version": tool.version_text, "path": " ".join(tool.argv)}
    except ComposeError as error:
        result["problem"] = str(error)
    return result


def forget(module: AnsibleModule, podman: preflight.Podman) -> dict[str, t.Any]:
    before = podman.read()
    if module.check_mode:
        return {"changed": bool(before)}
    with contextlib.suppress(EngineError):  # without an engine there is no image of it either
        preflight.forget_probe(find(module.params["engine"]).name)
    return {"changed": podman.remove()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    folder = preflight.configuration_folder(os.geteuid(), os.path.expanduser("~"))
    podman = preflight.Podman(folder, process.run)
    try:
        if module.params["state"] == "absent":
            module.exit_json(**forget(module, podman))
        module.exit_json(**look(module, podman))
    except (preflight.PreflightError, EngineError, process.CommandError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"cannot write {podman.path}: {error.strerror}; check the permissions and the disk")


if __name__ == "__main__":
    main()
