# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_preflight
short_description: Find wrong launch parameters before the first launch request
version_added: 0.1.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Checks the parameters for M(onebox.stack.oci_capacity_launch) and the account. Changes nothing.
  - Oracle answers a VCN instead of a subnet, an image of another region and a missing permission with the same 404.
    This module reports the actual cause.
  - Fails if a launch cannot work. RV(problems) then has all problems, not only the first one.
  - Also finds the newest image of an operating system for the shape, and the availability domains that have the shape.
extends_documentation_fragment:
  - onebox.stack.oci_account
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  name:
    description: Display name of the instance.
    type: str
    required: true
  compartment_id:
    description: OCID of the compartment, or of the tenancy for its root compartment.
    type: str
    required: true
  availability_domains:
    description: Names of the availability domains to try. Empty tries all of the region.
    type: list
    elements: str
    default: []
  subnet_id:
    description: OCID of the subnet. Without it, the subnet is not checked.
    type: str
  image_id:
    description: OCID of the image. Without it, the newest image of O(operating_system) is found.
    type: str
  operating_system:
    description: Name of the operating system, as Oracle writes it.
    type: str
    default: Canonical Ubuntu
  operating_system_version:
    description: Version of the operating system, as Oracle writes it.
    type: str
    default: "24.04"
  shape:
    description: Shape of the instance.
    type: str
    default: VM.Standard.A1.Flex
  ocpus:
    description: OCPUs of a flexible shape.
    type: float
    default: 2.0
  memory_gb:
    description: GB of memory of a flexible shape.
    type: float
    default: 12.0
  boot_volume_gb:
    description: GB of the boot volume.
    type: int
    default: 50
  ssh_public_key:
    description: Content of the public key file. Without it, the key is not checked.
    type: str
  ssh_private_key_file:
    description: File of the private key. Its mode is checked, and that it belongs to O(ssh_public_key).
    type: path
    default: ""
  allow_paid:
    description: Allow sizes that are not Always Free.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Check the launch parameters
  onebox.stack.oci_preflight:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    subnet_id: ocid1.subnet.oc1.ap-chuncheon-1.aaaaexample
    ssh_public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/coinpilot.pub') }}"
    ssh_private_key_file: ~/.ssh/coinpilot
  register: preflight

- name: Launch the newest Ubuntu image
  onebox.stack.oci_capacity_launch:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    subnet_id: ocid1.subnet.oc1.ap-chuncheon-1.aaaaexample
    image_id: "{{ preflight.image.id }}"
    availability_domains: "{{ preflight.availability_domains }}"
    ssh_public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/coinpilot.pub') }}"
"""

RETURN = r"""
problems:
  description: All problems.
  returned: always
  type: list
  elements: dict
  contains:
    parameter:
      description: The option that is wrong, or V(clock).
      type: str
      returned: always
    severity:
      description: V(error) if a launch cannot work like this, otherwise V(warning).
      type: str
      returned: always
    problem:
      description: The problem.
      type: str
      returned: always
    fix:
      description: The way to fix it.
      type: str
      returned: always
limits:
  description: For each availability domain, C(used) and C(available) of the Arm limits. Oracle's figures lag behind.
  returned: always
  type: dict
availability_domains:
  description: Availability domains that have the shape and the subnet.
  returned: always
  type: list
  elements: str
image:
  description: The C(id) and C(name) of the image.
  returned: always
  type: dict
instance:
  description: The C(id) and C(state) of the launcher's instance of this name. Empty if it does not exist.
  returned: always
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import options, preflight, sdk
from ansible_collections.onebox.stack.plugins.module_utils.oci.api import Api
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    params, world = module.params, World.real()
    found = preflight.Findings()
    preflight.offline(params, found, world)
    signs_in = not any(problem["parameter"] in ("config_file", "config_profile") for problem in found.problems)
    if signs_in:
        try:
            session = sdk.Session(options.account(params))
            preflight.online(params, Api(session, params["compartment_id"]), session.region, world, found)
        except OciError as error:
            found.error("config_file", str(error), "See the text.")
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for problem in found.problems:
        lines[problem["severity"]].append(f"{problem['parameter']}: {problem['problem']}. {problem['fix']}")
    result = {**found.as_result(), "warnings": lines["warning"]}
    if found.failed:
        why = "The launch cannot work like this.\n" + "\n".join(lines["error"])
        return {**result, "failed": True, "msg": why}
    return {**result, "changed": False}


def main() -> None:
    run_module(_run, argument_spec=options.PREFLIGHT)


if __name__ == "__main__":
    main()
