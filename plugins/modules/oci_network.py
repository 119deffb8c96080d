# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_network
short_description: Manage a small Oracle Cloud network that accepts SSH only
version_added: 0.1.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Finds or creates a VCN with an internet gateway, a route to it, and a public subnet for the whole region.
  - A tag marks all of these resources. Resources without the tag are not changed.
  - Only the security rules for port 22 are managed. Rules for other ports are kept.
extends_documentation_fragment:
  - onebox.stack.oci_account
attributes:
  check_mode:
    support: full
    description: Reads the existing resources and returns the planned actions.
  diff_mode:
    support: full
    description: Shows the list of actions.
options:
  name:
    description: Display name, and the value of the tag.
    type: str
    required: true
  compartment_id:
    description: OCID of the compartment, or of the tenancy for its root compartment.
    type: str
    required: true
  state:
    description: V(absent) removes all resources with the tag. Terminate the instances in the network first.
    type: str
    choices: [present, absent]
    default: present
  confirm:
    description: Must be the O(name) with O(state=absent).
    type: str
    default: ""
  cidr:
    description: Addresses of a new VCN.
    type: str
    default: 10.0.0.0/16
  subnet_cidr:
    description: Addresses of a new subnet.
    type: str
    default: 10.0.0.0/24
  ssh_sources:
    description: CIDR blocks that can reach port 22.
    type: list
    elements: str
    default: ["0.0.0.0/0"]
seealso:
  - module: onebox.stack.oci_capacity_launch
"""

EXAMPLES = r"""
- name: Create a network for one host, with SSH from home only
  onebox.stack.oci_network:
    name: onebox
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    ssh_sources: [198.51.100.7/32]
  register: network
"""

RETURN = r"""
subnet_id:
  description: OCID of the subnet. Empty in check mode before it exists.
  returned: always
  type: str
vcn_id:
  description: OCID of the VCN. Empty in check mode before it exists.
  returned: always
  type: str
actions:
  description: Actions that were, or would be, done.
  returned: always
  type: list
  elements: str
"""

import ipaddress
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import network, options, sdk
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import check_ocid


def check(params: dict[str, t.Any], changes: bool) -> None:
    """Refuse options that cannot be right. Raises OciError that names the option."""
    check_ocid("compartment_id", params["compartment_id"], ("compartment", "tenancy"))
    blocks = [("cidr", params["cidr"]), ("subnet_cidr", params["subnet_cidr"])]
    for option, block in [*blocks, *(("ssh_sources", source) for source in params["ssh_sources"])]:
        try:
            ipaddress.IPv4Network(block)
        except ValueError as error:
            raise OciError(f"{option} must hold CIDR blocks such as 10.0.0.0/24: {error}") from None
    if not ipaddress.IPv4Network(params["subnet_cidr"]).subnet_of(ipaddress.IPv4Network(params["cidr"])):
        raise OciError(f"subnet_cidr {params['subnet_cidr']} is not within cidr {params['cidr']}")
    if params["state"] == "absent" and params["confirm"] != params["name"] and changes:
        raise OciError(
            f"state: absent removes the network {params['name']}. Nothing was done. If you mean it, set confirm: "
            f"{params['name']}"
        )


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    check(params, not module.check_mode)
    wanted = network.Wanted(
        name=params["name"],
        compartment_id=params["compartment_id"],
        cidr=params["cidr"],
        subnet_cidr=params["subnet_cidr"],
        ssh_sources=params["ssh_sources"],
    )
    session = sdk.Session(options.account(params))
    work = network.Network(session, wanted, dry=module.check_mode, world=World.real())
    result = work.present() if params["state"] == "present" else work.absent()
    return {
        "changed": bool(result.actions),
        "actions": result.actions,
        "vcn_id": result.vcn_id,
        "subnet_id": result.subnet_id,
        "diff": {"before": "", "after": "".join(f"{action}\n" for action in result.actions)},
    }


def main() -> None:
    run_module(_run, argument_spec=options.NETWORK)


if __name__ == "__main__":
    main()
