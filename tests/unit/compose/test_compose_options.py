# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options the compose modules share: the name of a stack is also the name of its directories."""

import dataclasses
import os
import pwd

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import options, request
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

DEFAULTS = {key: option.get("default") for key, option in request.COMMON.items()}
ROOT = dataclasses.replace(World.real(), uid=0, home="/root")


@pytest.mark.parametrize("name", ["shop", "97layer", "a", "a.b_c-d", "0"])
def test_name_usable_as_directory_is_accepted(name: str):
    found = options.request_of({**DEFAULTS, "name": name, "project_dir": "/opt/x"}, ROOT)
    assert found.state_folder == f"/var/lib/onebox/{name}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/b", "/etc", "Shop", "shop\n", "-x", "_x", "a b", "\u00e4", "x\0", "a\\b"]
)
def test_name_that_cannot_be_a_directory_is_refused(name: str):
    with pytest.raises(ComposeError, match="name: .* is not a name for a stack"):
        options.request_of({**DEFAULTS, "name": name, "project_dir": "/opt/x"}, ROOT)


@pytest.mark.parametrize(("uid", "name"), [(1, pwd.getpwuid(1).pw_name), (4242424, "4242424")])
def test_user_units_are_those_of_the_user_id_and_not_of_who_called_sudo(monkeypatch, uid: int, name: str):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.setenv("SUDO_USER", "anna")
    host = options.host_of(World.real())
    assert (host.user, host.units) == (True, "/home/x/.config/systemd/user")
    assert host.linger == f"/var/lib/systemd/linger/{name}"


def request_of(**params):
    return options.request_of({**DEFAULTS, "name": "shop", "project_dir": "/opt/x", **params}, ROOT)


def test_variables_are_a_mapping_and_a_refusal_does_not_show_them():
    assert request_of().env is None
    assert request_of(env='{"A": 1, "B": null}').env == {"A": 1, "B": None}
    for text in ("A=secret", '["secret"]', '"secret"'):
        with pytest.raises(ComposeError, match=r"compose_stack_env \(env\): is not a mapping") as caught:
            request_of(env=text)
        assert "secret" not in str(caught.value)


def test_content_is_staged_by_number_and_needs_the_staging_directory():
    found = request_of(content=["/srv/a/", "/srv/b"], staging_dir="/tmp/x")
    assert found.content == (("/tmp/x/content-0", "/srv/a"), ("/tmp/x/content-1", "/srv/b"))
    with pytest.raises(ComposeError, match="content: needs staging_dir"):
        request_of(content=["/srv/a"])
    with pytest.raises(ComposeError, match="content: srv is not an absolute path"):
        request_of(content=["srv"], staging_dir="/tmp/x")


def test_secrets_do_not_show_in_a_request():
    secret = {"name": "key", "path": None, "value": "hunter22"}
    request = request_of(secrets=[secret], env='{"A": "hunter33"}')
    assert request.podman_secrets == {"key": "hunter22"}
    assert request.secret_files == []
    assert "hunter" not in repr(request)


def staging_of(tmp_path) -> dict[str, str]:
    (tmp_path / "staging" / "files").mkdir(parents=True)
    (tmp_path / "staging").chmod(0o700)
    return {"staging_dir": str(tmp_path / "staging"), "staged_dir": str(tmp_path / "staging" / "files")}


def test_staging_directory_is_removed_at_the_end(tmp_path):
    params = staging_of(tmp_path)
    with options.removing_staging(params) as said:
        assert (tmp_path / "staging" / "files").is_dir()
    assert said == {"staging_removed": params["staging_dir"]}
    assert not (tmp_path / "staging").exists()


@pytest.mark.parametrize("error", [ComposeError("no"), ValueError("no")])
def test_staging_directory_is_removed_after_a_refusal_and_a_defect(tmp_path, error: Exception):
    params = staging_of(tmp_path)
    with pytest.raises(type(error)) as caught, options.removing_staging(params):
        raise error
    assert not (tmp_path / "staging").exists()
    if isinstance(caught.value, ComposeError):
        assert caught.value.facts == {"staging_removed": params["staging_dir"]}


@pytest.mark.parametrize("spoil", ["not private", "not the one with the files"])
def test_directory_that_is_not_for_staging_is_not_removed(tmp_path, spoil: str):
    folder = tmp_path / "staging"
    (folder / "files").mkdir(parents=True)
    folder.chmod(0o755 if spoil == "not private" else 0o700)
    staged = str(folder / "files") if spoil == "not private" else "/opt/files"
    with pytest.raises(OneboxError), options.removing_staging({"staging_dir": str(folder), "staged_dir": staged}):
        raise AssertionError("the run began")
    assert (folder / "files").is_dir()
