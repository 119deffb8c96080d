# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull images and name the service and the line to edit if one of them cannot be pulled."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Commands
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError


def pull(commands: Commands, images: t.Mapping[str, str]) -> None:
    """Pull images, given as ``service -> image``.

    Raises:
        ComposeError: an image cannot be pulled.
    """
    try:
        commands.pull(images)
    except ComposeError as error:
        if len(images) == 1:
            raise failure(*next(iter(images.items())), error) from error
        # One by one, for the name of the service. Images that are up to date cost one request.
        for name, image in images.items():
            try:
                commands.pull({name: image})
            except ComposeError as error:
                raise failure(name, image, error) from error


def failure(name: str, image: str, error: ComposeError) -> ComposeError:
    """The error with the name of the service and the ways to fix it, in one line."""
    said = " ".join(str(error).split()).rstrip(".")
    return ComposeError(
        f"service {name}: {said}. If the name is wrong, correct `image: {image}` in the compose file. If the registry "
        "is private, log in to it on the host"
    )
