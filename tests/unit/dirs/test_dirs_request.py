"""The option ``directories`` is parsed into numbers, or into problems that name the option."""

from __future__ import annotations

import pwd

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.dirs import request
from hypothesis import given
from hypothesis import strategies as st


def problem(entry: dict, base: str | None = "/srv/x", deploy_dir: str | None = None) -> str:
    wanted, problems = request.read([entry], base, deploy_dir)
    assert wanted == []
    (only,) = problems
    return only.message


@pytest.mark.parametrize(
    ("path", "base", "result"),
    [
        ("a/b", "/srv", "/srv/a/b"),
        (".", "/srv/", "/srv"),
        ("./a//b/", "/srv", "/srv/a/b"),
        ("/abs//x", "/srv", "/abs/x"),
        ("/abs", None, "/abs"),
        (" a b\n$HOME 한", "/srv", "/srv/ a b\n$HOME 한"),
        ("...", "/srv", "/srv/..."),
    ],
)
def test_path_is_normalized_below_the_base(path, base, result):
    (wanted,), problems = request.read([{"path": path}], base, None)
    assert (wanted.path, problems) == (result, [])


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"path": ""}, "must not be empty"),
        ({"path": "a\0b"}, "NUL"),
        ({"path": "~/data"}, "Write the whole path of the home directory"),
        ({"path": "a/../../etc"}, "must not contain '..'"),
        ({"path": "/"}, "root of the file system"),
        ({"path": "a", "owner": "no-such-user"}, "owner 'no-such-user' does not exist on this host"),
        ({"path": "a", "group": "no-such-group"}, "group 'no-such-group' does not exist"),
        ({"path": "a", "owner": "4294967295"}, "owner 4294967295 is not a possible id"),
        ({"path": "a", "owner": "-1"}, "owner '-1' does not exist"),
        ({"path": "a", "mode": 488}, "octal digits in quotes, such as '0750', not 488"),
        ({"path": "a", "mode": "0799"}, "not '0799'"),
        ({"path": "a", "mode": "u=rwx"}, "not 'u=rwx'"),
        ({"path": "a", "mode": ""}, "not ''"),
        ({"path": "a", "mode": "17777"}, "not '17777'"),
        ({"path": "a", "class": "secret", "mode": "0750"}, "gives others access to a directory of class secret"),
    ],
)
def test_wrong_entry_is_named_in_the_problem(entry, says):
    message = problem(entry)
    assert says in message
    assert message.startswith("directories[0]")


def test_relative_path_without_a_valid_base_is_refused():
    assert "base is not set" in problem({"path": "a"}, base=None)
    assert "base must be an absolute path" in problem({"path": "a"}, base="srv")
    assert "deploy_dir must be an absolute path" in problem({"path": "a"}, deploy_dir="/opt/../x")


def test_duplicate_and_other_problems_are_reported_at_once():
    wanted, problems = request.read([{"path": "a"}, {"path": "./a/"}, {"path": "../b"}], "/srv", None)
    assert [one.path for one in wanted] == ["/srv/a"]
    assert ["listed twice" in one.message or ".." in one.message for one in problems] == [True, True]


def test_modes_and_owners_have_defaults_by_class():
    entries = [
        {"path": "d"},
        {"path": "l", "class": "log", "owner": "999", "group": "0"},
        {"path": "s", "class": "secret", "owner": "root"},
        {"path": "m", "mode": "2770"},
    ]
    wanted, problems = request.read(entries, "/srv", None)
    assert problems == []
    by_name = {one.parts[-1]: one for one in wanted}
    assert (by_name["d"].mode, by_name["d"].uid, by_name["d"].gid) == (0o750, None, None)
    assert (by_name["l"].mode, by_name["l"].uid, by_name["l"].gid) == (0o750, 999, 0)
    assert (by_name["s"].mode, by_name["s"].uid) == (0o700, pwd.getpwnam("root").pw_uid)
    assert by_name["m"].mode == 0o2770


@pytest.mark.parametrize("path", ["/opt/x", "/opt/x/data", "/opt//x/./data/"])
def test_path_in_the_deploy_directory_is_refused(path):
    assert "is in the deploy directory /opt/x" in problem({"path": path}, deploy_dir="/opt/x/")


def test_sibling_of_the_deploy_directory_with_a_common_prefix_is_accepted():
    wanted, problems = request.read([{"path": "/opt/x-data"}, {"path": "/opt"}], None, "/opt/x")
    assert (len(wanted), problems) == (2, [])


def test_similar_directory_outside_is_suggested(tmp_path):
    deploy = tmp_path / "deploy"
    (tmp_path / "observer").mkdir()
    message = problem({"path": str(deploy / "observer")}, deploy_dir=str(deploy))
    assert f"Choose a path outside, such as the existing {tmp_path}/observer." in message
    assert "such as the existing" not in problem({"path": str(deploy / "other")}, deploy_dir=str(deploy))


NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8)
PATHS = st.lists(
    st.lists(NAMES.filter(lambda n: n not in (".", "..") and n[0] != "~"), min_size=1, max_size=4), max_size=12
)


@given(PATHS, st.randoms())
def test_parents_are_before_children_in_any_order_of_entries(paths, random):
    entries = [{"path": "/".join(parts)} for parts in paths]
    wanted, problems = request.read(entries, "/srv", None)
    assert len(problems) == len(entries) - len(wanted)
    seen = [one.parts for one in wanted]
    for number, parts in enumerate(seen):
        assert not any(later == parts[: len(later)] for later in seen[number + 1 :])
    random.shuffle(entries)
    assert [one.parts for one in request.read(entries, "/srv", None)[0]] == seen


@pytest.mark.parametrize(
    ("path", "recursive", "refused"),
    [
        ("/etc", False, True),
        ("/home", True, True),
        ("/usr/lib/x", False, True),
        ("/var/lib", False, True),
        ("/srv", True, True),
        ("/srv", False, False),
        ("/srv/shop", True, False),
        ("/var/lib/shop", True, False),
        ("/usr/local/shop", False, False),
        ("/etc/shop", False, False),
    ],
)
def test_directory_of_the_system_is_refused(path: str, recursive: bool, refused: bool) -> None:
    unused, problems = request.read([{"path": path, "recursive": recursive}], None, None)
    assert bool(problems) is refused
