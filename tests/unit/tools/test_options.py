# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that tools/options.py writes, for a small collection."""

from __future__ import annotations

import importlib
import pathlib
import sys
import typing as t

import pytest
import yaml

TOOLS = pathlib.Path(__file__).resolve().parents[3] / "tools"
MODULE = '''
DOCUMENTATION = r"""
module: engine
options:
  name:
    description: Name of the engine.
    type: str
    required: true
  speed:
    description:
      - Speed, at most O(limits[].most). See RV(speed).
      - V(0) stops.
    type: float
    default: 5.0
    version_added: 0.2.0
  fuel:
    description: Fuel for O(name).
    type: str
    choices: [gas, wood]
  limits:
    description: Limits.
    type: list
    elements: dict
    default: []
    suboptions:
      most:
        description: Largest speed.
        type: int
        required: true
  hidden:
    description: Only for the module.
    type: path
extends_documentation_fragment:
  - onebox.stack.shared.wait
"""
'''
INFO = MODULE.replace("hidden:", "depth:").replace("speed:", "pace:").replace("O(limits[].most). See RV(speed)", "x")
FRAGMENT = '''
class ModuleDocFragment:
    WAIT = r"""
options:
  wait:
    description: Whether to wait.
    type: bool
    default: false
"""
'''
SOURCE: dict[str, t.Any] = {
    "short_description": "Run an engine",
    "description": ["Runs it."],
    "modules": ["engine"],
    "without": ["hidden"],
    "passed": {"__motor_options": ["engine", "engine_info"], "__motor_own_options": ["engine"]},
    "options": {
        "motor_name": {},
        "motor_colour": {"description": "Colour: any.", "type": "str", "default": "{{ motor_name }}"},
        "motor_energy": {"from": "engine.fuel", "choices": ["", "gas", "wood"], "default": ""},
        "motor_wait": {"default": True},
        "motor_limits": {"options": {"most": {"no_log": True}}},
    },
}


@pytest.fixture
def options(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    yield importlib.import_module("options")
    for name in ("options", "options_text", "module_docs"):
        sys.modules.pop(name, None)


@pytest.fixture
def motor(tmp_path, options, monkeypatch):
    """Writes the files of the role, and returns them as they are read."""
    folder = tmp_path / "roles/motor"
    for name in (
        "plugins/modules",
        "plugins/doc_fragments",
        "roles/motor/meta",
        "roles/motor/defaults",
        "roles/motor/vars",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "plugins/modules/engine.py").write_text(MODULE)
    (tmp_path / "plugins/modules/engine_info.py").write_text(INFO)
    (tmp_path / "plugins/doc_fragments/shared.py").write_text(FRAGMENT)
    (folder / "README.md").write_text("# motor\n\n{}\n{}\n\nThe end.\n".format(*options.README_MARKS))
    (folder / "vars/main.yml").write_text("---\n__motor_mine: 1\n{}\n{}\n".format(*options.VARS_MARKS))
    monkeypatch.setattr(options, "ROOT", tmp_path)

    def role(**changed: t.Any) -> t.Any:
        (folder / "meta/options.yml").write_text(yaml.safe_dump({**SOURCE, **changed}, sort_keys=False))
        return options.Role(folder, tmp_path)

    role()
    return role


def read(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text())


def test_defaults_come_from_the_module_unless_the_role_has_its_own(options, motor, tmp_path):
    assert options.main([]) == 0
    assert read(tmp_path / "roles/motor/defaults/main.yml") == {
        "motor_colour": "{{ motor_name }}",
        "motor_energy": "",
        "motor_wait": True,
        "motor_limits": [],
        "motor_speed": 5,
    }


def test_specification_names_variables_and_leaves_out_templates(options, motor, tmp_path):
    options.main([])
    spec = read(tmp_path / "roles/motor/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert list(spec) == ["motor_name", "motor_colour", "motor_energy", "motor_wait", "motor_limits", "motor_speed"]
    assert spec["motor_speed"] == {
        "description": ["Speed, at most O(motor_limits[].most). See C(speed).", "V(0) stops."],
        "type": "float",
        "version_added": "0.2.0",
        "default": 5,
    }
    assert "default" not in spec["motor_colour"]
    assert spec["motor_limits"]["options"]["most"]["no_log"] is True
    assert spec["motor_energy"]["description"] == ["Fuel for O(motor_name). Empty leaves it to the module."]


def test_passed_options_are_those_all_named_modules_have(options, motor, tmp_path):
    options.main([])
    passed = read(tmp_path / "roles/motor/vars/main.yml")
    assert passed == {
        "__motor_mine": 1,
        "__motor_options": {
            "name": "{{ motor_name }}",
            "fuel": "{{ motor_energy | default(omit, true) }}",
            "wait": "{{ motor_wait }}",
            "limits": "{{ motor_limits }}",
        },
        "__motor_own_options": {"speed": "{{ motor_speed }}"},
    }


def test_readme_table_lies_between_the_markers(options, motor, tmp_path):
    options.main([])
    text = (tmp_path / "roles/motor/README.md").read_text()
    assert "| `motor_name` | required | Name of the engine. |" in text
    assert "| `motor_colour` | `<motor_name>` | Colour: any. |" in text
    assert "| `motor_limits` | `[]` | Limits. Keys: `most`. |" in text
    assert "One of `gas`, `wood`. |" in text
    assert text.endswith(f"{options.README_MARKS[1]}\n\nThe end.\n")


@pytest.mark.parametrize("name", ["defaults/main.yml", "meta/argument_specs.yml", "README.md", "vars/main.yml"])
def test_check_reports_each_file_that_differs(name, options, motor, tmp_path, capsys):
    options.main([])
    assert options.main(["--check"]) == 0
    path = tmp_path / "roles/motor" / name
    edited = path.read_text().replace("motor_energy", "motor_fuel")
    path.write_text(edited)
    capsys.readouterr()
    assert options.main(["--check"]) == 1
    assert f"roles/motor/{name}: differs" in capsys.readouterr().out
    assert path.read_text() == edited


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "str", "default": ""}, "needs a description and a type"),
        ({"description": "It.", "type": "str"}, "needs a default, or required: true"),
        ({"from": "engine.no_such"}, "engine.no_such, which does not exist"),
    ],
)
def test_incomplete_variable_is_refused(entry, message, options, motor):
    with pytest.raises(options.WrongOptions, match=message):
        motor(options={**SOURCE["options"], "motor_new": entry})


def test_option_without_a_default_needs_one_in_the_role(options, motor):
    with pytest.raises(options.WrongOptions, match="motor_hidden needs a default"):
        motor(without=[])


def test_foreign_prefix_is_refused(options, motor):
    with pytest.raises(options.WrongOptions, match="boat_name does not begin"):
        motor(options={"boat_name": {"description": "It.", "type": "str", "default": ""}})


def test_role_without_a_source_is_refused(options, motor, tmp_path, capsys):
    (tmp_path / "roles/boat/meta").mkdir(parents=True)
    assert options.main(["--check"]) == 2
    assert "boat: meta/options.yml is missing" in capsys.readouterr().out


def test_missing_markers_are_refused(options, motor, tmp_path, capsys):
    (tmp_path / "roles/motor/README.md").write_text("# motor\n")
    assert options.main([]) == 2
    assert "are missing" in capsys.readouterr().out


def test_roles_of_the_collection_agree_with_their_source(options, capsys):
    assert options.main(["--check"]) == 0, capsys.readouterr().out
