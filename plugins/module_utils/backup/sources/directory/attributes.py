# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of a file apart from owner and mode: extended attributes, among them ACLs and capabilities.

Attributes that depend on the host are left out: labels of SELinux and checksums of IMA.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import typing as t

_NO_SUPPORT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES}
_LEFT_OUT = ("security.selinux", "security.ima", "security.evm", "security.apparmor", "system.nfs4_acl", "btrfs.")
# Attributes that only root may set, or read.
_ROOT_ONLY = ("security.", "trusted.")
Attributes = dict[str, bytes]


def read(descriptor: int) -> Attributes:
    """The extended attributes of an open file or directory. Raises :class:`OSError` when one cannot be read."""
    if not hasattr(os, "listxattr"):  # macOS
        return {}
    found: Attributes = {}
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno in _NO_SUPPORT:
            return {}
        raise
    for name in names:
        if name.startswith(_LEFT_OUT):
            continue
        # An attribute that was removed since it was listed.
        with contextlib.suppress(OSError):
            found[name] = os.getxattr(descriptor, name)
    return found


def write(descriptor: int, attributes: t.Mapping[str, bytes]) -> list[str]:
    """Set attributes. Returns the names that this file system, or this user, cannot set."""
    lost = []
    for name, value in attributes.items():
        try:
            os.setxattr(descriptor, name, value)
        except OSError:
            lost.append(name)
    return lost


def digests(attributes: t.Mapping[str, bytes]) -> dict[str, str]:
    """Attributes in the form of a list: the name and the beginning of the sha256 of each."""
    return {name: hashlib.sha256(value).hexdigest()[:16] for name, value in sorted(attributes.items())}


def comparable(found: t.Mapping[str, str], owners: bool) -> dict[str, str]:
    """The comparable attributes: without ``owners``, those that only root may set are left out."""
    return {name: value for name, value in found.items() if owners or not name.startswith(_ROOT_ONLY)}
