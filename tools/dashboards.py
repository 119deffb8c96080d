"""Write the Grafana dashboards of the role monitoring from roles/monitoring/meta/dashboards.yml.

Run it without arguments to write the files. ``--check`` only reports the files that differ, for tools/lint.
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "roles/monitoring/meta/dashboards.yml"
FOLDER = ROOT / "roles/monitoring/files/dashboards"
Json = dict[str, t.Any]
# The whole width of Grafana's grid, and the size of each kind of panel in its units.
WIDTH = 24
SIZES = {"stat": (4, 4), "timeseries": (8, 7), "table": (24, 8)}
# The person chooses the Prometheus when the dashboard is open, so no name of a data source is in a file.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class WrongDashboard(Exception):
    """The source of the dashboards is inconsistent."""


def dashboard(source: Json) -> Json:
    """One dashboard in Grafana's form.

    Args:
        source: an entry of dashboards.yml.

    Raises:
        WrongDashboard: a panel lacks a key or has a wrong one.
    """
    panels: list[Json] = []
    top = 0
    for row in source["rows"]:
        panels.append(_row(row["title"], len(panels) + 1, top))
        top = _fill(row["panels"], panels, top + 1)
    return {
        "uid": source["uid"],
        "title": source["title"],
        "tags": ["onebox"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "1m",
        "time": {"from": source["range"], "to": "now"},
        "timezone": "browser",
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data"}]},
        "panels": panels,
    }


def _row(title: str, number: int, top: int) -> Json:
    grid = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}


def _fill(sources: t.Sequence[Json], panels: list[Json], top: int) -> int:
    """Add the panels of a row, line by line. Returns where the next row begins."""
    left = height = 0
    for source in sources:
        kind = source.get("type", "stat")
        if kind not in SIZES or not source.get("expr") or (kind == "stat") != ("good" in source):
            raise WrongDashboard(
                f"{SOURCE.name}: panel {source.get('title')!r} needs a type of {', '.join(SIZES)}, expr, "
                "and good exactly if it is a stat."
            )
        width, tall = SIZES[kind]
        if left + width > WIDTH:
            left, top, height = 0, top + height, 0
        grid = {"x": left, "y": top, "w": width, "h": tall}
        panels.append(panel(source, kind, len(panels) + 1, grid))
        left, height = left + width, max(height, tall)
    return top + height


def panel(source: Json, kind: str, number: int, grid: Json) -> Json:
    """One panel. A panel without data says so, in red where it has a good value."""
    expressions = source["expr"] if isinstance(source["expr"], dict) else {"": source["expr"]}
    defaults: Json = {"unit": source.get("unit", "short"), "noValue": "no data"}
    if "good" in source:
        defaults.update(_judged(source["good"]))
    instant = kind != "timeseries"
    made: Json = {
        "id": number,
        "type": kind,
        "title": source["title"],
        "description": source.get("do", ""),
        "datasource": DATASOURCE,
        "gridPos": grid,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"colorMode": "background", "textMode": "auto"} if kind == "stat" else {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
                **({"format": "table"} if kind == "table" else {}),
            }
            for index, (legend, expr) in enumerate(expressions.items())
        ],
    }
    if kind == "table":
        hidden = {"Time": True, "Value": "by (" not in source["expr"], "__name__": True, "instance": True, "job": True}
        made["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return made


def _judged(good: str) -> Json:
    """Colours by threshold. No value is red: no data is not good."""
    sign, _space, number = good.partition(" ")
    if sign not in (">", ">=", "<") or not number:
        raise WrongDashboard(f"{SOURCE.name}: good: {good!r} is not a comparison such as '< 1' or '>= 1'.")
    low, high = ("green", "red") if sign == "<" else ("red", "green")
    # A step begins at its value. What is above 0 begins at the smallest number that is not 0.
    value = float(number) or (1e-9 if sign == ">" else 0.0)
    return {
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"color": low, "value": None}, {"color": high, "value": value}]},
        "mappings": [
            {"type": "special", "options": {"match": "null+nan", "result": {"text": "no data", "color": "red"}}}
        ],
    }


def files() -> dict[pathlib.Path, str]:
    """The text of each file."""
    sources = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return {
        FOLDER / f"{source['uid']}.json": json.dumps(dashboard(source), indent=2, ensure_ascii=False) + "\n"
        for source in sources
    }


def main(argv: t.Sequence[str]) -> int:
    """Write the files, or report with ``--check`` which differ. Returns the exit code."""
    differ = [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in differ:
        if "--check" in argv:
            print(f"{path.relative_to(ROOT)}: differs from {SOURCE.relative_to(ROOT)}. Run: python tools/dashboards.py")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files()[path], encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 1 if differ and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
