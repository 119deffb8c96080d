# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the units of a stack as this driver installs them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import texts_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.managed import Managed
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import render, unit_name
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File, RenderError, Stack
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import PROJECT_LABELS, SERVICE_LABELS
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import CONFIG_FILES_LABEL, WORKING_DIR_LABEL

_NOTIFIES = (5, 0)
_DIGEST_LINE = re.compile(rf"(?m)^Label={re.escape(compare.DIGEST_LABEL)}=(\w+)\n")
# The files of a service before its unit, in the order in which they are rendered.
_READ_BY_UNIT = (".env", ".labels")


def units_of(model: Model, source: Source, folder: str, version: t.Sequence[int]) -> list[File]:
    """The units of a stack.

    Args:
        source: its files, which are read for the values that they show.
        folder: the directory of the units.
        version: of Podman.

    Raises:
        ComposeError: a service cannot be written as a unit.
    """
    project = dict.fromkeys(PROJECT_LABELS, model.project)
    every = {
        **project,
        WORKING_DIR_LABEL: realpath(source.project_dir),
        CONFIG_FILES_LABEL: ",".join(source.named(path) for path in source.files),
        "com.docker.compose.container-number": "1",
    }
    labels = {name: {**every, **dict.fromkeys(SERVICE_LABELS, name)} for name in model.services}
    stack = Stack(model, texts_of(source.files))
    managed = Managed(folder, project, labels, tuple(version) >= _NOTIFIES)
    try:
        found = _digests(model, render(stack, managed))
        known = {name: {**row, compare.DIGEST_LABEL: found[name]} for name, row in labels.items()}
        return render(stack, dataclasses.replace(managed, labels=known))
    except RenderError as error:
        raise ComposeError(f"stack {model.project}, {error}") from error
    except JobError as error:
        raise ComposeError(f"stack {model.project}: a quadlet cannot have this value: {error}") from error


def _digests(model: Model, rendered: t.Sequence[File]) -> dict[str, str]:
    """Service -> SHA-256 of its unit and of the files that only its unit reads."""
    found = {}
    for name in model.services:
        unit = unit_name(model.project, name)
        own = [each.content for each in rendered if each.path.rpartition(".")[0] == unit]
        found[name] = _sum(own)
    return found


def _sum(texts: t.Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()


def edited(model: Model, installed: t.Mapping[str, str]) -> set[str]:
    """Services whose unit, or a file that only it reads, differs from the digest in the unit: somebody edited it.

    Args:
        installed: name -> text of each file, as rendered.
    """
    found = set()
    for name in model.services:
        unit = unit_name(model.project, name)
        text = installed.get(f"{unit}.container", "")
        digest = _DIGEST_LINE.search(text)
        own = [installed[f"{unit}{suffix}"] for suffix in _READ_BY_UNIT if f"{unit}{suffix}" in installed]
        if text and (not digest or _sum([*own, _DIGEST_LINE.sub("", text)]) != digest[1]):
            found.add(name)
    return found


def digests(model: Model, source: Source, folder: str, version: t.Sequence[int]) -> dict[str, str]:
    """Service -> the digest that the label of its container must have; empty if the stack cannot be rendered."""
    try:
        rendered = {each.path: each.content for each in units_of(model, source, folder, version)}
    except ComposeError:
        return {}
    units = {name: rendered[f"{unit_name(model.project, name)}.container"] for name in model.services}
    return {name: match[1] for name, text in units.items() for match in _DIGEST_LINE.finditer(text)}
