# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network share that hangs or is dead, without a network: FUSE without a server that answers."""

from __future__ import annotations

import ctypes
import os
import pathlib
import subprocess
import typing as t

_LIBC = ctypes.CDLL(None, use_errno=True)


class HangingShare:
    """Mounted at a place, it never answers; after :meth:`die` it answers that it is not connected."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self._server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._server},rootmode=40000,user_id=0,group_id=0,allow_other"
        words = (b"onebox-hangs", os.fsencode(place), b"fuse", ctypes.c_ulong(0), options.encode())
        if _LIBC.mount(*words) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(place))

    def __enter__(self) -> HangingShare:
        return self

    def die(self) -> None:
        """End the program that serves it."""
        if self._server >= 0:
            os.close(self._server)
            self._server = -1

    def __exit__(self, *unused: t.Any) -> None:
        self.die()
        subprocess.run(["umount", "-l", self.place], check=False, capture_output=True)
