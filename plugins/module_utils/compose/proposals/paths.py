# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify the source of a bind by its path: a file, a directory, or a part of the host that no stack creates."""

from __future__ import annotations

import os
import re

_SUFFIX = re.compile(
    r"\.(?:ya?ml|conf|cnf|cfg|config|ini|toml|json|xml|env|properties|rules|sql|sh|py|js|ts|php|lua|html?|css|txt|md|pem|key"
    r"|crt|cert|cer|p12|pfx|pub|log|db|sqlite3?|sock|pid|lock|list|template|tmpl|tpl|hcl|vcl|htpasswd|netrc|png|ico|service)$",
    re.IGNORECASE,
)
_NAMES = frozenset(
    ("Caddyfile", "Corefile", "Dockerfile", "Makefile", "Jenkinsfile", ".htpasswd", "htpasswd", "passwd", "group")
    + ("authorized_keys", "known_hosts", "acme.json", "hosts", "crontab", "localtime", "timezone", "machine-id")
)
# What the system, a driver or another program creates.
_OF_THE_HOST = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/cache",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/log",
    "/var/run",
    "/tmp/.X11-unix",
)
# Directories of the system or of many stacks: they exist, and one stack must not change them.
_SHARED = frozenset(
    (
        *("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/var/lib", "/var/tmp"),
        *("/Users", "/Volumes", "/private"),
    )
)


def looks_like_file(path: str) -> bool:
    """Whether the last name of ``path`` is that of a file. An engine would create a directory of that name."""
    name = os.path.basename(path.rstrip("/"))
    return not path.endswith("/") and (name in _NAMES or bool(_SUFFIX.search(name)))


def of_the_host(path: str) -> bool:
    """Whether ``path`` is a part of the system, so that creating a directory there would not help."""
    clean = os.path.normpath(path)
    return clean in _SHARED or any(clean == top or clean.startswith(f"{top}/") for top in _OF_THE_HOST)
