# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets count. Keeping, restoring and forgetting them with real engines is in the integration tests."""

import dataclasses
import json

from ansible_collections.onebox.stack.plugins.module_utils.compose.lastgood import GoodSet, LastGood

SET = GoodSet(3, "2026-11-21T09:00:00Z", "", {}, {}, "docker-compose 2.40.3")


def test_a_set_counts_when_it_has_its_place(tmp_path):
    half = tmp_path / "good" / "3.new"
    half.mkdir(parents=True)
    (half / "set.json").write_text(json.dumps(dataclasses.asdict(SET)))
    good = LastGood(str(tmp_path), "shop")
    assert good.sets() == []
    half.rename(tmp_path / "good" / "3")
    assert good.sets() == [SET]


def test_a_damaged_set_is_none(tmp_path):
    (tmp_path / "good" / "1").mkdir(parents=True)
    (tmp_path / "good" / "1" / "set.json").write_text("{")
    assert LastGood(str(tmp_path), "shop").sets() == []
