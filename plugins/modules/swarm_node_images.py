# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect a node of a Swarm: which images of a stack it lacks, and whether they fit on its disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_node_images
short_description: Report which images of a stack a node of a Swarm lacks
description:
  - Compares the images that no registry has with those of this node. Fails if the missing ones do not fit on its disk,
    so that no transfer begins. Changes nothing.
  - An image needs the size of its archive in C(/var/tmp), and that of its unpacked layers where Docker keeps images.
    Layers that the node has already do not count.
version_added: 0.2.0
author:
  - The onebox.stack developers (@onebox)
attributes:
  check_mode:
    description: Can run in check mode, which is the same as a normal run.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  name:
    description: Name of the stack.
    type: str
    required: true
  images:
    description: The images that the node needs, as RV(onebox.stack.compose_stack#module:node_images) has them.
    type: list
    elements: dict
    default: []
seealso:
  - module: onebox.stack.compose_stack
"""

EXAMPLES = r"""
- name: Query the images of the node
  onebox.stack.swarm_node_images:
    name: observer
    images: "{{ deployed.node_images }}"
"""

RETURN = r"""
node_id:
  description: Id of the node in the Swarm, empty if this host is not a node.
  returned: always
  type: str
  sample: w8nkd6yxkqbu5rwvk0bqnqm2z
names:
  description: Names of the stack's images on this node that no registry has. Those of releases are not listed.
  returned: always
  type: list
  elements: str
  sample: [localhost/onebox/observer/web:2b66fd261ee5]
missing:
  description: Names of the needed images that this node lacks.
  returned: always
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import node_images
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    return {"changed": False, **node_images.inspect(given["name"], given["images"], World.real())}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "images": {"type": "list", "elements": "dict", "default": []},
        },
    )


if __name__ == "__main__":
    main()
