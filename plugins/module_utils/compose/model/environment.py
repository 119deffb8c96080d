# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of compose tools: only variables to find the engine, none that a shell happens to have.

In every compose tool, a variable of the caller's shell overrides the stack's own ``.env``. The same files would deploy
differently for root, for an admin's shell and for a unit at boot.
"""

from __future__ import annotations

import typing as t

# Variables for which a stack may have a meaning of its own.
_SHELLS_OWN = frozenset(
    (
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    )
)
_NAMES = _SHELLS_OWN | frozenset(
    (
        "PATH",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "DOCKER_HOST",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS_VERIFY",
        "DOCKER_BUILDKIT",
        "CONTAINER_HOST",
        "REGISTRY_AUTH_FILE",
        "DBUS_SESSION_BUS_ADDRESS",
        "SSL_CERT_FILE",
    )
)
_PREFIXES = ("CONTAINERS_",)
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean(environ: t.Mapping[str, str], own: t.Container[str] = ()) -> dict[str, str]:
    """The allowed part of ``environ``, with a ``PATH`` and a fixed locale.

    Args:
        own: names in the stack's environment file, whose values are used instead.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _NAMES or name.startswith(_PREFIXES)) and not (name in _SHELLS_OWN and name in own)
    }
    kept.setdefault("PATH", DEFAULT_PATH)
    kept["LC_ALL"] = "C"
    return kept
