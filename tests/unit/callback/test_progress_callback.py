"""The time keeping of the progress callback, with a clock of its own, and the last lines it prints."""

import types

import pytest
from ansible_collections.onebox.stack.plugins.callback.progress import REPORT_ACTION, CallbackModule, Steps


def test_steps_add_up_by_role_in_order():
    now = [0.0]
    steps = Steps(lambda: now[0])
    for role, lasts in (("", 1.0), ("engine", 2.0), ("dirs", 0.5), ("engine", 1.0), ("", 9.0)):
        steps.begin(role)
        now[0] += lasts
    assert steps.seconds() == {"engine": 3.0, "dirs": 0.5}
    assert list(steps.seconds()) == ["engine", "dirs"]


def test_step_that_still_runs_is_not_counted():
    now = [0.0]
    steps = Steps(lambda: now[0])
    steps.begin("engine")
    now[0] = 5.0
    assert steps.seconds() == {}


class Screen:
    """Keeps what a callback displays."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.verbosity = 0

    def display(self, text: str, **_unused: object) -> None:
        self.lines += text.splitlines()


@pytest.mark.parametrize(
    ("report", "expected"), [(True, ["", "97layer on demo: OK"]), (False, [])], ids=["shown", "hidden"]
)
def test_report_is_printed_unless_switched_off(monkeypatch, report, expected):
    screen = Screen()
    callback = CallbackModule(screen)
    # Ansible's plugin loader reads options, and it did not load this object.
    monkeypatch.setattr(callback, "get_option", {"report": report}.get)
    result = types.SimpleNamespace(
        task=types.SimpleNamespace(action=REPORT_ACTION),
        host=types.SimpleNamespace(get_name=lambda: "demo"),
        result={"text": "97layer on demo: OK\n"},
    )
    callback.v2_runner_on_ok(result)
    callback.v2_playbook_on_stats(None)
    assert screen.lines == expected
