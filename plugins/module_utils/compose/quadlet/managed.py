# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units of a stack have in addition when compose_stack installs and starts them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Managed:
    """The additions to units.

    compose_stack starts services in their order and waits for each, so no unit stops another one that depends on it. A
    service that may end keeps its container, because the next run must see that it ended.

    Attributes:
        folder: the directory of the units.
        project_labels: for each network and volume.
        labels: service -> labels of its container, in addition to its own.
        healthy: whether Podman can delay the start of dependents until a service is healthy.
    """

    folder: str
    project_labels: t.Mapping[str, str] = field(default_factory=dict)
    labels: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    healthy: bool = True
