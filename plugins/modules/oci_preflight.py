# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_preflight
short_description: Name the wrong parameter before the first launch request
version_added: 0.1.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Checks what M(onebox.stack.oci_capacity_launch) would be given, and the account it would use. Changes nothing.
  - Oracle answers a VCN in place of a subnet, a foreign image and a missing permission with the same 404; this module
    says which of them it is.
  - Fails when a launch cannot work. RV(problems) then holds all that was found, not only the first.
  - Also finds the newest image of an operating system for the shape, and the availability domains that have the shape.
extends_documentation_fragment:
  - onebox.stack.oci_account
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It changes nothing.
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
    description: Names of the availability domains to try. All of the region when empty.
    type: list
    elements: str
    default: []
  subnet_id:
    description: OCID of the subnet; not checked when it is left out.
    type: str
  image_id:
    description: OCID of the image. Without it the newest of O(operating_system) is found.
    type: str
  operating_system:
    description: Name of the operating system, as Oracle writes it.
    type: str
    default: Canonical Ubuntu
  operating_system_version:
    description: Its version, as Oracle writes it.
    type: str
    default: "24.04"
  shape:
    description: The shape.
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
    description: Content of the public key file; not checked when it is left out.
    type: str
  ssh_private_key_file:
    description: The private key's file; checked for its mode and whether it belongs to O(ssh_public_key).
    type: path
    default: ""
  allow_paid:
    description: Allow what is not Always Free.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Find out what is wrong now, not after three weeks
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
  description: All that was found.
  returned: always
  type: list
  elements: dict
  contains:
    parameter:
      description: The option that is wrong, or V(clock).
      type: str
      returned: always
    severity:
      description: V(error) when a launch cannot work like this, else V(warning).
      type: str
      returned: always
    problem:
      description: What is wrong.
      type: str
      returned: always
    fix:
      description: What to do.
      type: str
      returned: always
limits:
  description: For each availability domain, C(used) and C(available) of the Arm limits. Oracle's figures lag behind.
  returned: always
  type: dict
availability_domains:
  description: Those that have the shape and the subnet.
  returned: always
  type: list
  elements: str
image:
  description: The C(id) and C(name) of the image.
  returned: always
  type: dict
instance:
  description: The C(id) and C(state) of the launcher's instance of this name; empty when there is none.
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
