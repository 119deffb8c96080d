# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folder and inventory of a stack from any compose project, each line with its reason."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_scaffold
short_description: Write the folder and the inventory of a stack from any compose project
description:
  - Reads a compose project and writes C(stacks/<name>/) and C(host_vars/<host>.yml). Comments give the reasons.
  - Runs on the machine with the inventory. Needs no compose tool, and changes nothing on the host of the stack.
  - The compose files are copied unchanged. A generated compose file in the same folder binds ports that are not public
    to 127.0.0.1.
  - Secrets are recognised by name, by form, and by their use in the compose file. They are written to
    C(group_vars/<name>.yml), mode 0600, which you encrypt with C(ansible-vault). The value of an example is replaced
    by a new random one, or by an empty one if only its issuer can provide it.
  - No file is overwritten. If a different file exists, the proposal is written next to it with the ending C(.new).
version_added: 0.2.0
author:
  - The onebox.stack developers (@onebox)
requirements:
  - PyYAML, which is installed with ansible-core
attributes:
  check_mode:
    description: Can run in check mode and return what would be written, without writing it.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  origin:
    description:
      - Folder of the compose project, or its compose file.
      - In a Git checkout, the files that Git tracks are copied. Elsewhere, all except data directories are copied.
      - Parts of the checkout above the folder, such as the build context C(..), are copied to the folder C(checkout) of
        the stack. The override names their new paths.
      - Required without O(adopt).
    type: path
    aliases: [from]
  adopt:
    description:
      - One item of the return value RV(onebox.stack.stack_discover#module:projects), for a project that runs already.
        The result declares it as it runs, so that a deploy finds nothing to change. Improvements are comments in it.
      - The directory, the name, the ports, and the directories' owners are those of the host. O(name), O(files),
        O(project_dir), O(data_root), O(exposure) and O(engine) are not used.
    type: dict
  bundle:
    description:
      - The files of O(adopt), as RV(onebox.stack.stack_discover#module:bundle).
      - The environment file is written to the folder of the stack, mode 0600. It is not split into O(inventory).
    type: str
  name:
    description: Name of the stack, which is the compose project's name. By default derived from the folder's name.
    type: str
  host:
    description: The inventory host for the stack. By default O(name).
    type: str
  stacks:
    description: Directory with one folder for each stack.
    type: path
    required: true
  inventory:
    description: Directory with C(host_vars) and C(group_vars).
    type: path
    required: true
  files:
    description: Compose files, relative to the folder. By default those with the usual names.
    type: list
    elements: str
    default: []
  project_dir:
    description: Directory on the host to which the stack is deployed. By default C(/opt/onebox/<name>).
    type: path
  data_root:
    description:
      - Directory on the host for data whose source is outside the folder and its Git checkout, such as C(../data), and
        for media directories that are not in the folder.
      - By default C(/srv/<name>).
    type: path
  exposure:
    description:
      - V(public) lists the ports that are meant for other machines, by number and protocol, and binds the others to
        127.0.0.1.
      - V(lan) does not change any port, for a host without a public address.
      - V(loopback) binds all of them to 127.0.0.1.
    type: str
    choices: [public, lan, loopback]
    default: public
  engine:
    description:
      - The engine of this machine that shows the users of images and of running containers. V(none) queries none.
      - An engine that does not answer is not an error. The comments then say that the owner is unknown.
    type: str
    choices: [auto, docker, podman, none]
    default: auto
seealso:
  - module: onebox.stack.stack_discover
  - module: onebox.stack.compose_stack
  - module: onebox.stack.compose_stack_info
"""

EXAMPLES = r"""
- name: Propose a stack from a folder with a compose file
  onebox.stack.stack_scaffold:
    from: /home/me/wiki
    host: vm
    stacks: /home/me/hosts/stacks
    inventory: /home/me/hosts/inventory
  register: proposed

- name: Show the missing values and files
  ansible.builtin.debug:
    msg: "{{ proposed.needs | map(attribute='what') | list }}"

- name: Propose a stack for a host at home
  onebox.stack.stack_scaffold:
    from: /home/me/wiki
    name: wiki-home
    host: nas
    exposure: lan
    stacks: /home/me/hosts/stacks
    inventory: /home/me/hosts/inventory
"""

RETURN = r"""
files:
  description:
    - One entry for each file, with C(path), C(action) and C(reason).
    - Actions are C(created), C(unchanged), C(beside) (a different file exists, and the proposal is in a file with the
      ending C(.new)) and C(kept) (nothing is written).
  returned: always
  type: list
  elements: dict
  sample:
    - path: /home/me/hosts/inventory/host_vars/box.yml
      action: created
      reason: "declares the stack: check it before the first deploy"
needs:
  description: Values and files that only you can provide, with C(what) and C(reason).
  returned: always
  type: list
  elements: dict
  sample:
    - what: a value for DOMAIN in compose_stack_env
      reason: the compose file has no default for it
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import adopt, read, scaffold
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]


def _loader() -> read.Load:
    """A parser for YAML as compose tools read it: few plain types, and tags such as ``!reset`` ignored."""
    if yaml is None:
        raise OneboxError(missing_required_lib("PyYAML"))

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, t.Any] = {}

    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tfTF"))
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$", re.IGNORECASE), ["~", "n", "N", ""]
    )

    def untagged(loader: t.Any, _tag: str, node: t.Any) -> t.Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node) or None

    Loader.add_multi_constructor("!", untagged)
    return lambda text: yaml.load(text, Loader=Loader)  # noqa: S506 (Loader is a SafeLoader with unknown tags as plain data)


