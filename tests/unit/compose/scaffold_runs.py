# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module stack_scaffold on a folder, and read what it wrote."""

import pathlib

import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import scaffold
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.modules import stack_scaffold


def run(folder, *, check=False, **options):
    top = folder.parent
    given = {
        "origin": str(folder),
        "name": "app",
        "host": "box",
        "stacks": str(top / "p/stacks"),
        "inventory": str(top / "p/inventory"),
        "project_dir": "/opt/onebox/app",
        "data_root": "/srv/app",
        "engine": "none",
        **options,
    }
    return scaffold.scaffold(scaffold.Order(**given), stack_scaffold._loader(), World.real(), check)


def text(folder, name):
    return (folder.parent / "p" / name).read_text()


class _Vars(yaml.SafeLoader):
    pass


_Vars.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
_Vars.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def values(folder, name="inventory/host_vars/box.yml"):
    return yaml.load(text(folder, name), Loader=_Vars)


def actions(made):
    return {pathlib.Path(each.path).name: each.action for each in made.files}
