"""The time keeping of the progress callback, with a clock of its own."""

from ansible_collections.onebox.stack.plugins.callback.progress import Steps


def test_steps_add_up_by_role_in_order():
    now = [0.0]
    steps = Steps(lambda: now[0])
    for role, lasts in (("", 1.0), ("engine", 2.0), ("dirs", 0.5), ("engine", 1.0), ("", 9.0)):
        steps.begin(role)
        now[0] += lasts
    assert steps.seconds() == {"engine": 3.0, "dirs": 0.5}
    assert list(steps.seconds()) == ["engine", "dirs"]


def test_a_step_that_still_runs_is_not_counted():
    now = [0.0]
    steps = Steps(lambda: now[0])
    steps.begin("engine")
    now[0] = 5.0
    assert steps.seconds() == {}
