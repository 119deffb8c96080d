# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed facts of a source. In a manifest they are a mapping with these keys."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

F = t.TypeVar("F", bound="Facts")


@dataclass(frozen=True)
class Facts:
    """Base of typed facts. Manifests are validated first, see :mod:`facts_validators`, so the required keys exist."""

    @classmethod
    def from_dict(cls: type[F], data: t.Mapping[str, t.Any]) -> F:
        """The facts in a manifest. Keys that this version does not know are ignored, null means the default."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in names and value is not None})

    def as_dict(self) -> dict[str, t.Any]:
        """The mapping for a manifest, without facts that are None."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            key: value.as_dict() if isinstance(value, Facts) else value
            for key, value in found.items()
            if value is not None
        }


@dataclass(frozen=True)
class Image(Facts):
    """The image of a container: its name, its id and its digests in registries."""

    image: str = ""
    image_id: str = ""
    digests: t.Sequence[str] = ()
