# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve a stack, compare it with the facts about other orchestrators, and render it for one of them. Read only."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find as drivers
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import texts_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import env_file, environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability import rendering
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.assess import Assessment, assess
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import TARGETS
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


@dataclass(frozen=True)
class Order:
    """The request.

    Attributes:
        name: the stack.
        project_dir: the directory with its files.
        files: compose files; empty for those with the usual names.
        provider: the compose tool, see ``drivers/find.py``.
        targets: the orchestrators to compare with.
        minimum_score: a lower score of any target is a failure.
        render: the target to render files for, see ``rendering.py``; "" for none.
    """

    name: str
    project_dir: str
    files: tuple[str, ...] = ()
    env_file: str | None = None
    profiles: tuple[str, ...] = ()
    provider: str = "auto"
    provider_path: str | None = None
    targets: tuple[str, ...] = TARGETS
    minimum_score: int = 0
    render: str = ""


def check(order: Order, world: World) -> dict[str, t.Any]:
    """Report what other orchestrators would drop, refuse or change. Changes nothing.

    Returns:
        ``project``, ``findings``, ``services``, ``score``, ``text``, ``warnings``. With ``render`` also ``files``, and
        with a score below the minimum ``failed`` and ``msg``.

    Raises:
        BadStack: files are missing, or the compose tool refuses them.
        ComposeError: no compose tool fits.
        RenderError: the stack cannot be rendered.
    """
    source = locate(order.name, order.project_dir, order.files, order.env_file, order.profiles)
    env = environment.clean(world.environ, env_file.names(source))
    tool = drivers.find(order.provider, None, env, world, executable=order.provider_path)
    model = tool.resolve(source, world)
    texts = texts_of(source.files)
    found = assess(model, texts, order.targets)
    score = {target: found.score(target) for target in found.verdicts}
    result: dict[str, t.Any] = {
        "project": order.name,
        "findings": [each.as_dict() for each in found.findings],
        "services": _services(found),
        "score": score,
        "text": found.lines(),
        "warnings": [
            f"stack {order.name}: the variable {name} is not set, so it is empty here. Set it in the environment file."
            for name in sorted(model.unset)
        ],
    }
    if order.render:
        rendered = rendering.render(order.render, model, texts, assess(model, texts), world)
        result["files"] = [{"path": each.path, "content": each.content} for each in rendered]
    low = [f"{target} {percent} %" for target, percent in score.items() if percent < order.minimum_score]
    if low:
        result["failed"] = True
        result["msg"] = (
            f"stack {order.name}: the score is below minimum_score ({order.minimum_score} %): {', '.join(low)}. "
            "The return value text has each finding with its way out."
        )
    return result


def _services(found: Assessment) -> list[dict[str, str]]:
    names = dict.fromkeys(name for verdicts in found.verdicts.values() for name in verdicts)
    return [
        {"service": name, **{target: verdicts[name] for target, verdicts in found.verdicts.items()}} for name in names
    ]
