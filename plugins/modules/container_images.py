# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull container images, or build substitute images from the distribution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_images
short_description: Pull container images, or build substitute images
version_added: 0.1.0
description:
  - Uses each image that exists, otherwise pulls it, otherwise builds a substitute image with C(mmdebstrap).
  - A substitute image has the label C(onebox.standin) and is listed in the result. It gets its name when complete.
  - An image is never replaced. To pull a newer one, use the compose settings of the stack.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  images:
    description:
      - Full references, for example V(docker.io/library/redis:7).
    type: list
    elements: str
    required: true
  engine:
    description:
      - The engine of the images; V(auto) uses Docker if it answers, else Podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  standins:
    description:
      - Substitute images to build if no registry answers, by reference. Each entry has C(suite), the Debian release,
        and may have C(packages), C(command) and C(env).
    type: dict
    default: {}
  registry_timeout:
    description:
      - Seconds until a registry must have answered a query for an image. After that, it counts as unreachable.
    type: float
    default: 20
  pull_timeout:
    description:
      - Time limit for the download of one image, in seconds.
    type: float
    default: 600
  scratch:
    description:
      - Directory for building substitute images. It needs space for the unpacked image. Others must not be able to
        write to it.
      - The default is C(/var/cache/onebox) for root and C(~/.cache/onebox) for others.
    type: path
seealso:
  - module: onebox.stack.container_engine_preflight
"""

EXAMPLES = r"""
- name: Pull Python, or build a substitute image
  onebox.stack.container_images:
    images: [docker.io/library/python:3.11-slim]
    standins:
      docker.io/library/python:3.11-slim:
        suite: bookworm
        packages: [python3, ca-certificates]
        command: [python3]
"""

RETURN = r"""
images:
  description:
    - One entry for each image with C(reference), C(id), C(how) (V(present), V(pulled), V(standin), V(missing), or
      V(would_obtain) in check mode), C(standin) and C(note).
  returned: always
  type: list
  elements: dict
builder_missing:
  description: Whether a substitute image could not be built only because C(mmdebstrap) is not installed.
  returned: always
  type: bool
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.images import (
    BuilderMissing,
    Images,
    StandIn,
)
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.survey import command_world


def have(module: AnsibleModule) -> dict[str, t.Any]:
    """Each image of the list, and its source."""
    world = World.real()
    usual = "/var/cache/onebox" if world.is_root else os.path.join(world.home, ".cache/onebox")
    stand_ins = {name: StandIn.parse(name, data) for name, data in module.params["standins"].items()}
    engine = find(module.params["engine"], world=world)
    images = Images(
        engine,
        world=command_world(engine, world),
        registry_timeout=module.params["registry_timeout"],
        pull_timeout=module.params["pull_timeout"],
        scratch=module.params["scratch"] or usual,
    )
    rows = []
    changed = builder_missing = False
    for reference in module.params["images"]:
        row = images.present(reference)
        if row is None and module.check_mode:
            row = {"reference": reference, "id": "", "how": "would_obtain", "standin": False, "note": ""}
            changed = True
        elif row is None:
            try:
                row = images.ensure(reference, stand_ins.get(reference))
                changed = True
            except BuilderMissing as missing:
                row = {"reference": reference, "id": "", "how": "missing", "standin": False, "note": str(missing)}
                builder_missing = True
        rows.append(row)
    return {"changed": changed, "images": rows, "builder_missing": builder_missing}


def main() -> None:
    run_module(
        have,
        argument_spec={
            "images": {"type": "list", "elements": "str", "required": True},
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "standins": {"type": "dict", "default": {}},
            "registry_timeout": {"type": "float", "default": 20},
            "pull_timeout": {"type": "float", "default": 600},
            "scratch": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
