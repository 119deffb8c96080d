# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of env_file, read as Ansible reads them. What the files hold is in core's test_dotenv.py."""

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.onebox.stack.plugins.modules import env_file


@pytest.fixture
def end(capsys):
    """Run the module; its exit code and result."""

    def run(**arguments):
        with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
            env_file.main()
        return ended.value.code, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("check_mode", [False, True])
def test_new_file_is_changed_and_written_outside_of_check_mode(end, tmp_path, check_mode):
    path = tmp_path / "shop" / ".env"
    code, result = end(
        path=str(path), values={"A": "1"}, directory_mode="0750", _ansible_check_mode=check_mode, _ansible_diff=True
    )
    assert (code, result["changed"], result["variables"], result["missing"]) == (0, True, ["A"], [])
    assert "A=********" in result["diff"]["after"]
    assert "directory mode 0750" in result["diff"]["after"]
    assert path.exists() is not check_mode


def test_missing_required_variable_fails_with_its_name_and_writes_nothing(end, tmp_path):
    code, result = end(path=str(tmp_path / ".env"), values={"A": "1"}, required=["A", "B"])
    assert (code, result["variables"], result["missing"]) == (1, ["A"], ["B"])
    assert "B must not be empty" in result["msg"]
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"path": "relative"}, "path must be absolute"),
        ({"owner": "nobody-of-this-name"}, "does not exist on this host"),
        ({"directory_mode": "u=rwx"}, "directory_mode must be octal"),
        ({"values": {"not a name": "x"}}, "name of a variable"),
    ],
)
def test_refused_input_returns_empty_lists_and_the_message(end, tmp_path, arguments, why):
    code, result = end(**{"path": str(tmp_path / ".env"), "values": {}, **arguments})
    assert (code, result["variables"], result["missing"]) == (1, [], [])
    assert why in result["msg"]


def test_refused_line_is_returned_as_a_problem_without_its_value(end, tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\nB='hunter22\n")
    code, result = end(path=str(path), values={"A": "other"})
    (problem,) = result["problems"]
    assert (code, problem["code"], problem["where"]) == (1, "not_dotenv", f"{path}, line 2")
    assert "hunter22" not in json.dumps(result)
    assert path.read_text() == "A=1\nB='hunter22\n"
