"""Run the EXAMPLES of a module, as they stand in its documentation, on this machine.

    from examples_runner import run_examples

    def test_examples(tmp_path):
        results = run_examples("data_dirs", replace={"/srv/observer": str(tmp_path / "srv")})
        assert results["Make the directories of a stack"]["changed"]

``replace`` exchanges words of the text before it is read, so that an example with real paths runs in a sandbox. A test
finds this file when ``tests`` is in ``sys.path``: the tests' conftest.py sees to that.
"""

from __future__ import annotations

import ast
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Seconds after which a play hangs. A play takes five, and more than 300 on a machine that others keep busy.
HANGS = 3600.0


def examples(module: str) -> str:
    """The text of ``EXAMPLES`` in ``plugins/modules/<module>.py``."""
    path = ROOT / "plugins" / "modules" / f"{module}.py"
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(getattr(name, "id", "") == "EXAMPLES" for name in node.targets):
            return ast.literal_eval(node.value)
    raise LookupError(f"{path} has no EXAMPLES")


def run_tasks(
    tasks: t.Sequence[t.Mapping[str, t.Any]],
    *,
    variables: t.Mapping[str, t.Any] | None = None,
    check: bool = False,
    diff: bool = False,
    environment: t.Mapping[str, str] | None = None,
    timeout: float = HANGS,
) -> dict[str, dict[str, t.Any]]:
    """Run ``tasks`` in one play on localhost and return each task's result by its name.

    Raises:
        AssertionError: the play failed (to continue, use ``ignore_errors``). The text is the output of Ansible.
    """
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, **(variables or {})},
        "tasks": list(tasks),
    }
    with tempfile.TemporaryDirectory(prefix="obx-examples-") as place:
        playbook = pathlib.Path(place, "play.yml")
        playbook.write_text(yaml.safe_dump([play], allow_unicode=True, sort_keys=False))
        config = pathlib.Path(place, "ansible.cfg")
        config.write_text(f"[defaults]\ncollections_path = {ROOT / '.collections'}\nroles_path = {ROOT / 'roles'}\n")
        words = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(playbook)]
        words += ["--check"] if check else []
        words += ["--diff"] if diff else []
        done = subprocess.run(
            words,
            cwd=place,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(config),
                "ANSIBLE_HOME": str(pathlib.Path(place, "home")),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_INJECT_FACT_VARS": "false",
                "LC_ALL": "C.UTF-8",
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    printed = f"{done.stdout}\n{done.stderr}"
    assert "Traceback (most recent call last)" not in printed, printed
    try:
        answer = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        raise AssertionError(printed) from None
    assert done.returncode == 0, printed
    return {row["task"]["name"]: row["hosts"]["localhost"] for run in answer["plays"] for row in run["tasks"]}


def run_examples(
    module: str, *, replace: t.Mapping[str, str] | None = None, **options: t.Any
) -> dict[str, dict[str, t.Any]]:
    """Run all examples of ``module``; see :func:`run_tasks`."""
    return run_tasks(yaml.safe_load(with_words(examples(module), replace or {})), **options)


def with_words(text: str, replace: t.Mapping[str, str]) -> str:
    """Examples with other words, each of which they mention."""
    for old, new in replace.items():
        assert old in text, f"the examples do not mention {old!r}"
        text = text.replace(old, new)
    return text
