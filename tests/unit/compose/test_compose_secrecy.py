# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run on a stack shows: every value that was supplied is masked, whatever its variable is called."""

import json

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import Secrecy, masked
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.mask import MASK
from compose_facts import container, model_of

CANARY = "canary-5e1f"
# Every spelling of attack B3 that was shown.
NAMES = (
    *("DB_PW", "MYSQL_ROOT_PW", "BEARER", "PIN", "OTP_SEED", "DISCORD_URL", "SLACK_URL", "NTFY_TOPIC", "REDIS_URL"),
    *("HEALTHCHECK_URL", "LICENSE", "ENCRYPTION", "JWT", "SESSION_ID", "AWS_ACCESS_ID", "LEVEL", "HOST"),
)


@pytest.fixture
def secrecy(tmp_path):
    return lambda **options: Secrecy(Request("shop", str(tmp_path), state_dir=str(tmp_path / "state"), **options))


@pytest.mark.parametrize("name", NAMES)
def test_variable_of_any_name_is_masked_in_all_texts(secrecy, name):
    made = secrecy(env={name: CANARY})
    for text in (CANARY, f"--requirepass {CANARY}", f"redis://:{CANARY}@db", f"-p{CANARY}", f"Host(`{CANARY}`)"):
        assert CANARY not in made.text(f"it said: {text}")


@pytest.mark.parametrize("name", NAMES)
def test_changed_variable_is_shown_by_name_only(secrecy, name):
    service = model_of({"web": {"image": "shop:1", "environment": {name: "new-value"}}}).services["web"]
    found = compare.differences(service, container("web", Config__Env=[f"{name}=old-value"]), {})
    assert secrecy().diff(found) == {f"environment.{name}": {"before": MASK, "after": f"{MASK} (changed)"}}


def test_added_and_removed_variables_have_one_side(secrecy):
    diff = {"environment.A": {"before": None, "after": "x"}, "environment.B": {"before": "x", "after": None}}
    assert secrecy().diff(diff) == {
        "environment.A": {"before": None, "after": MASK},
        "environment.B": {"before": MASK, "after": None},
    }


def test_variable_of_show_env_is_shown_with_its_values(secrecy):
    made = secrecy(env={"LEVEL": "verbose-1", "OTHER": CANARY}, show_env=("LEVEL",))
    diff = made.diff({"environment.LEVEL": {"before": "quiet", "after": "verbose-1"}})
    assert diff == {"environment.LEVEL": {"before": "quiet", "after": "verbose-1"}}
    assert made.text(f"level verbose-1 {CANARY}") == f"level verbose-1 {MASK}"


def test_value_of_show_env_that_is_also_a_secret_is_masked(secrecy):
    made = secrecy(env={"LEVEL": CANARY, "OTHER": CANARY}, show_env=("LEVEL",))
    assert CANARY not in str(made.diff({"environment.LEVEL": {"before": None, "after": CANARY}}))


def test_command_and_label_are_masked_by_value(secrecy):
    made = secrecy(env={"PASSWORD": CANARY})
    shown = made.diff(
        {
            "command": {"before": "redis --requirepass unknown-old", "after": f"redis --requirepass {CANARY}"},
            "labels.auth": {"before": f"admin:{CANARY}", "after": None},
            "mounts./x": {"before": None, "after": "/srv/x (read-write)"},
        }
    )
    assert shown["command"] == {
        "before": f"redis --requirepass {MASK}",
        "after": f"redis --requirepass {MASK} (changed)",
    }
    assert shown["labels.auth"] == {"before": f"admin:{MASK}", "after": None}
    assert shown["mounts./x"]["after"] == "/srv/x (read-write)"


@pytest.mark.parametrize(
    "supplied",
    [
        {"env": {"A": {"nested": [CANARY]}}},
        {"secrets": ({"path": "/x", "value": CANARY},)},
        {"secrets": ({"name": "x", "value": CANARY},)},
        {"http_checks": ({"url": f"http://me:{CANARY}@h/x"},)},
        {"http_checks": ({"url": f"http://h/x?t={CANARY}"},)},
        {"prometheus_checks": ({"url": f"http://me:{CANARY}@h/x"},)},
    ],
)
def test_every_input_is_masked(secrecy, supplied):
    made = secrecy(**supplied)
    assert made.text(f"before {CANARY} after") == f"before {MASK} after"


