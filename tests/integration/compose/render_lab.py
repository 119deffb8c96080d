# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real compose files of this checkout, rendered for other orchestrators."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil

import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.check import Order, check
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDERS = {
    path.name: path
    for path in (*sorted((ROOT / "stacks").iterdir()), *sorted((ROOT / "tests/corpus/stacks").iterdir()))
    if path.is_dir()
}


def rendered(order: Order, world: World | None = None) -> dict[str, str]:
    """Render a stack for ``order.render``. Variables and files that it lacks get values first.

    Returns:
        The content of each file by its path.
    """
    env = pathlib.Path(order.project_dir) / ".env"
    for _attempt in range(20):
        try:
            return {each["path"]: each["content"] for each in check(order, world or World.real())["files"]}
        except BadStack as error:
            for problem in error.problems:
                if problem.code == "unset_variable":
                    name = problem.where.lower()
                    value = f"/srv/{name}" if re.search("dir|path|workspace", name) else f"value-of-{name}"
                    with env.open("a") as stream:
                        stream.write(f"{problem.where}={value}\n")
                elif problem.code == "no_env_file":
                    pathlib.Path(re.search(r"env_file (\S+) does", problem.message)[1]).write_text("LEVEL=info\n")
                else:
                    raise
        except RenderError as error:
            missing = re.search(r"cannot read (\S+)\. Create", str(error))
            if not missing:
                raise
            pathlib.Path(missing[1]).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(missing[1]).write_text("content")
    raise AssertionError(f"{order.project_dir} cannot be rendered")


def order_of(name: str, target: str, place: pathlib.Path, **more: object) -> Order:
    """The order for a copy of one of :data:`FOLDERS` below ``place``. Its files with variables are complete."""
    folder = place / name
    if not folder.exists():
        shutil.copytree(FOLDERS[name], folder)
        for example in folder.glob("*.example"):
            shutil.copy(example, example.with_suffix(""))
    return dataclasses.replace(Order(f"obx-{name}", str(folder)), render=target, **more)  # type: ignore[arg-type]


def declared(name: str) -> dict[str, dict]:
    """The services of a compose file, as its owner wrote them."""
    found = [*FOLDERS[name].glob("compose.y*ml"), *FOLDERS[name].glob("docker-compose.y*ml")]
    return yaml.safe_load(found[0].read_text())["services"]


def write(files: dict[str, str], place: pathlib.Path) -> pathlib.Path:
    """Write rendered files below ``place``."""
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(content)
    return place
