# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated cloud of the testbed, importable."""

import pathlib
import sys

TESTBED = str(pathlib.Path(__file__).resolve().parents[2] / "testbed" / "oci")
if TESTBED not in sys.path:
    sys.path.insert(0, TESTBED)
