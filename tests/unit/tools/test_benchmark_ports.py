# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of site.yml can run next to make demo."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_stack_of_the_benchmark_shares_no_port_and_name_with_the_demo(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # as if it ran as a script
    spec = importlib.util.spec_from_file_location("noop_site", ROOT / "benchmarks" / "noop_site.py")
    assert spec is not None
    assert spec.loader is not None
    noop_site = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(noop_site)
    variables = noop_site.own_stack(tmp_path)
    taken = [
        {str(value) for service in stack["services"].values() for value in (service["container_name"], *ports(service))}
        | {stack["name"]}
        for stack in (
            yaml.safe_load((pathlib.Path(folder) / "compose.yml").read_text())
            for folder in (ROOT / "stacks" / "97layer", variables["compose_stack_source"])
        )
    ]
    assert len(taken[1]) == len(taken[0]) == 6
    assert taken[0] & taken[1] == set()


def ports(service: dict[str, list[str]]) -> list[str]:
    """The ports of the host that a service publishes."""
    return [port.split(":")[0] for port in service.get("ports", [])]