def _order(params: t.Mapping[str, t.Any]) -> scaffold.Order:
    origin = os.path.normpath(params["origin"])
    folder = os.path.dirname(os.path.abspath(origin)) if os.path.isfile(origin) else os.path.abspath(origin)
    name = params["name"] or re.sub(r"[^a-z0-9_-]+", "-", os.path.basename(folder).lower()).strip("-_")
    return scaffold.Order(
        origin=origin,
        name=name,
        host=params["host"] or name,
        stacks=os.path.abspath(params["stacks"]),
        inventory=os.path.abspath(params["inventory"]),
        project_dir=os.path.normpath(params["project_dir"] or f"/opt/onebox/{name}"),
        data_root=os.path.normpath(params["data_root"] or f"/srv/{name}"),
        files=tuple(params["files"]),
        exposure=params["exposure"],
        engine=params["engine"],
    )


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    if params["adopt"]:
        lacking = sorted({"name", "files", "env_file", "working_dir", "services", "data"} - set(params["adopt"]))
        if lacking:
            raise OneboxError(
                f"adopt: lacks {', '.join(lacking)}. Pass one item of projects of stack_discover as it is."
            )
        order = adopt.Order(
            project=params["adopt"],
            bundle=params["bundle"],
            host=params["host"] or params["adopt"]["name"],
            stacks=os.path.abspath(params["stacks"]),
            inventory=os.path.abspath(params["inventory"]),
        )
        made = adopt.adopt(order, _loader(), module.check_mode)
    else:
        made = scaffold.scaffold(_order(params), _loader(), World.real(), module.check_mode)
    return {"changed": made.changed, "files": [vars(each) for each in made.files], "needs": made.needs}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "origin": {"type": "path", "aliases": ["from"]},
            "adopt": {"type": "dict"},
            "bundle": {"type": "str", "no_log": True},
            "name": {"type": "str"},
            "host": {"type": "str"},
            "stacks": {"type": "path", "required": True},
            "inventory": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "default": []},
            "project_dir": {"type": "path"},
            "data_root": {"type": "path"},
            "exposure": {"type": "str", "choices": list(scaffold.EXPOSURES), "default": "public"},
            "engine": {"type": "str", "choices": ["auto", "docker", "podman", "none"], "default": "auto"},
        },
        mutually_exclusive=[("origin", "adopt")],
        required_one_of=[("origin", "adopt")],
        required_together=[("adopt", "bundle")],
    )


if __name__ == "__main__":
    main()
