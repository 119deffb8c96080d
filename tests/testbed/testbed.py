# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed: engines and images for the integration tests and Molecule. ``testbed.py --help`` lists the commands."""

from onebox_testbed.cli import main

if __name__ == "__main__":
    main()
