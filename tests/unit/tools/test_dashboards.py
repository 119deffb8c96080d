# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards and alert rules of the role monitoring: form, names of metrics, and alerts on missing data."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import sys
import typing as t

import jsonschema
import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import metrics as backup_metrics
from ansible_collections.onebox.stack.plugins.module_utils.mounts import metrics as mount_metrics
from ansible_collections.onebox.stack.plugins.module_utils.watch.tell import metrics as watch_metrics

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import dashboards  # noqa: E402

FILES = sorted((ROOT / "roles/monitoring/files/dashboards").glob("*.json"))
RULES = sorted((ROOT / "roles/monitoring/files/rules").glob("*.yml"))
SCHEMA = json.loads((ROOT / "tests/fixtures/grafana-dashboard.schema.json").read_text())
# Prometheus, the exporters and coinpilot write these.
FOREIGN = re.compile(r"up|ALERTS|(node|prometheus|alertmanager|coinpilot)_\w+")
# A healthy host has none of these. Their producers have other metrics, whose absence is an alert.
MAY_BE_ABSENT = {"onebox_watch_finding", "onebox_watch_disk_seconds_left", "onebox_mount_verdict"}
METRIC = re.compile(r"\b(?:onebox|node|prometheus|alertmanager)_[a-zA-Z_]+")


def written() -> set[str]:
    """Every metric of this collection."""
    backup = pathlib.Path(backup_metrics.__file__).read_text()
    names = {f"onebox_backup_{name}" for name in re.findall(r"\(\s*\"(\w+)\", \"", backup)}
    return names | set(watch_metrics._HELP) | set(mount_metrics._HELP)


def panels(path: pathlib.Path) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", json.loads(path.read_text())["panels"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dashboard_keeps_the_schema_of_grafana(path: pathlib.Path) -> None:
    found = json.loads(path.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    del found["panels"][1]["targets"][0]["expr"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_have_their_own_numbers(path: pathlib.Path) -> None:
    grids = [panel["gridPos"] for panel in panels(path)]
    for one, two in itertools.combinations(grids, 2):
        apart = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"], (one, two)
    assert all(grid["x"] + grid["w"] <= 24 for grid in grids)
    assert len({panel["id"] for panel in panels(path)}) == len(grids)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panel_without_data_is_red_and_says_what_to_do(path: pathlib.Path) -> None:
    stats = [panel for panel in panels(path) if panel["type"] == "stat"]
    assert len(stats) >= 8
    for panel in stats:
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["noValue"] == "no data"
        assert defaults["mappings"][0]["options"] == {
            "match": "null+nan",
            "result": {"text": "no data", "color": "red"},
        }
        assert panel["description"], panel["title"]


@pytest.mark.parametrize("path", [*FILES, *RULES], ids=lambda path: path.stem)
def test_every_metric_is_one_that_is_written(path: pathlib.Path) -> None:
    """A mistyped name would be a panel that is always empty, or an alert that never fires."""
    if path.suffix == ".json":
        expressions = [target["expr"] for panel in panels(path) for target in panel.get("targets", ())]
    else:
        expressions = [rule["expr"] for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]]
    names = {name for expr in expressions for name in re.findall(r"\bonebox_\w+", expr)}
    assert names <= written(), names - written()


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_metric_of_a_rule_alerts_when_it_is_absent(path: pathlib.Path) -> None:
    expressions = [rule["expr"] for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]]
    used = {name for expr in expressions for name in METRIC.findall(expr)}
    absent = {name for expr in expressions for name in re.findall(r"absent\((\w+)", expr)}
    assert used - absent <= MAY_BE_ABSENT, used - absent
    # The label in the summary is the metric that absent() queries.
    for expr in expressions:
        for name, label in re.findall(r"absent\((\w+)\), \"metric\", \"([^\"]+)\"", expr):
            assert name == label


def test_files_are_those_of_the_source() -> None:
    assert dashboards.main(["--check"]) == 0
    assert [path.name for path in FILES] == ["onebox-daily.json", "onebox-weekly.json"]


def test_panel_with_a_wrong_key_is_refused_with_its_title() -> None:
    row = {"title": "r", "panels": [{"title": "Broken", "type": "pie", "expr": "up"}]}
    with pytest.raises(dashboards.WrongDashboard, match="panel 'Broken' needs a type of stat"):
        dashboards.dashboard({"uid": "x", "title": "x", "range": "now-1h", "rows": [row]})
    row["panels"] = [{"title": "x", "expr": "up", "good": "about 1"}]
    with pytest.raises(dashboards.WrongDashboard, match="'about 1' is not a comparison"):
        dashboards.dashboard({"uid": "x", "title": "x", "range": "now-1h", "rows": [row]})


@pytest.mark.parametrize(
    ("good", "colors"),
    [("< 1", ["green", "red"]), (">= 1", ["red", "green"]), ("> 0", ["red", "green"])],
)
def test_good_values_are_green_and_others_red(good: str, colors: list[str]) -> None:
    steps = dashboards._judged(good)["thresholds"]["steps"]
    assert [step["color"] for step in steps] == colors
    assert steps[1]["value"] == (1e-9 if good == "> 0" else 1.0)
