# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module ends: with Ansible's own AnsibleModule, its result read as Ansible reads it."""

import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
# A process of its own: where Ansible's controller was imported before, a module's warnings go elsewhere.
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import conftest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module

def body(module):
{body}

with patch_module_args({arguments!r}):
    options = {{"name": {{"required": True}}, "checks": {{"type": "list"}}, "env": {{"no_log": True}}}}
    run_module(body, argument_spec=options)
"""


@pytest.fixture
def end():
    """Run a body as a module; the exit code and the result."""

    def run(body: str, **arguments: object) -> tuple[int, dict]:
        program = PROGRAM.format(
            tests=str(TESTS), body=textwrap.indent(body, "    "), arguments={"name": "shop", **arguments}
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    return run


def test_result_of_the_body_is_the_result_of_the_module(end):
    code, result = end("return {'changed': True, 'name': module.params['name'], 'warnings': ['careful']}")
    assert code == 0
    assert (result["changed"], result["name"]) == (True, "shop")
    assert "careful" in json.dumps(result["warnings"])


def test_error_fails_with_text_problems_and_facts(end):
    code, result = end(
        "raise OneboxError('not deployed', problems=[Problem('port', 'web', 'is taken')], facts={'rolled_back': False})"
    )
    assert code == 1
    assert (result["failed"], result["msg"], result["rolled_back"]) == (True, "not deployed", False)
    assert result["problems"] == [{"code": "port", "where": "web", "message": "is taken"}]


def test_result_marked_failed_fails_and_keeps_its_warnings(end):
    code, result = end("return {'failed': True, 'msg': 'unhealthy', 'changed': True, 'warnings': ['gap']}")
    assert code == 1
    assert (result["msg"], result["changed"]) == ("unhealthy", True)
    assert "gap" in json.dumps(result["warnings"])


def test_unexpected_exception_is_one_line_without_traceback(end):
    code, result = end("return {}['missing']")
    assert code == 1
    assert "unexpected KeyError: 'missing'" in result["msg"]
    assert "\n" not in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_check_mode_is_supported_unless_refused(end):
    code, result = end("return {'changed': module.check_mode}", _ansible_check_mode=True)
    assert (code, result["changed"]) == (0, True)


def test_options_are_shown_without_the_credentials_of_urls(end):
    checks = [{"url": "http://me:canary-1@h/x?t=canary-2"}, "http://h/plain", "rest:http://me:canary-3@h"]
    for body in ("return {}", "raise OneboxError('no')", "return {'failed': True, 'msg': 'no'}"):
        _code, result = end(body, checks=checks)
        assert "canary" not in json.dumps(result)
        assert result["invocation"]["module_args"] == {
            "name": "shop",
            "checks": [{"url": "http://***@h/x?***"}, "http://h/plain", "rest:http://me:********@h"],
            "env": None,
        }


def test_log_of_the_system_gets_no_credentials_of_urls(end):
    # AnsibleModule writes its options to syslog when it is made.
    body = """
    written = []
    module.log = lambda msg, log_args=None: written.append(msg)
    module._log_invocation()
    return {'written': written, 'kept': module.params['checks'][0] == 'http://me:canary-1' + '@h/x?t=canary-2'}
    """
    _code, result = end(textwrap.dedent(body), checks=["http://me:canary-1@h/x?t=canary-2"])
    assert "@h/x?***" in result["written"][0]
    assert "canary" not in json.dumps(result)
    assert result["kept"] is True


@pytest.mark.parametrize("env", ['{"A": "canary-1", "URL": "db://a:canary-2@db/x"}', "https://h/canary-1?x=1"])
def test_option_with_no_log_is_hidden_whole_although_it_holds_a_url(end, env):
    _code, result = end("return {}", env=env)
    assert "canary" not in json.dumps(result)
