# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one module as the target would, without the slow start of Ansible: arguments as JSON on stdin."""

import importlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

importlib.import_module("conftest")  # makes the collection importable
from ansible.module_utils.testing import patch_module_args  # noqa: E402

with patch_module_args(json.load(sys.stdin)):
    importlib.import_module(f"ansible_collections.onebox.stack.plugins.modules.{sys.argv[1]}").main()