def test_service_environment_build_argument_and_container_are_masked(secrecy):
    made = secrecy()
    build = {"context": ".", "args": {"TOKEN": "canary-build-1"}}
    made.learn_model(model_of({"web": {"build": build, "environment": ["A=canary-env-12"]}}))
    old = container("web", Config__Env=["B=canary-old-12", "FROM_IMAGE=not-a-secret"])
    made.learn_containers([old], {old.image_id: {"Config": {"Env": ["FROM_IMAGE=not-a-secret"]}}})
    shown = made.text("canary-build-1 canary-env-12 canary-old-12 not-a-secret")
    assert shown == f"{MASK} {MASK} {MASK} not-a-secret"


def test_environment_files_are_masked_also_when_a_tool_refuses_them(secrecy, tmp_path):
    (tmp_path / ".env").write_text(f"A='{CANARY}\nB=x canary-line-2\n")
    assert "canary" not in secrecy().text(f'near "{CANARY}": x canary-line-2')


def test_name_of_a_compose_file_stays_readable(secrecy, tmp_path):
    files = (f"{tmp_path}/compose.yml", f"{tmp_path}/compose.override.yml")
    made = secrecy(env={"LEVEL": "override"})
    made.learn_source(Source("shop", str(tmp_path), files, "", ()))
    assert made.text(f"{files[1]}: LEVEL is override") == f"{files[1]}: LEVEL is {MASK}"
    assert made.data({"files_read": list(files)}) == {"files_read": list(files)}
    assert made.text("compose.override.yml") == "compose.override.yml"


def test_environment_file_of_a_kept_release_is_masked(secrecy, tmp_path):
    place = tmp_path / "state/shop/good/1/files"
    place.mkdir(parents=True)
    (place / ".env").write_text(f"A={CANARY}\n")
    made = secrecy()
    made.learn_releases()
    assert CANARY not in made.text(f"--requirepass {CANARY}")


def test_public_values_stay_readable(secrecy):
    made = secrecy(env={"TAG": "16-alpine", "DATA": "/srv/data", "PORT": "8080", "PUID": "1000", "NAME": "web"})
    web = {"image": "postgres:16-alpine", "volumes": ["/srv/data/db:/data"], "container_name": "web"}
    made.learn_model(model_of({"web": web}))
    text = (
        "web: cannot pull postgres:16-alpine, /srv/data/db is full, port 8080 is taken, run chown 1000:1000 /srv/data"
    )
    assert made.text(text) == text


class Thing:
    def __init__(self, secrecy, error=None):
        self.secrecy = secrecy
        self._error = error

    @masked
    def run(self):
        if self._error:
            raise self._error
        return {"msg": CANARY, "health": [{"service": "web", "state": CANARY, "message": CANARY}], "warnings": [CANARY]}


def test_result_is_masked_and_words_of_ours_stay(secrecy):
    assert Thing(secrecy(env={"A": CANARY})).run() == {
        "msg": MASK,
        "health": [{"service": "web", "state": CANARY, "message": MASK}],
        "warnings": [MASK],
    }


@pytest.mark.parametrize(
    "error",
    [
        OneboxError(f"it is {CANARY}", problems=[Problem("x", f"at {CANARY}", CANARY)], facts={"msg": CANARY}),
        BadStack("shop", [Problem("x", f"at {CANARY}", CANARY)]),
        Unhealthy(f"it is {CANARY}", [{"message": CANARY}]),
        KeyError(CANARY),
        OSError(2, "no such file", CANARY),
    ],
)
def test_error_is_masked(secrecy, error):
    with pytest.raises(type(error) if isinstance(error, OneboxError) else RuntimeError) as caught:
        Thing(secrecy(env={"A": CANARY}), error).run()
    found = caught.value
    shown = [str(found), repr(found.args), str(getattr(found, "problems", "")), json.dumps(getattr(found, "facts", {}))]
    assert CANARY not in "".join([*shown, str(getattr(found, "rows", ""))])
    assert found.__suppress_context__ or isinstance(found, OneboxError)


def test_error_without_a_secret_is_raised_as_it_is(secrecy):
    with pytest.raises(KeyError):
        Thing(secrecy(env={"A": CANARY}), KeyError("other")).run()
